"""Recipes: which cross-validations make up a table of the paper, and which store they need. YAML files in recipes/.

A recipe lists protocols, targets, modalities, systems and ablations; `runs_of` multiplies them out on a store.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from ...config import (
    CrossvalConfig,
    Modality,
    ModelConfig,
    PrepareConfig,
    Protocol,
    Target,
    from_dict,
    to_dict,
    uses_face,
    uses_signals,
)
from ...errors import BadConfig, BadStore
from ...former_settings import options_of_former_group, present_names, present_recipe
from ...io.safe_load import from_yaml
from ...provenance import is_leaky
from ...store.window_source import WindowSource
from ...systems import SYSTEMS, read_options, system
from ...text import did_you_mean

T = TypeVar("T")
Role = Literal["whole", "modality", "system", "ablation", "fusion"]
Measure = Literal["channels", "face", "noise", "gates"]
OWN = {
    "protocol": "protocols", "target": "targets", "system": "systems", "options": "options", "modality": "modalities",
    "recipe": "name",
}  # fmt: skip
NAME_LISTS = (
    "subjects",
    "paper_subjects",
    "paper_people",
    "channels",
)  # read as text: the subject 01 is not the number 1
STORE_ABLATIONS = ("window_s", "step_s", "frames_per_window")  # what a further store may differ in


@dataclass(frozen=True)
class Recipe:
    """What is run to make a set of tables. Its YAML file has these fields, and no others."""

    name: str
    """the file's name, and the folder's of its runs"""
    about: str
    """a description, for the report"""
    dataset: Literal["deap", "mahnob", "affec", "any"] = "any"
    """the corpus that it is for"""
    leaky: bool = False
    """whether any of its scores come from a protocol that leaks"""
    prepare: dict[str, Any] = field(default_factory=dict)
    """what a store must have been made with (fields of PrepareConfig; `default` is the default); others may differ"""
    crossval: CrossvalConfig = field(default_factory=CrossvalConfig)
    """what all its cross-validations share"""
    subjects_from: Literal["store", "paper"] = "store"
    """whose windows are used: those of all subjects of the store, or of these only the paper's"""
    paper_subjects: tuple[str, ...] = ()
    """the names of the paper's subjects"""
    protocols: tuple[Protocol, ...] = ("trial",)
    """each with every modality and every system"""
    targets: tuple[Target, ...] = ("valence", "arousal")
    """what is predicted"""
    modalities: tuple[Modality, ...] = ("facebio", "face", "bio", "eeg", "peri")
    """of GBV-Net: the rows of Table 4"""
    systems: dict[str, Modality] = field(default_factory=lambda: {"gbvnet": "facebio"})
    """system -> its modality: the rows of Table 3"""
    options: dict[str, Any] = field(default_factory=dict)
    """options of systems, by the system's name: {yuvaraj-like: {feature_set: wavelet}}"""
    ablations: tuple[str, ...] = ()
    """settings of the network, each "name value": the bars of Figure 4, under the first honest protocol"""
    fusions: tuple[str, ...] = ()
    """values of model.fusion beside the recipe's own: a comparison under every protocol that does not leak"""
    measures: tuple[Measure, ...] = ()
    """what `gbvnet explain` measures of each run on faces and signals under such a protocol, when it is finished"""

    def __post_init__(self) -> None:
        _require(self.protocols and self.targets and self.systems, self, "protocols, targets and systems need one each")
        leaks = any(map(is_leaky, self.protocols))
        _require(
            self.leaky == leaks, self, f"leaky is {self.leaky}, and its protocols {'leak' if leaks else 'do not leak'}"
        )
        for protocol in self.protocols:  # each must be valid with the other settings
            self.config(protocol)
        for ablation in self.ablations:
            changed(self.crossval.model, ablation)
        for fusion in self.fusions:
            changed(self.crossval.model, f"fusion {fusion}")
        for name, options in self.options.items():
            hint = did_you_mean(name, self.systems)
            _require(name in self.systems, self, f"options of {name}, which is not among its systems; {hint}")
            if name in SYSTEMS:
                read_options(system(name), options, name)
        _require(
            self.first_honest or not (self.ablations or self.fusions),
            self,
            "ablations and fusions need a protocol that does not leak, and it has none",
        )

    def among(self, store: WindowSource) -> "Recipe":
        """Return the recipe with its subjects limited to those of a store. Raises BadConfig if none is left."""
        if self.subjects_from == "store":
            return self
        _require(self.paper_subjects, self, "subjects_from is paper, and paper_subjects names none")
        chosen = tuple(name for name in self.paper_subjects if name in set(store.windows["subject"]))
        _require(chosen, self, f"subjects_from is paper, and {store.path} has none of {', '.join(self.paper_subjects)}")
        return replace(self, crossval=replace(self.crossval, subjects=chosen))

    @property
    def installed(self) -> tuple[str, ...]:
        """Its systems that are installed."""
        return tuple(name for name in self.systems if name in SYSTEMS)

    @property
    def absent(self) -> tuple[str, ...]:
        """Its systems that are not installed."""
        return tuple(name for name in self.systems if name not in SYSTEMS)

    @property
    def first_honest(self) -> str | None:
        """Its first protocol that does not leak."""
        return next((protocol for protocol in self.protocols if not is_leaky(protocol)), None)

    def config(self, protocol: str, **changes: Any) -> CrossvalConfig:
        """Return the settings of one of its cross-validations."""
        target = "both" if len(self.targets) > 1 else self.targets[0]
        given = changes | {"options": self.options.get(changes.get("system", self.crossval.system))}
        return replace(self.crossval, protocol=protocol, target=target, recipe=self.name, **given)  # type: ignore[arg-type]


@dataclass(frozen=True)
class PlannedRun:
    """A cross-validation that belongs to a recipe.

    role : whole (GBV-Net with face and signals), modality (GBV-Net with less), system (another), ablation, fusion
    measures : what `gbvnet explain` measures of it
    label : its name in the paper's tables
    further_seed : whether it repeats a run at a further seed
    """

    name: str  # folder under runs/<recipe>/
    config: CrossvalConfig
    role: Role
    label: str
    store: WindowSource
    further_seed: bool = False
    measures: tuple[Measure, ...] = ()


def _require(true: Any, recipe: Recipe, message: str) -> None:
    if not true:
        raise BadConfig(f"recipe {recipe.name}: {message}")


# ---------------------------------------------------------------- reading


def shipped() -> tuple[str, ...]:
    """Return the names of the recipes inside the package."""
    files = resources.files("gbvnet.recipes").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Return a shipped recipe by name, or another by the path of its YAML file. Raises BadConfig, with a near name."""
    name = str(name_or_path)
    known = shipped()
    if name in known:
        return parse_recipe(resources.files("gbvnet.recipes").joinpath(f"{name}.yaml").read_text("utf-8"), name)
    try:
        return parse_recipe(Path(name).read_text("utf-8"), name)
    except FileNotFoundError:
        raise BadConfig(f"no recipe and no YAML file {name}; {did_you_mean(name, known)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"recipe {name} cannot be read: {error}") from None


def parse_recipe(text: str, where: str) -> Recipe:
    """Return a recipe from the text of its file; `where` is what messages call it. Raises BadConfig."""
    try:
        values = from_yaml(text, names=NAME_LISTS)
    except ValueError as error:
        raise BadConfig(f"recipe {where} is no YAML: {error}") from None
    if not isinstance(values, dict):
        raise BadConfig(f"recipe {where}: expected settings by name, found {type(values).__name__}")
    values = present_recipe(values)
    try:
        prepare = _with_defaults(_named(values, "prepare"))
        made = _parsed(PrepareConfig, prepare, "prepare.")
        shared = _shared(values)
        if former := _named(values, "crossval").get("rival"):  # in recipes of earlier versions, of all systems
            by_system, systems = options_of_former_group(former), _named(values, "systems")
            values = values | {"options": {name: own for name, own in by_system.items() if name in systems}}
        _parsed(CrossvalConfig, shared, "crossval.")
        named = {name: getattr(made, name) for name in prepare}
        return _parsed(Recipe, values | {"prepare": named, "crossval": shared})
    except BadConfig as error:
        message = str(error)
        raise BadConfig(message if message.startswith("recipe ") else f"recipe {where}: {message}") from None


def _named(values: dict, name: str) -> dict:
    """A section of a recipe, settings by name; an absent or empty one has none."""
    part = values.get(name) or {}
    if not isinstance(part, dict):
        raise BadConfig(f"{name}: expected settings by name, found {part!r:.60}")
    return dict(part)


def _with_defaults(prepare: dict) -> dict:
    """Replace the value `default`: a recipe that names a setting without repeating its default."""
    default = to_dict(PrepareConfig())
    return {name: default.get(name) if value == "default" else value for name, value in prepare.items()}


def _shared(values: dict) -> dict:
    """The settings that all cross-validations share, with a protocol that suits `select test`, which needs one."""
    own = present_names({name: value for name, value in _named(values, "crossval").items() if name != "rival"})
    for name, instead in OWN.items():
        if name in own:
            raise BadConfig(f"crossval.{name} is set by {instead}")
    protocols = values.get("protocols") or ["trial"]
    first = protocols[0] if isinstance(protocols, list) else protocols
    return {**own, "protocol": first, "recipe": values.get("name")}


def _parsed(cls: type[T], values: dict, where: str = "") -> T:
    """Settings from the values of a file: from_dict suggests names, jsonargparse checks types and lists choices."""
    from jsonargparse import ArgumentError, ArgumentParser

    _refuse_nothing(cls, values, where)
    with suppress(TypeError):  # for a value of another type the parser has the better message
        from_dict(cls, values, where)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, as_group=False)
    try:
        return cls(**vars(parser.instantiate(parser.parse_object(values))))
    except ArgumentError as error:
        raise BadConfig(" ".join(str(error).replace("Parser key ", where and f"{where[:-1]}, ").split())) from None


def _refuse_nothing(cls: type, values: dict, where: str) -> None:
    """Refuse YAML's `epochs:` without a value, which the parser would accept."""
    for name, kind in get_type_hints(cls).items():
        value = values.get(name, ...)
        if value is None and type(None) not in get_args(kind):
            raise BadConfig(f"{where}{name} has no value")
        if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
            _refuse_nothing(kind, value, f"{where}{name}.")


# ---------------------------------------------------------------- what is run


def changed(model: ModelConfig, ablation: str) -> ModelConfig:
    """Return the network's settings with one changed: "fusion concat", "self_attention false". Raises BadConfig."""
    name, _, value = ablation.partition(" ")
    if not value:
        raise BadConfig(
            f"ablation {ablation!r}: expected a setting of the network and its value, as in 'fusion concat'"
        )
    try:
        read = from_yaml(value)
    except ValueError as error:
        raise BadConfig(f"ablation {ablation!r}: its value is no YAML: {error}") from None
    made = _parsed(ModelConfig, {**to_dict(model), name: read}, "model.")
    if made == model:
        raise BadConfig(f"ablation {ablation!r}: that is what the recipe's network has already")
    return made


def runs_of(recipe: Recipe, store: WindowSource, others: Sequence[WindowSource] = ()) -> list[PlannedRun]:
    """Return all cross-validations of a recipe on a store. Raises BadStore if the store does not suit it.

    others : stores that differ from `store` in the length of windows or the number of frames alone; each is an ablation
    """
    check_store(recipe, store)
    runs = [
        *_modalities(recipe, store),
        *_systems(recipe, store),
        *_fusions(recipe, store),
        *_ablations(recipe, store, others),
    ]
    return [replace(run, measures=recipe.measures) if _is_measured(run) else run for run in runs]


def _is_measured(run: PlannedRun) -> bool:
    fused = uses_face(run.config.modality) and uses_signals(run.config.modality)
    return (
        fused and run.role != "ablation" and not is_leaky(run.config.protocol) and system(run.config.system).has_model
    )


def _modalities(recipe: Recipe, store: WindowSource) -> Iterator[PlannedRun]:
    for protocol in recipe.protocols:
        for modality in recipe.modalities if "gbvnet" in recipe.systems else ():
            role: Role = "whole" if modality == "facebio" else "modality"
            config = recipe.config(protocol, modality=modality)
            yield PlannedRun(f"{protocol}-{modality}", config, role, "GBV-Net", store)


def _systems(recipe: Recipe, store: WindowSource) -> Iterator[PlannedRun]:
    for protocol in recipe.protocols:
        for name in recipe.installed:
            modality = recipe.systems[name]
            if name == "gbvnet" and modality in recipe.modalities:
                continue
            config = recipe.config(protocol, system=name, modality=modality)
            yield PlannedRun(f"{protocol}-{name}-{modality}", config, "system", name, store)


def _fusions(recipe: Recipe, store: WindowSource) -> Iterator[PlannedRun]:
    for protocol in recipe.protocols:
        for fusion in () if is_leaky(protocol) else recipe.fusions:
            config = recipe.config(protocol, model=changed(recipe.crossval.model, f"fusion {fusion}"))
            name = f"{protocol}-fusion-{fusion.replace('_', '-')}"
            yield PlannedRun(name, config, "fusion", f"gbvnet, {fusion}", store)


def _ablations(recipe: Recipe, store: WindowSource, others: Sequence[WindowSource]) -> Iterator[PlannedRun]:
    """Under the first honest protocol: a leaky one would show which network recognises a trial best."""
    protocol = recipe.first_honest
    if protocol is None:
        return
    for ablation in recipe.ablations:
        config = recipe.config(protocol, model=changed(recipe.crossval.model, ablation))
        name = ablation.replace("_", "-").replace(" ", "-")
        yield PlannedRun(f"{protocol}-ablation-{name}", config, "ablation", ablation, store)
    for other in others:
        label = _store_label(store, other)
        name = label.replace(" ", "-")
        yield PlannedRun(f"{protocol}-ablation-{name}", recipe.config(protocol), "ablation", label, other)


def _store_label(store: WindowSource, other: WindowSource) -> str:
    window_s, frames = other.settings["prepare"]["window_s"], other.settings["frames_per_window"]
    if window_s != store.settings["prepare"]["window_s"]:
        return f"windows of {window_s:g} s"
    return f"{frames} frames a window"


# ---------------------------------------------------------------- which store


def check_store(recipe: Recipe, store: WindowSource) -> None:
    """Raise BadStore, with the command that prepares another, if a store does not suit a recipe."""
    dataset = store.settings["dataset"]
    if recipe.dataset not in ("any", dataset):
        remedy = "Give a store of that corpus, or another recipe."
        raise BadStore(store.path, f"a store of {recipe.dataset} for recipe {recipe.name}", f"one of {dataset}", remedy)
    wrong = next(iter(unfit(recipe, store)), None)
    if wrong:
        name, wanted, actual = wrong
        raise BadStore(
            store.path, f"a store made with {name} = {wanted} for recipe {recipe.name}", f"one made with {actual}",
            f"Make it with: {prepare_command(recipe, dataset)}",
        )  # fmt: skip


def unfit(recipe: Recipe, store: WindowSource) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, required and actual value of each setting in which a store differs from what a recipe needs."""
    made = made_with(store)
    for name, wanted in recipe.prepare.items():
        if name == "step_s" and wanted is None:
            wanted = made["window_s"]
        if name == "frames_per_window" and wanted is None:
            continue
        if made[name] != wanted:
            yield name, wanted, made[name]


def made_with(store: WindowSource) -> dict[str, Any]:
    """Return the settings that a store was prepared with; values that are left to the corpus are filled in."""
    made = to_dict(PrepareConfig()) | store.settings["prepare"]
    made["step_s"] = made["step_s"] or made["window_s"]
    made["frames_per_window"] = store.settings["frames_per_window"]
    made["channels"] = tuple(made["channels"]) if made["channels"] else None
    return made


def differs_in_windows_only(store: WindowSource, other: WindowSource) -> bool:
    """Return whether two stores differ only in the length of their windows or the number of frames."""
    one, two = made_with(store), made_with(other)
    different = {name for name in one if one[name] != two[name]}
    same_corpus = store.title == other.title and store.settings["channels"] == other.settings["channels"]
    return same_corpus and bool(different) and different <= set(STORE_ABLATIONS)


def prepare_command(recipe: Recipe, dataset: str) -> str:
    """Return the command that prepares a store for a recipe; the user fills in the folder of the corpus."""
    default = to_dict(PrepareConfig())
    options = [
        f"--{name.replace('_', '-')} {_typed(value)}"
        for name, value in recipe.prepare.items()
        if value != default[name]
    ]
    store = "-".join([dataset, *recipe.name.split("-")[1:]]) + ".store"
    return " ".join(["gbvnet prepare", dataset, f"{dataset.upper()}_FOLDER", store, *options])


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
