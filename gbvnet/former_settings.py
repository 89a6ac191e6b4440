"""Settings as earlier versions wrote them into files: their former names and values, and the present ones.

Run folders, recipes and models of before are read by `present_names`. The digest of a run's settings is taken under the
former names, so that a run of before can be continued.
"""

from typing import Any

from .errors import BadConfig
from .text import did_you_mean

# Settings whose names or values were others in files of earlier versions, by their dotted path.
FORMER_NAMES = {"inner": "validation", "threshold": "rule"}  # former name of a setting: its present name
FORMER_VALUES = {"train.select": {"inner": "validation"}}  # setting: {former value: present value}


# Settings that files of earlier versions do not have, and the value that says what those versions did.
_ADDED = {"task": "binary", "train.loss": "mse", "lag_s": 0.0, "model.face_input": "pixels"}

# Files of earlier versions have one group `rival` with the options of all systems, and these defaults.
_RIVAL = {
    "feature_set": "fractal", "classifier": "cart", "svm_windows": 10_000, "head": "elm", "fusion": None,
    "adaboost_log": True,
}  # fmt: skip
_RIVAL_OF = {
    "huang": ("svm_windows", "fusion", "adaboost_log"),
    "mindlink-eumpy": ("fusion", "adaboost_log"),
    "siddharth-like": ("head",),
    "yuvaraj-like": ("feature_set", "classifier", "svm_windows"),
}
_RIVAL_FUSION = {"huang": "enumerate", "mindlink-eumpy": "adaboost"}  # which a fusion of None stood for


def options_of_former_group(rival: Any) -> dict[str, dict[str, Any]]:
    """Return the options of each system from the group `rival` of an earlier version. Raises BadConfig."""
    _require(isinstance(rival or {}, dict), f"rival: expected settings by name, found {rival!r:.60}")
    given = {name: value for name, value in (rival or {}).items() if value is not None}
    for name in given:
        _require(name in _RIVAL, f"no setting rival.{name}; {did_you_mean(name, _RIVAL, 'rival.')}")
    by_system = {system: {n: given[n] for n in names if n in given} for system, names in _RIVAL_OF.items()}
    return {system: options for system, options in by_system.items() if options}


def former_option_group(values: dict) -> dict:
    """Return settings (`to_dict`) with the group `rival` in place of its options, as earlier versions wrote them: by
    these the digest of a run's settings stays the same."""
    system, options = values["system"], dict(values["options"] or {})
    rival = {name: options.pop(name) for name in _RIVAL_OF.get(system, ()) if name in options}
    if rival.get("fusion") == _RIVAL_FUSION.get(system):
        rival.pop("fusion", None)
    others = {name: value for name, value in values.items() if name != "options"}
    return others | {"rival": _RIVAL | rival} | ({"options": options} if options else {})


def _with_task(values: dict) -> dict:
    """Return settings read from a file, with what did not exist when `rule` was called `threshold`: there was one task
    and one loss."""
    if "threshold" not in values:
        return values
    train = values.get("train")
    return (
        {"task": "binary", "lag_s": 0.0}
        | values
        | ({"train": {"loss": "mse"} | train} if isinstance(train, dict) else {})
    )


def _with_model(values: dict) -> dict:
    """Return settings read from a file, with what did not exist when a network could read pictures only. A file that
    gives some settings of the network alone is left as it is."""
    model = values.get("model")
    if not isinstance(model, dict) or not {"variant", "fusion", "modality_dropout"} <= set(model):
        return values
    return values | {"model": {"face_input": "pixels"} | model}


def _with_options(values: dict) -> dict:
    """Return settings read from a file, with `options` in place of an earlier version's `rival`.

    Of a comparison (it has `systems`) they are options by system, of a run those of its system. Raises BadConfig.
    """
    if "rival" not in values:
        return values
    _require("options" not in values, "rival is the former name of options: give one of them")
    by_system = options_of_former_group(values["rival"])
    changed = any(own[name] != _RIVAL[name] for own in by_system.values() for name in own)
    _require(
        not changed or "system" in values or "systems" in values,
        "rival is the former name of options: name the system that they are of in the file, too (system, or systems)",
    )
    options = by_system if "systems" in values else by_system.get(values.get("system", "gbvnet"), {})
    return {name: value for name, value in values.items() if name != "rival"} | {"options": options}


def present_names(values: dict, group: str = "") -> dict:
    """Return settings read from a file with former names and values replaced by the present ones; others are kept.

    group : the dotted path of these settings, "" or with a dot at its end
    Raises BadConfig if a setting is there under both of its names.
    """
    renamed: dict = {}
    for name, value in (values if group else _with_options(_with_model(_with_task(values)))).items():
        new = FORMER_NAMES.get(f"{group}{name}", name)
        _require(
            new == name or new not in values, f"{group}{name} is the former name of {group}{new}: give one of them"
        )
        if isinstance(value, dict):
            value = present_names(value, f"{group}{name}.")
        elif isinstance(value, str):
            value = FORMER_VALUES.get(f"{group}{new}", {}).get(value, value)
        renamed[new] = value
    return renamed


def present_recipe(values: dict) -> dict:
    """Return a recipe read from a file with the present names of its own settings, `people` and `paper_people`."""
    names = {"people": "subjects_from", "paper_people": "paper_subjects"}
    renamed = {names.get(name, name): value for name, value in values.items()}
    if renamed.get("subjects_from") == "found":
        renamed["subjects_from"] = "store"
    return renamed


def former_names(flat: dict[str, Any]) -> dict[str, Any]:
    """Return settings by dotted path with the first version's names and values, so that their digest stays the same."""
    if flat.get("rule", "") is None:
        flat = flat | {"rule": ">=5"}  # the default of then
    names = {new: name for name, new in FORMER_NAMES.items()}
    values = {path: {new: old for old, new in table.items()} for path, table in FORMER_VALUES.items()}
    return {
        names.get(path, path): values[path].get(value, value) if path in values else value
        for path, value in flat.items()
        if path not in _ADDED or value not in (_ADDED[path], None)
    }


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise BadConfig(message)
