"""The description of a model for `gbvnet model show`: input, output, training and scores. Without torch: fast."""

import math
from itertools import groupby
from pathlib import Path
from typing import Any

from ...config import GBVNetConfig, Widths, uses_face, uses_signals
from ...errors import BadModel
from ...provenance import model_stamps
from .folder import (
    CONFIG,
    TENSORS,
    Header,
    build_config,
    plain,
    printable,
    read_config,
    read_header,
    refuse_edited,
)
from .hub import find_model
from .tested_accuracy import accuracy_statement

BUFFERS = (
    "signal_mean",
    "signal_sd",
    "mean",
    "sd",
    "running_mean",
    "running_var",
    "num_batches_tracked",
)  # tensors that are not trained parameters
RULES = {">=5": "a rating of 5 or more", ">5": "a rating above 5", "median": "a rating above each subject's own median"}
_USUAL_SCALES = ([[1, 9]], [[1, 9], [1, 9]], [[1.0, 9.0]])
UNKNOWN = "not stated"
SHOWN_ELSEWHERE = ("faces", "signals", "frames_per_window", "face_side", "channels")  # settings of the preparation
WIDTH = 15  # of the column of names

Lines = list[tuple[str, str]]  # name and value


def describe_model(name: str | Path) -> str:
    """Return the description of a model folder, or a model of the hub, in lines. The tensors are not read.

    Raises BadModel for a folder that is incomplete, pickled, edited, damaged or of a newer format.
    """
    folder = find_model(name)
    text, content = read_config(folder)
    config, about = build_config(folder / CONFIG, content["config"]), content["about"]
    header = read_header(folder / TENSORS)
    refuse_edited(folder, text, header)
    _refuse_other_channels(folder, config, header, about)
    parts = {
        "input": _input(config, about),
        "output": _output(config, about),
        "training": _training(config, header, about),
        "scores": [(str(key), plain(value)) for key, value in _table(about, "scores").items()],
    }
    lines = [f"{name}: GBV-Net, {config.modality}, {config.variant}", *model_stamps(about), accuracy_statement(about)]
    for part, entries in parts.items():
        if entries:
            lines += ["", part, *(f"  {key:<{WIDTH}} {value}" for key, value in entries)]
    if header.config_digest is None:
        lines += [
            "",
            "note  these tensors do not state which config they belong to: an edited config would not be noticed",
        ]
    return "\n".join(printable(line) for line in lines)


def _refuse_other_channels(folder: Path, config: GBVNetConfig, header: Header, about: dict) -> None:
    """Compare the number of channels in config, tensors and `about`, which needs no network. Raises BadModel."""
    if not uses_signals(config.modality):
        return
    shape = header.shapes.get("signal_mean")
    if shape != (config.n_channels,):
        actual = f"signal_mean {shape}" if shape else "no signal_mean"
        raise BadModel(folder / TENSORS, f"the mean of {config.n_channels} channels", actual, "Fetch the model again.")
    channels = about.get("channels")
    if channels is not None and (not _are_pairs(channels) or len(channels) != config.n_channels):
        expected = f"{config.n_channels} channels as [name, kind]"
        raise BadModel(folder / CONFIG, expected, f"{plain(channels)[:80]!r}", "Restore the file.")


def _input(config: GBVNetConfig, about: dict) -> Lines:
    lines: Lines = []
    if uses_face(config.modality) and config.face_input == "features":
        lines.append(("face", f"{config.n_frames} frames per window, {config.n_face_features} features a frame"))
        names = about.get("face_features")
        lines.append(("  features", " ".join(map(str, names)) if isinstance(names, list) else UNKNOWN))
    elif uses_face(config.modality):
        side = about.get("face_side")
        size = f"{side} x {side} pixels" if side else f"side {UNKNOWN}, at least 32 pixels"
        lines.append(("face", f"{config.n_frames} frames per window, aligned, RGB, {size}"))
    if uses_signals(config.modality):
        rate = about.get("rate_hz")
        at = f" at {plain(rate)} Hz" if rate else ""
        lines.append(("signals", f"{config.n_channels} channels x {config.n_samples} samples per window{at}"))
        lines += _channels(about.get("channels") or [])
        lines.append(
            ("normalised", _NORMALISED.get(about.get("normalise", ""), plain(about.get("normalise", UNKNOWN))))
        )
    prepared = _table(about, "prepare").items()
    lines += [(key, plain(value)) for key, value in prepared if value is not None and key not in SHOWN_ELSEWHERE]
    if "baseline_s" in about:
        lines.append(("baseline_s", f"{plain(about['baseline_s'])} s before the stimulus"))
    either = config.modality_dropout > 0 and uses_face(config.modality) and uses_signals(config.modality)
    lines.append(("may be missing", "face or signals, not both" if either else "nothing"))
    return lines


_NORMALISED = {
    "train": "by each channel's mean and SD over the training windows, stored in the model",
    "subject": "by each subject's own mean and SD of each channel (transductive: needs a whole recording first)",
}


def _channels(channels: list) -> Lines:
    """The channels in input order, neighbours of one kind on one line."""
    runs = [(str(kind), [str(name) for name, _ in run]) for kind, run in groupby(channels, key=lambda pair: pair[1])]
    return [(f"  {kind}", f"{len(names)}: {' '.join(names)}") for kind, names in runs]


def _output(config: GBVNetConfig, about: dict) -> Lines:
    targets = about.get("targets")
    lines = [("outputs", plain(targets) if targets else f"{config.n_outputs} logits, targets {UNKNOWN}")]
    rule = about.get("rule", about.get("threshold"))
    if about.get("task", "binary") != "binary":
        lines.append(("task", plain(about["task"]) + (f", rule {plain(rule)}" if rule else "")))
    elif rule is not None:
        lines.append(("positive class", RULES.get(str(rule), plain(rule))))
    if "classes" in about:
        lines.append(("classes", plain(about["classes"])))
    if "lag_s" in about:
        lines.append(("lag", f"labels {plain(about['lag_s'])} s later than the windows"))
    if "scales" in about and about["scales"] not in _USUAL_SCALES:
        lines.append(("scale", plain(about["scales"])))
    return lines


def _training(config: GBVNetConfig, header: Header, about: dict) -> Lines:
    sizes = {name: math.prod(shape) for name, shape in header.shapes.items() if name.split(".")[-1] not in BUFFERS}
    subjects = about.get("subjects")
    lines = [
        ("trained on", plain(about.get("dataset", UNKNOWN))),
        ("subjects", f"{len(subjects)}: {plain(subjects)}" if isinstance(subjects, list) else UNKNOWN),
        ("windows", plain(about.get("n_windows", UNKNOWN))),
        ("protocol", plain(about.get("protocol", UNKNOWN)) + (f", {about['scope']}" if about.get("scope") else "")),
        ("parameters", f"{sum(sizes.values()):,}"),
    ]
    parts = ("variant", "face_time", "local_cnn", "tcn", "self_attention", "residual", "pooling", "fusion")
    lines.append(("network", ", ".join(f"{name} {plain(getattr(config, name))}" for name in parts)))
    lines += pruned_lines(config, about)
    if about.get("excluded"):
        lines.append(("excluded", plain(about["excluded"])))
    if about.get("face_weights"):
        lines.append(("face weights", plain(about["face_weights"])))
    if about.get("chosen_epoch") is not None:
        lines.append(("chosen epoch", plain(about["chosen_epoch"])))
    settings = {key: value for key, value in _table(about, "train").items() if value is not None}
    if settings:
        lines.append(("settings", ", ".join(f"{key} {plain(value)}" for key, value in settings.items())))
    return [*lines, ("store digest", plain(about.get("store_digest", UNKNOWN)))]


def pruned_lines(config: GBVNetConfig, about: dict) -> Lines:
    """How a network was pruned, and its widths; empty for a whole one."""
    if config.widths == Widths():
        return []
    how = _table(about, "pruned")
    widths = "; ".join(f"{name} {plain(value)}" for name, value in vars(config.widths).items() if value)
    lines = [
        ("pruned", f"keeps {plain(how['keep'])} of the channels, by {plain(how.get('by'))}" if "keep" in how else "yes")
    ]
    if "parameters_before" in how:
        lines.append(("  before", f"{how['parameters_before']:,} parameters"))
    if how.get("chosen_epoch"):
        lines.append(("  then trained", f"epoch {how['chosen_epoch']} of at most {plain(how.get('epochs'))}"))
    return [*lines, ("  widths", widths)]


def _table(about: dict, name: str) -> dict[str, Any]:
    """A section of `about`, which may have any content; empty if it is no section."""
    return about[name] if isinstance(about.get(name), dict) else {}


def _are_pairs(channels: Any) -> bool:
    return isinstance(channels, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in channels)
