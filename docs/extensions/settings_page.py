"""The page of all settings, made from gbvnet/config.py: each dataclass, with type, default and text of each field."""

import importlib
import inspect
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from api_pages import documented
from docstrings import heading

from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import command_parser

# What the fields of a class are about; of a class that is not here, its name is the heading.
TITLES = {
    "SynthConfig": "Synthetic corpora", "PrepareConfig": "Preparation", "ModelConfig": "The network",
    "Widths": "Widths of a pruned network", "GBVNetConfig": "The complete network", "TrainConfig": "Training",
    "PruneConfig": "Pruning", "SplitConfig": "Splits", "CrossvalConfig": "Cross-validation", "AuditConfig": "Audit",
    "CompareConfig": "Comparison", "TuneConfig": "Search for settings", "FinalConfig": "A model for use",
    "LiveSources": "Real time", "Times": "Times of a recording", "ExplainConfig": "Explanation",
}  # fmt: skip
FOLDER = Path(__file__).parents[1] / "reference" / "settings"


def settings_classes() -> list[type]:
    """Return the dataclasses of gbvnet/config.py, in its order."""
    module = importlib.import_module("gbvnet.config")
    return [
        c for c in vars(module).values() if inspect.isclass(c) and is_dataclass(c) and c.__module__ == module.__name__
    ]


def own_fields(cls: type) -> list[str]:
    """Return the names of the fields that a class has and its base classes do not have."""
    inherited = {f.name for base in cls.__bases__ if is_dataclass(base) for f in fields(base)}
    return [f.name for f in fields(cls) if f.name not in inherited]


def prefixes(cls: type) -> list[str]:
    """Return what stands before the names of a class' fields: "train." for a class that others hold as `train`."""
    held = {f"{name}." for other in settings_classes() for name, hint in get_type_hints(other).items() if hint is cls}
    return sorted(held) or [""]


def commands_with(cls: type) -> list[str]:
    """Return the commands that have most of the fields of a class, without those of its base classes, as options."""
    names = {prefix + name for prefix in prefixes(cls) for name in own_fields(cls)}
    return [
        name
        for name in COMMANDS
        if len(names & {action.dest for action in command_parser(name)[0]._actions}) > len(names) / 2
    ]


def page() -> str:
    """Return the page as reStructuredText."""
    parts = [
        heading("Settings", "="),
        "Every setting with its type, default and meaning. A field is an option of the commands that are named "
        "(``--train.epochs 20``), a name in a YAML file (``--config``), and an argument of the class in Python: "
        "``CrossvalConfig(train=TrainConfig(epochs=20))``. *paper* marks a value of the paper, *implementation choice* "
        "one that it does not give; :doc:`/method` has the reasons.\n",
        ".. code-block:: yaml\n\n    protocol: subject\n    target: valence\n    train:\n      epochs: 20\n",
    ]
    for cls in settings_classes():
        place = documented()[f"gbvnet.config.{cls.__name__}"]
        prefix = prefixes(cls)[0]
        named = ", ".join(f":doc:`gbvnet {name} </reference/commands/{name}>`" for name in commands_with(cls))
        parts.append(heading(TITLES.get(cls.__name__, cls.__name__), "-"))
        if named:
            parts.append(f"Options ``--{prefix}NAME`` of {named}.\n")
        bases = any(is_dataclass(base) for base in cls.__bases__)
        parts.append(f".. autoclass:: {place}\n    :members:\n" + "    :show-inheritance:\n" * bases)
    return "\n".join(parts)


def setup(app):
    """Write the page before Sphinx looks for its sources."""
    from written_pages import write_pages

    app.connect("builder-inited", lambda app: write_pages(FOLDER, {"index": page()}))
    return {"parallel_read_safe": True}
