"""A model folder before any tensor is read: its three files, what its config says, and what is wrong with it.

No torch here: `gbvnet model show` is instant.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from safetensors import SafetensorError, safe_open

from ...config import GBVNetConfig, from_dict
from ...errors import BadConfig, BadModel
from ...io.safe_load import from_json

FORMAT = 1
TENSORS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
LATER = ("local_cnn", "self_attention", "residual", "pooling")  # a model saved before them was made with their defaults
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib")

FACTS = {
    "dataset": "Trained on",
    "subjects": "People",
    "n_windows": "Training windows",
    "targets": "Outputs",
    "threshold": "Rule for high",
    "protocol": "Protocol",
    "scope": "Scope",
    "chosen_epoch": "Epoch kept",
    "rate_hz": "Signal rate, Hz",
    "face_side": "Face side, pixels",
    "normalise": "Normalisation",
    "face_weights": "Face encoder began as",
    "store_digest": "Store digest",
    "warnings": "Warnings",
}


def read_config(folder: Path) -> tuple[str, dict]:
    """The text of config.json and what it says; refuses what is not a model folder of ours."""
    if not (folder / CONFIG).is_file() or not (folder / TENSORS).is_file():
        _refuse_incomplete(folder)
    path = folder / CONFIG
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        made = from_json(text)
    except ValueError as e:
        raise BadModel(path, "JSON", f"text that breaks off or is damaged ({e})", "Restore the file.") from e
    if not isinstance(made, dict) or not isinstance(made.get("format"), int):
        raise BadModel(path, "the config of a gbvnet model", "none: it has no format number")
    if made["format"] > FORMAT:
        remedy = "The model was saved by a newer gbvnet: update this one."
        raise BadModel(path, f"format {FORMAT} or older", f"format {made['format']}", remedy)
    for part in ("config", "about"):
        if not isinstance(made.get(part), dict):
            raise BadModel(path, f"a section {part!r}", f"{made.get(part)!r}", "Restore the file.")
    return text, made


def fingerprint(folder: Path) -> tuple:
    """What changes whenever another model is put into this folder; empty where there is none, as for a hub's name.

    The hash of the tensors counts, and not only size and time: a model of the same shape has the same size, and a copy
    may keep its time.
    """
    try:
        stats = [(folder / name).stat() for name in (TENSORS, CONFIG)]
        numbers = read_header(folder / TENSORS).numbers
    except (OSError, BadModel):  # whoever loads it says what is wrong
        return ()
    return (numbers, *((s.st_ino, s.st_size, s.st_mtime_ns) for s in stats))


def _refuse_incomplete(folder: Path) -> None:
    """Say what the folder lacks to be a model."""
    if not folder.is_dir():
        raise BadModel(folder, "a model folder", "no such folder", "Give the folder that `gbvnet train` wrote.")
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles and not (folder / TENSORS).is_file():
        remedy = "A pickle runs code of whoever wrote it when it is opened; gbvnet does not open them."
        raise BadModel(folder, TENSORS, f"pickled weights ({', '.join(pickles)})", remedy)
    lacking = [name for name in (TENSORS, CONFIG) if not (folder / name).is_file()]
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "an empty folder"
    raise BadModel(folder, " and ".join(lacking), present, "Give the folder that `gbvnet train` wrote.")


def build_config(path: Path, values: dict) -> GBVNetConfig:
    """The network's config; every field must be there (but for later ones), of its own type, and make sense."""
    try:
        config = from_dict(GBVNetConfig, values)
    except (BadConfig, TypeError) as e:
        raise BadModel(path, "a network this gbvnet can build", str(e), "Restore the file.") from e
    for name, kind in get_type_hints(GBVNetConfig).items():
        if name in LATER and name not in values:
            continue
        value, choices = values.get(name), get_args(kind)
        kinds = (int, float) if kind is float else (kind,)
        good = value in choices if choices else isinstance(value, kinds) and isinstance(value, bool) == (kind is bool)
        if not good:
            expected = f"{name} to be " + (f"one of {', '.join(choices)}" if choices else f"of type {kind.__name__}")
            raise BadModel(path, expected, repr(value) if name in values else "nothing", "Restore the file.")
    return config


class Header(NamedTuple):
    """What the tensors' file says of itself."""

    shapes: dict[str, tuple[int, ...]]
    digest: str | None  # sha256 of the config.json that it was saved with; None in files of others
    numbers: str | None = None  # sha256 of all that follows the header; None in files of others


def read_header(path: Path) -> Header:
    """Names and shapes of the tensors, none of which is read. Raises BadModel for what is no safetensors file."""
    try:
        with safe_open(path, framework="np") as file:
            known = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return Header(shapes, known.get("config_sha256"), known.get("tensors_sha256"))
    except (SafetensorError, OSError) as e:
        raise BadModel(path, "a safetensors file", str(e), "Fetch or train the model again.") from e


def refuse_edited(folder: Path, text: str, header: Header) -> None:
    """Refuse a config.json, by its text, that is not the one which the tensors were saved with."""
    if header.digest not in (None, sha256(text)):
        raise BadModel(
            folder / CONFIG,
            "the config that these tensors were saved with",
            "another, or an edited one",
            "Restore the file, or save the model again.",
        )


def refuse_damaged(path: Path, header: Header) -> None:
    """Refuse tensors of which a byte has changed since they were saved."""
    if header.numbers is None:
        return
    found = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while part := file.read(1 << 20):
            found.update(part)
    if found.hexdigest() != header.numbers:
        remedy = "Fetch the model again, or restore the file."
        raise BadModel(path, "the tensors that were saved", "others: the file is damaged or was changed", remedy)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> str:
    """A value as a reader expects it in a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(plain(v) for v in value) if isinstance(value, list | tuple) else str(value)


def printable(text: str) -> str:
    """Without control characters: a model of somebody else's does not steer this terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
