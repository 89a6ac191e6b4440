"""The reference of the public names: which modules are public, and their pages in docs/reference/api, written before a
build.

The names of `import gbvnet` have a page each. A public module has one page with all names that it defines.
"""

import importlib
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from docstrings import first_sentence, heading

# The names of `import gbvnet` in the order in which they are used.
TOP_LEVEL = {
    "Corpora and stores": [
        "open_corpus", "check_corpus", "prepare_store", "open_store", "WindowDataset", "to_mne_epochs",
    ],
    "Experiments": [
        "cross_validate", "cross_validate_seeds", "tune", "compare", "audit", "transfer", "explain_run", "write_report",
        "ProtocolSplit", "Cluster",
    ],
    "Models": ["train_model", "load_model", "save_model", "export_onnx", "GBVNet", "HubGBVNet"],
    "Prediction": ["predict_files", "predict_recording", "Predictor", "EmotionStream", "StreamSettings"],
    "Settings and errors": [
        "PrepareConfig", "CrossvalConfig", "CompareConfig", "AuditConfig", "TuneConfig", "ExplainConfig", "FinalConfig",
        "ModelConfig", "TrainConfig", "GBVNetConfig", "Times", "GbvnetError",
    ],
}  # fmt: skip

# Public modules. What else there is may change without notice.
MODULES = {
    "Contracts of plug-ins": [
        "systems", "systems.adapters", "systems.learners.neural", "systems.learners.linear",
        "systems.learners.classical", "datasets",
        "datasets.recording", "datasets.label_columns", "datasets.label_traces", "datasets.signal_sources",
        "store.modalities", "store.add_modality", "testing",
    ],
    "Corpora": [
        "datasets.check", "datasets.channel_names", "datasets.units", "datasets.single_recording", "io.frame_times",
    ],
    "Preprocessing": [
        "preprocessing.windowing", "preprocessing.signals", "preprocessing.landmarks", "preprocessing.alignment",
        "preprocessing.face_windows", "preprocessing.face_statistics",
    ],
    "Stores": [
        "store.window_source", "store.reader", "store.prepare", "store.interop", "store.channels", "store.joined",
        "store.subset",
    ],
    "Protocols": [
        "evaluation.splitter", "evaluation.splits", "evaluation.plan", "evaluation.split_check", "evaluation.targets",
    ],
    "Predictions, metrics and statistics": [
        "evaluation.predictions", "evaluation.outside_predictions", "evaluation.metrics", "evaluation.binary",
        "evaluation.multiclass", "evaluation.regression", "evaluation.task_metrics", "evaluation.scores",
        "evaluation.seed_means", "evaluation.chance", "evaluation.statistics", "evaluation.ranking",
        "evaluation.agreement",
    ],
    "The network": [
        "network.model", "network.fusions", "network.batches", "network.augment", "network.objectives",
        "network.pruning", "network.complexity", "network.pretrained", "network.backbones",
        "network.checkpoint.checkpoint", "network.checkpoint.describe", "network.checkpoint.hub_model",
        "network.checkpoint.onnx", "network.checkpoint.int8",
    ],
    "Experiments and reports": [
        "experiments.crossval", "experiments.seed_group", "experiments.compare", "experiments.audit",
        "experiments.tune", "experiments.transfer", "experiments.explain", "experiments.train", "experiments.prune",
        "experiments.side_by_side", "experiments.run_folder", "report.report", "report.results",
    ],
    "Prediction": [
        "inference.predictor", "inference.prediction", "inference.predict", "inference.batch",
        "inference.streaming.emotion_stream",
    ],
    "Machines, progress and errors": ["parallel.tasks", "parallel.ray_cluster", "progress", "plugins", "errors"],
}  # fmt: skip

FOLDER = Path(__file__).parents[1] / "reference" / "api"


def public_names(module: ModuleType) -> list[str]:
    """Return the public functions and classes of a module: those of `__all__`, or those that it defines itself."""
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [name for name in vars(module) if not name.startswith("_")]
    return [name for name in names if _is_documented(getattr(module, name), module, listed is not None)]


def _is_documented(obj: object, module: ModuleType, listed: bool) -> bool:
    if not (inspect.isclass(obj) or inspect.isroutine(obj)):
        return False
    return listed or obj.__module__ == module.__name__


@cache
def documented() -> dict[str, str]:
    """Return where each public object is documented: its own module and name -> its name in the reference."""
    import gbvnet

    places: dict[str, str] = {}
    for name in (name for names in TOP_LEVEL.values() for name in names):
        obj = getattr(gbvnet, name)
        places[f"{obj.__module__}.{obj.__qualname__}"] = f"gbvnet.{name}"
    for own in (True, False):  # where it is defined, if that module is public; else where it is listed
        for module in map(_load, modules()):
            for name in public_names(module):
                obj = getattr(module, name)
                if (obj.__module__ == module.__name__) == own:
                    places.setdefault(f"{obj.__module__}.{obj.__qualname__}", f"{module.__name__}.{name}")
    for name in public_names(_load("gbvnet.config")):
        places.setdefault(f"gbvnet.config.{name}", f"gbvnet.config.{name}")
    return places


@cache
def link_targets() -> dict[str, str]:
    """Return what a public name in a text leads to, by the name as texts write it; none that two objects have."""
    targets: dict[str, str] = {}
    twice: set[str] = set()
    for place in documented().values():
        name = place.rpartition(".")[2]
        if name in targets:
            twice.add(name)
        targets[name] = place
    return {name: place for name, place in targets.items() if name not in twice} | {
        place: place for place in documented().values()
    }


def _names_with_pages() -> list[str]:
    """The names of `import gbvnet`, without the classes of settings, which are on the page of settings."""
    import gbvnet

    names = [name for names in TOP_LEVEL.values() for name in names]
    return [name for name in names if getattr(gbvnet, name).__module__ != "gbvnet.config"]


def modules() -> list[str]:
    return [f"gbvnet.{name}" for names in MODULES.values() for name in names]


def _load(name: str) -> ModuleType:
    return importlib.import_module(name)


def pages() -> dict[str, str]:
    """Return the pages of the reference: name in docs/reference/api -> reStructuredText."""
    import gbvnet

    texts = {"index": _index(), "modules": _modules_index()}
    for name in _names_with_pages():
        texts[f"gbvnet.{name}"] = _page_of_name(f"gbvnet.{name}", getattr(gbvnet, name))
    return texts | {name: _page_of_module(_load(name)) for name in modules()}


def _autodoc(place: str, obj: object) -> str:
    if not inspect.isclass(obj):
        return f".. autofunction:: {place}\n"
    kind = "autoexception" if issubclass(obj, BaseException) else "autoclass"
    bases = [base for base in obj.__bases__ if base.__module__.startswith("gbvnet")]
    return f".. {kind}:: {place}\n   :members:\n" + "   :show-inheritance:\n" * bool(bases)


def _page_of_name(place: str, obj: object) -> str:
    return "\n".join([heading(place, "="), ".. currentmodule:: gbvnet\n", _autodoc(place, obj)])


def _page_of_module(module: ModuleType) -> str:
    objects = {_place(module, name): getattr(module, name) for name in public_names(module)}
    return "\n".join(
        [
            heading(module.__name__, "="),
            f".. automodule:: {module.__name__}\n   :no-members:\n\n.. py:currentmodule:: None\n",
            *(_table(objects) if objects else ()),
            *(_autodoc(place, obj) for place, obj in objects.items() if place.startswith(module.__name__ + ".")),
        ]
    )


def _place(module: ModuleType, name: str) -> str:
    obj = getattr(module, name)
    return documented()[f"{obj.__module__}.{obj.__qualname__}"]


def _index() -> str:
    import gbvnet

    parts = [
        heading("Python API", "="),
        "What ``import gbvnet`` gives: every command as a function, and the objects that they take and return. Each "
        "name is loaded when it is first used. :doc:`modules` has what lies below: contracts of plug-ins, and parts of "
        "the package on their own.\n",
    ]
    for title, names in TOP_LEVEL.items():
        parts += [heading(title, "-"), *_table({_place(gbvnet, name): getattr(gbvnet, name) for name in names})]
    return "\n".join(
        [
            *parts,
            *_contents(f"gbvnet.{name}" for name in _names_with_pages()),
            ".. toctree::\n   :hidden:\n\n   modules\n",
        ]
    )


def _modules_index() -> str:
    parts = [
        heading("Public modules", "="),
        "For plug-ins, for parts of the package on their own, and for what the functions of :doc:`index` return. Names "
        "of other modules may change without notice.\n",
    ]
    for title, names in MODULES.items():
        modules = {f"gbvnet.{name}": _load(f"gbvnet.{name}") for name in names}
        parts += [heading(title, "-"), *_table(modules, "mod"), *_contents(modules, title)]
    return "\n".join(parts)


def _table(objects: Mapping[str, object], role: str = "obj") -> list[str]:
    """Return a table of names with their first sentences. objects : by the place where each is documented"""
    rows = [".. list-table::", "   :widths: auto", "   :class: names", ""]
    for place, obj in objects.items():
        shown = place if role == "mod" else f"~{place}"
        rows += [f"   * - :py:{role}:`{shown}`", f"     - {first_sentence(obj.__doc__ or '', link_targets())}"]
    return [*rows, ""]


def _contents(places: Iterable[str], caption: str = "") -> list[str]:
    """Return a table of contents that only the sidebar shows."""
    options = ["   :hidden:", *([f"   :caption: {caption}"] if caption else [])]
    return [".. toctree::", *options, "", *(f"   {place.removeprefix('gbvnet.')} <{place}>" for place in places), ""]


def setup(app):
    """Write the pages before Sphinx looks for its sources, and let pages of source code link back to them.

    A name may be documented elsewhere than it is defined: `gbvnet.audit` of gbvnet/experiments/audit.py. Pages of
    source code (sphinx.ext.viewcode) link to the name where it is defined, so that name becomes an anchor, too.
    """
    from sphinx.addnodes import desc_signature
    from written_pages import write_pages

    defined = {place: name for name, place in documented().items() if place != name}

    def add_anchors(app, doctree) -> None:
        for signature in doctree.findall(desc_signature):
            for anchor in list(signature.get("ids", ())):
                place = next((p for p in defined if anchor == p or anchor.startswith(p + ".")), None)
                if place is not None:
                    signature["ids"].append(defined[place] + anchor.removeprefix(place))

    def name_modules(app, env) -> None:
        for name, entry in getattr(env, "_viewcode_modules", {}).items():
            if entry:
                env._viewcode_modules[name] = (*entry[:3], name)

    app.connect("builder-inited", lambda app: write_pages(FOLDER, pages()))
    app.connect("doctree-read", add_anchors)
    app.connect("env-updated", name_modules)
    return {"parallel_read_safe": True}
