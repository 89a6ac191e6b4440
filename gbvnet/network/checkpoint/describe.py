"""What `gbvnet model show` says: what a model reads, what it answers, how it was made. No torch, so at once."""

import math
from itertools import groupby
from pathlib import Path
from typing import Any

from ...config import GBVNetConfig, uses_face, uses_signals
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
from .worth import worth

BUFFERS = ("signal_mean", "signal_sd", "running_mean", "running_var", "num_batches_tracked")  # tensors, not learnt
RULES = {">=5": "a rating of 5 or more", ">5": "a rating above 5", "median": "a rating above each subject's own median"}
UNKNOWN = "not told"
TOLD = ("faces", "signals", "frames_per_window", "face_side", "channels")  # of the preparation, told by its result
WIDTH = 15  # of the names' column

Lines = list[tuple[str, str]]  # name and value


def passport(name: str | Path) -> str:
    """A model folder, or a model of the hub, told in lines. The tensors themselves are not read.

    Raises BadModel for a folder that is incomplete, pickled, edited, damaged or of a newer format.
    """
    folder = find_model(name)
    text, made = read_config(folder)
    config = build_config(folder / CONFIG, made["config"])
    header = read_header(folder / TENSORS)
    refuse_edited(folder, text, header)
    _refuse_other_channels(folder, config, header, made["about"])
    about = made["about"]
    parts = {
        "reads": _reads(config, about),
        "answers": _answers(config, about),
        "made": _made(config, header, about),
        "scores": [(str(key), plain(value)) for key, value in _table(about, "scores").items()],
    }
    lines = [f"{name}: GBV-Net, {config.modality}, {config.variant}", *model_stamps(about), worth(about)]
    for part, told in parts.items():
        if told:
            lines += ["", part, *(f"  {key:<{WIDTH}} {value}" for key, value in told)]
    if header.digest is None:
        lines += ["", "note  these tensors do not say which config they belong to: an edited one would not be noticed"]
    return "\n".join(printable(line) for line in lines)


def _refuse_other_channels(folder: Path, config: GBVNetConfig, header: Header, about: dict) -> None:
    """The few numbers that can be compared without building the network."""
    if not uses_signals(config.modality):
        return
    shape = header.shapes.get("signal_mean")
    if shape != (config.n_channels,):
        found = f"signal_mean {shape}" if shape else "no signal_mean"
        raise BadModel(folder / TENSORS, f"the mean of {config.n_channels} channels", found, "Fetch the model again.")
    named = about.get("channels")
    if named is not None and (not _pairs(named) or len(named) != config.n_channels):
        expected = f"{config.n_channels} channels as [name, kind]"
        raise BadModel(folder / CONFIG, expected, f"{plain(named)[:80]!r}", "Restore the file.")


def _reads(config: GBVNetConfig, about: dict) -> Lines:
    lines: Lines = []
    if uses_face(config.modality):
        side = about.get("face_side")
        size = f"{side} x {side} pixels" if side else f"side {UNKNOWN}, at least 32 pixels"
        lines.append(("face", f"{config.n_frames} frames a window, aligned, RGB, {size}"))
    if uses_signals(config.modality):
        rate = about.get("rate_hz")
        at = f" at {plain(rate)} Hz" if rate else ""
        lines.append(("signals", f"{config.n_channels} channels x {config.n_samples} samples a window{at}"))
        lines += _channels(about.get("channels") or [])
        lines.append(
            ("normalised", _NORMALISED.get(about.get("normalise", ""), plain(about.get("normalise", UNKNOWN))))
        )
    prepared = _table(about, "prepare").items()
    lines += [(key, plain(value)) for key, value in prepared if value is not None and key not in TOLD]
    if "baseline_s" in about:
        lines.append(("baseline_s", f"{plain(about['baseline_s'])} s before the stimulus"))
    either = config.modality_dropout > 0 and uses_face(config.modality) and uses_signals(config.modality)
    lines.append(("may lack", "its face or its signals, not both" if either else "nothing"))
    return lines


_NORMALISED = {
    "train": "by each channel's mean and SD over the training windows, kept in the model",
    "subject": "by each person's own mean and SD of each channel (transductive: a whole recording is needed first)",
}


def _channels(channels: list) -> Lines:
    """The channels in the order in which they are read, neighbours of one kind on one line."""
    runs = [(str(kind), [str(name) for name, _ in run]) for kind, run in groupby(channels, key=lambda pair: pair[1])]
    return [(f"  {kind}", f"{len(names)}: {' '.join(names)}") for kind, names in runs]


def _answers(config: GBVNetConfig, about: dict) -> Lines:
    targets = about.get("targets")
    lines = [("outputs", plain(targets) if targets else f"{config.n_outputs} logits, {UNKNOWN} of what")]
    if "threshold" in about:
        lines.append(("high is", RULES.get(str(about["threshold"]), plain(about["threshold"]))))
    return lines


def _made(config: GBVNetConfig, header: Header, about: dict) -> Lines:
    sizes = {name: math.prod(shape) for name, shape in header.shapes.items() if name.split(".")[-1] not in BUFFERS}
    people = about.get("subjects")
    lines = [
        ("trained on", plain(about.get("dataset", UNKNOWN))),
        ("people", f"{len(people)}: {plain(people)}" if isinstance(people, list) else UNKNOWN),
        ("windows", plain(about.get("n_windows", UNKNOWN))),
        ("protocol", plain(about.get("protocol", UNKNOWN)) + (f", {about['scope']}" if about.get("scope") else "")),
        ("parameters", f"{sum(sizes.values()):,}"),
    ]
    parts = ("variant", "face_time", "local_cnn", "tcn", "self_attention", "residual", "pooling", "fusion")
    lines.append(("network", ", ".join(f"{name} {plain(getattr(config, name))}" for name in parts)))
    if about.get("excluded"):
        lines.append(("without", plain(about["excluded"])))
    if about.get("face_weights"):
        lines.append(("face began as", plain(about["face_weights"])))
    if about.get("chosen_epoch") is not None:
        lines.append(("epoch kept", plain(about["chosen_epoch"])))
    trained = {key: value for key, value in _table(about, "train").items() if value is not None}
    if trained:
        lines.append(("training", ", ".join(f"{key} {plain(value)}" for key, value in trained.items())))
    return [*lines, ("store digest", plain(about.get("store_digest", UNKNOWN)))]


def _table(about: dict, name: str) -> dict[str, Any]:
    """A section of `about`, which is anybody's; empty if it is no section."""
    return about[name] if isinstance(about.get(name), dict) else {}


def _pairs(channels: Any) -> bool:
    return isinstance(channels, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in channels)
