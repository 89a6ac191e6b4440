"""Run folders as results: what is read from them, what they are called, and which of them may be compared."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..config import MODALITIES, PROTOCOLS, is_transductive, uses_face, uses_signals
from ..errors import BadRun, GbvnetError
from ..evaluation import metrics, predictions, statistics
from ..evaluation.outside_labels import Origin
from ..evaluation.prediction_schema import TASKS
from ..evaluation.scores import Scores, evaluate
from ..evaluation.seed_means import SeedDifference, difference_over_seeds
from ..evaluation.targets import QUADRANT, scale_in_words
from ..former_settings import present_names
from ..io.safe_load import from_json, from_yaml
from ..provenance import PRUNED_SYSTEM, SYNTHETIC, TRANSDUCTIVE_LABEL, is_leaky, with_current_key
from .seed_folders import is_seed_folder

log = logging.getLogger(__name__)

USUAL_SCALE = (1.0, 9.0)  # of ratings in this field: named only beside numbers that are ratings
HISTORY = ["epoch", "train_loss", "train_accuracy", "inner_loss", "inner_accuracy"]


@dataclass(frozen=True)
class Run:
    """A run folder, read."""

    folder: Path
    name: str
    table: pd.DataFrame
    config: dict[str, Any]
    environment: dict[str, Any]
    outside: Origin | None = None  # where it comes from, if another program made it and `folder` is a file

    @property
    def store(self) -> dict[str, Any]:
        """What environment.json says of the store."""
        return self.environment.get("store") or {}

    @property
    def data(self) -> dict[str, Any]:
        """What environment.json says of the windows and labels that were used."""
        return self.environment.get("data") or {}

    def scale(self, target: str) -> tuple[float, float] | None:
        """Return the scale of a target's rating; None if the run does not say it, or there is none."""
        scales = self.data.get("scales")
        limits = scales.get(target) if isinstance(scales, dict) else None
        if not isinstance(limits, list) or len(limits) != 2 or not all(isinstance(x, int | float) for x in limits):
            return None
        return float(limits[0]), float(limits[1])

    def class_names(self, target: str) -> tuple[str, ...]:
        """Return the names of a target's several classes in the order of their numbers; none if the run has none."""
        classes = self.data.get("classes")
        counts = classes.get(target) if isinstance(classes, dict) else None
        return tuple(map(str, counts)) if isinstance(counts, dict) else ()


@dataclass(frozen=True)
class Result:
    """One target of one run, scored. `label` is unique among those of its section and protocol.

    Of several seeds (seed_groups.py) `scores` are means over `members`; run and table are those of the first.
    """

    run: Run
    table: pd.DataFrame
    scores: Scores
    label: str
    members: tuple["Result", ...] = ()  # the results of single seeds; none of a result of one seed

    def key(self, name: str) -> str:
        """Return the value of one of predictions.KEYS, as text."""
        return str(self.scores.keys[name])

    @property
    def by_seed(self) -> dict[int, "Result"]:
        """The results of single seeds, by seed: of a result of one seed itself."""
        return {int(r.scores.keys["seed"]): r for r in self.members or (self,)}

    @property
    def seeds(self) -> str:
        """Its seeds in words: "0", "0, 1, 2"."""
        return ", ".join(map(str, self.by_seed))

    @property
    def study(self) -> tuple[str, str, str, str]:
        """Dataset, target, scope and task: results that differ in one of these are never compared."""
        return self.key("dataset"), self.key("target"), self.key("scope"), self.scores.task

    @property
    def section(self) -> tuple:
        """Study, classes and scale: what the results in one table share."""
        return *self.study, self.scores.classes, self.scale or USUAL_SCALE

    @property
    def scale(self) -> tuple[float, float] | None:
        """The scale of the rating; None if the run does not say it, or there is none."""
        return self.run.scale(self.key("target"))

    @property
    def target_name(self) -> str:
        """The target, with what must be known of it: that it is a number or has several classes, and its scale unless
        it is 1 to 9."""
        target, scores, scale = self.key("target"), self.scores, self.scale
        if scores.task == "regression":
            return f"{target} as a number" + (f" from {scale_in_words(scale)}" if scale else "")
        if scores.task == "multiclass":
            several = f"{target} in {len(scores.classes)} classes"
            target = "quadrants of valence and arousal" if target == QUADRANT else several
        return target if scale in (None, USUAL_SCALE) else f"{target} (scale {scale_in_words(scale)})"

    @property
    def title(self) -> str:
        """Label, target, protocol and scope, for headings and figures."""
        within = " within each subject" if self.key("scope") == "per-subject" else ""
        return f"{self.label}: {self.target_name}, protocol {self.key('protocol')}{within}"

    @property
    def stamped(self) -> dict[str, str]:
        """The columns by which each row of a table for other software says what its numbers are of."""
        return {name: self.key(name) for name in ("dataset", "protocol")} | {"stamps": "; ".join(self.scores.stamps)}

    @property
    def synthetic(self) -> bool:
        """Whether it was measured on synthetic data."""
        return SYNTHETIC in self.scores.stamps


def read_results(
    folders: Sequence[Path], scored: Sequence[Result] = (), n_permutations: int = statistics.N_PERMUTATIONS
) -> tuple[list[Result], list[GbvnetError]]:
    """Score every run folder. Returns results, honest protocols first, and the errors of folders that cannot be used.

    scored : results that were read before; they are sorted in among the others

    Predictions that were read already, as of an audit and of its run, or of a run and its copy, count once: twice, they
    would be compared with themselves and make every adjusted p larger.

    Raises BadRun if not one of them can be used.
    """
    results = list(scored)
    errors: list[GbvnetError] = []
    unique = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    for folder, name in zip(unique, run_names(unique), strict=True):
        try:
            run = read_run(folder, name)
        except GbvnetError as error:
            errors.append(error)
            continue
        for table in metrics.split_results(run.table):
            if again := next((r for r in results if any(_same(one.table, table) for one in r.by_seed.values())), None):
                log.warning("%s: the predictions of %s again; they count once", name, again.run.name)
                continue
            log.info("scoring %s", name)
            scores = evaluate(table, n_permutations, classes=run.class_names(str(table["target"].iloc[0])))
            if run.store.get("synthetic") and SYNTHETIC not in scores.stamps:
                scores = replace(scores, stamps=(*scores.stamps, SYNTHETIC))
            results.append(Result(run, table, scores, str(scores.keys["modality"])))
    if not results:
        if len(errors) == 1:
            raise errors[0]
        messages = "; ".join(map(str, errors)) or "no folder was given"
        raise BadRun("report", "at least one finished run", messages)
    return order_and_label(results), errors


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables hold the same predictions; the keys, which tell most runs apart, are looked at first."""
    of_one, of_other = (table[predictions.KEYS].iloc[0].tolist() for table in (one, other))
    if len(one) != len(other) or of_one != of_other:
        return False
    return one.reset_index(drop=True).equals(other.reset_index(drop=True))


def run_names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each run folder: its own, with as many of the folders above it as tell it from the others."""
    names = [folder.name for folder in folders]
    of_seeds = [is_seed_folder(folder) for folder in folders]
    for n in (2, 3):
        longer = ["/".join(folder.parts[-n:]) for folder in folders]
        alike = [names.count(name) > 1 or (of_seed and n == 2) for name, of_seed in zip(names, of_seeds, strict=True)]
        names = [more if again else name for name, more, again in zip(names, longer, alike, strict=True)]
    return names


def read_run(folder: Path, name: str) -> Run:
    """Read a run folder. Raises BadRun if anything that a report needs is missing or damaged."""
    table = predictions.read_run(folder)
    config, environment = (_read_dict(folder / file) for file in ("config.yaml", "environment.json"))
    predictions.check_run_format(folder / "environment.json", environment)
    if isinstance(environment.get("store"), dict):
        environment["store"] = with_current_key(environment["store"])
    return Run(folder, name, table, present_names(config), environment)


def read_history(run: Run, target: str) -> pd.DataFrame | None:
    """Read loss and accuracy by fold and epoch; None for a system without epochs. Raises BadRun if damaged."""
    files = sorted(run.folder.glob(f"fold*/{target}/history.csv")) or sorted(run.folder.glob("fold*/both/history.csv"))
    histories = []
    for file in files:
        try:
            history = pd.read_csv(file)
        except (OSError, ValueError) as error:
            raise BadRun(file, "a table of epochs", f"one that does not open ({error})") from None
        absent = [column for column in HISTORY if column not in history]
        if absent:
            raise BadRun(file, f"the columns {', '.join(HISTORY)}", f"a table without {', '.join(absent)}")
        histories.append(history.assign(fold=file.parents[1].name))
    return pd.concat(histories, ignore_index=True) if histories else None


def _read_dict(path: Path) -> dict[str, Any]:
    again = "The run may have been copied in part; copy it again, or run `gbvnet crossval` again."
    try:
        text = path.read_text(encoding="utf-8")
        held = from_json(text) if path.suffix == ".json" else from_yaml(text)
    except FileNotFoundError:
        raise BadRun(path, "a file that every finished run has", "no such file", again) from None
    except (OSError, ValueError) as error:
        raise BadRun(path, "settings by name", f"a file that does not read ({error})", again) from None
    if not isinstance(held, dict):
        raise BadRun(path, "settings by name", type(held).__name__, again)
    for name in ("store", "data"):
        if not isinstance(held.get(name) or {}, dict):
            raise BadRun(path, f"settings by name under {name}", repr(held[name])[:200], again)
    return held


def _order(result: Result) -> tuple:
    honest = [name for name in PROTOCOLS if not is_leaky(name)]
    protocols = honest + [name for name in PROTOCOLS if name not in honest]
    return (
        result.key("dataset"),
        result.key("target") != "valence",
        result.key("target"),
        TASKS.index(result.scores.task),
        result.scores.classes,
        result.scale or USUAL_SCALE,
        result.key("scope"),
        protocols.index(result.key("protocol")),
        result.key("system") != "gbvnet",
        result.key("system"),
        MODALITIES.index(result.key("modality")) if result.key("modality") in MODALITIES else len(MODALITIES),
        int(result.scores.keys["seed"]),
        result.run.name,
    )


def order_and_label(results: Sequence[Result]) -> list[Result]:
    """Return results in the order of a report, each with a label that is unique in its section and protocol."""
    named = (replace(r, label=r.key("modality") + _how_trained(r)) for r in results)
    return _labelled(sorted(named, key=_order))


def _how_trained(result: Result) -> str:
    """What the label says of a run whose settings were searched for in each fold, or that saw tested signals."""
    config = result.run.config
    transductive = is_transductive(result.key("modality"), config)
    return ", tuned" * ("tuning" in config) + TRANSDUCTIVE_LABEL * transductive


def _labelled(results: list[Result]) -> list[Result]:
    """Add to the modality the system if there are several, it is of another program or was pruned, and, where two would
    still be alike, seed or run name."""
    systems = {result.key("system") for result in results}
    if len(systems) > 1 or PRUNED_SYSTEM in "".join(systems) or any(result.run.outside for result in results):
        results = [replace(r, label=f"{r.key('system')} {r.label}") for r in results]

    def where(result: Result) -> tuple:
        return (*result.section, result.key("protocol"), result.label)

    for addition in (lambda r: f" (seed{'s' * (len(r.by_seed) > 1)} {r.seeds})", lambda r: f" ({r.run.name})"):
        twins: dict[tuple, list[str]] = {}
        for result in results:
            twins.setdefault(where(result), []).append(addition(result))
        results = [replace(r, label=r.label + addition(r)) if len(set(twins[where(r)])) > 1 else r for r in results]
    return results


# --- comparison ---

Kind = Literal["fusion", "system", "leak", "other"]


@dataclass(frozen=True)
class Comparison:
    """One question about two results on the same rows: is a above b (or, for kind `other`, do they differ)?"""

    kind: Kind
    a: Result
    b: Result
    paired: statistics.PairedTest  # of the headline score by window of each subject
    p_holm: float = float("nan")  # adjusted over the questions of a section, those about the leak apart
    left_out: int = 0  # subjects of whom one of the two scores is undefined
    seeds: SeedDifference | None = None  # how the difference varies over the seeds that both have, if there are several

    @property
    def question(self) -> str:
        """The question in words."""
        a, b = self.a, self.b
        if self.kind == "leak":
            return f"{a.label}: LEAKY protocol {a.key('protocol')} above {b.key('protocol')}?"
        verb = "differs from" if self.kind == "other" else "above"
        return f"{a.label} {verb} {b.label}? ({a.key('protocol')})"

    @property
    def undecidable(self) -> bool:
        """Whether no data of so few subjects that differ could have given p of at most 0.05."""
        return self.paired.smallest_p > 0.05

    @property
    def conclusion(self) -> str:
        """The answer at a level of 0.05; "not shown" does not mean that the two are equal."""
        if self.p_holm <= 0.05:
            return "yes"
        return "too few subjects to tell" if self.undecidable else "not shown"


def compare(results: Sequence[Result], fixed_only: bool = False) -> tuple[list[Comparison], list[str]]:
    """Test every pair of results that share dataset, target, scope and task. Returns the answers, and what was not
    compared. Of results of several seeds the seeds that both have are compared, by the mean of each subject over them:
    one question, whatever the number of seeds.

    Which of a pair is expected to be above is fixed here, before any number is seen: fusion above its parts, GBV-Net
    above another system, the leaky protocol above an honest one. Other pairs are tested for a difference, or, with
    `fixed_only`, not at all: among many results they would be most of the family.
    """
    comparisons: list[Comparison] = []
    refused: dict[str, list[str]] = {}
    for one, other in combinations(results, 2):
        question = _question(one, other)
        if question is None or (fixed_only and question[0] == "other"):
            continue
        kind, a, b = question
        why = not_comparable(a, b)
        if why:
            refused.setdefault(why, []).append(f"{a.run.name} and {b.run.name}")
            continue
        scores = scores_by_subject({"a": a, "b": b})
        defined = scores.dropna()
        direction: Literal["greater", "two-sided"] = "two-sided" if kind == "other" else "greater"
        paired = statistics.paired_test(defined["a"], defined["b"], direction)
        over_seeds = difference_over_seeds(*(subject_scores_by_seed(r) for r in (a, b)))
        comparisons.append(Comparison(kind, a, b, paired, left_out=len(scores) - len(defined), seeds=over_seeds))
    families: dict[tuple, list[int]] = {}
    for number, comparison in enumerate(comparisons):
        families.setdefault((*comparison.a.section, comparison.kind == "leak"), []).append(number)
    for numbers in families.values():
        adjusted = statistics.adjust_holm([comparisons[k].paired.p for k in numbers])
        for k, p in zip(numbers, adjusted, strict=True):
            comparisons[k] = replace(comparisons[k], p_holm=float(p))
    pairs = {why: list(dict.fromkeys(names)) for why, names in refused.items()}
    more = {why: f" and {len(names) - 1} more pairs" if len(names) > 1 else "" for why, names in pairs.items()}
    return comparisons, [f"Not compared, as {why}: {names[0]}{more[why]}." for why, names in pairs.items()]


def scores_by_subject(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return the headline score by window of results that test the same rows: one row a subject, one column a result.

    Of results of several seeds the mean over the seeds that all have; with one of another program, whose seeds are none
    of gbvnet's, over all seeds of each. NaN where it is undefined, as a CCC is of ratings that are all equal.
    """
    common = common_seeds(list(results.values()))
    foreign = any(result.run.outside for result in results.values())
    columns = {}
    for name, result in results.items():
        by_seed = subject_scores_by_seed(result)
        seeds = by_seed if foreign else common
        columns[name] = pd.DataFrame({seed: by_seed[seed] for seed in seeds}).mean(axis=1, skipna=False)
    return pd.DataFrame(columns)


def subject_scores_by_seed(result: Result) -> dict[int, pd.Series]:
    """Return the headline score by window of each subject, by seed."""
    return {
        seed: r.scores.subjects.set_index("subject")[r.scores.main] for seed, r in result.by_seed.items()
    }  # fmt: skip


def common_seeds(results: Sequence[Result]) -> list[int]:
    """Return the seeds that all results have, ascending."""
    return sorted(set.intersection(*(set(r.by_seed) for r in results)))


def _question(one: Result, other: Result) -> tuple[Kind, Result, Result] | None:
    if one.study != other.study:
        return None
    same_system = one.key("system") == other.key("system")
    if one.key("protocol") != other.key("protocol"):
        same = same_system and one.key("modality") == other.key("modality")
        if not same or one.scores.leaky == other.scores.leaky:
            return None
        return ("leak", one, other) if one.scores.leaky else ("leak", other, one)
    if one.scores.leaky:  # which of two systems leaks more is no question of this package
        return None
    if same_system:
        for a, b in ((one, other), (other, one)):
            if _has_part(a.key("modality"), b.key("modality")):
                return "fusion", a, b
    elif one.key("modality") == other.key("modality"):
        for a, b in ((one, other), (other, one)):
            if a.key("system") == "gbvnet":
                return "system", a, b
    return "other", one, other


def _has_part(whole: str, part: str) -> bool:
    """Whether `whole` is the face with signals, and `part` is the face or those same signals alone."""
    return uses_face(whole) and uses_signals(whole) and part in ("face", whole.removeprefix("face"))


def not_comparable(a: Result, b: Result) -> str:
    """Return why two results of one study cannot be compared; "" if they can."""
    by_rows = a.run.outside or b.run.outside  # another program names no store, and its seed is none of gbvnet's
    for name, of_a, of_b in (
        ("store", str(a.run.store.get("digest"))[:12], str(b.run.store.get("digest"))[:12]),
        ("rule of the classes", a.run.config.get("rule"), b.run.config.get("rule")),
        ("scale of the rating", _scale_words(a), _scale_words(b)),
        ("classes", ", ".join(a.scores.classes), ", ".join(b.scores.classes)),
        *([] if common_seeds([a, b]) else [("seed", a.seeds, b.seeds)]),
    ):
        if of_a != of_b and not (by_rows and name in ("store", "seed")):
            verb = "differ" if name == "classes" else "differs"
            return f"the {name} {verb} ({', '.join(sorted((str(of_a), str(of_b))))})"
    rows = describe_row_difference(a, b)
    return f"they do not test the same rows ({rows})" if rows else ""


def describe_row_difference(a: Result, b: Result) -> str:
    """Return in what tested windows or labels differ at a seed that both have; "" if they are the same."""
    of_a, of_b = a.by_seed, b.by_seed
    pairs = [(of_a[s], of_b[s]) for s in common_seeds([a, b])] or [(a, b)]  # none with a result of another program
    differ = (metrics.describe_row_difference(one.table, other.table) for one, other in pairs)
    return next(filter(None, differ), "")


def _scale_words(result: Result) -> str:
    return scale_in_words(result.scale or USUAL_SCALE)
