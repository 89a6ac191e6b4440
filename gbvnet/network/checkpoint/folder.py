"""A model folder before any tensor is read: its three files, its config, and the checks of both.

No torch here: `gbvnet model show` is instant.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec
from safetensors import SafetensorError, safe_open

from ...config import GBVNetConfig, Widths, from_dict, to_dict
from ...errors import BadConfig, BadModel
from ...io.records import convert
from ...io.safe_load import from_json
from ...provenance import with_current_key, with_current_stamp

FORMAT = 1
TENSORS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
# Absent in older models: then the default.
FEATURE_FIELDS = ("face_input", "n_face_features")
ADDED_FIELDS = ("local_cnn", "self_attention", "residual", "pooling", *FEATURE_FIELDS, "widths")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib")

# Entries of `about` in the table of the model card, and their names there.
CARD_FACTS = {
    "dataset": "Trained on",
    "subjects": "Subjects",
    "n_windows": "Training windows",
    "targets": "Outputs",
    "task": "Task",
    "rule": "Rule for the classes",
    "threshold": "Rule for the positive (high) class",
    "classes": "Classes",
    "scales": "Scale of each rating",
    "lag_s": "Lag of the labels, s",
    "protocol": "Protocol",
    "scope": "Scope",
    "chosen_epoch": "Chosen epoch",
    "rate_hz": "Signal rate, Hz",
    "face_side": "Face side, pixels",
    "face_features": "Face features",
    "normalise": "Normalisation",
    "face_weights": "Face encoder initialised from",
    "store_digest": "Store digest",
    "warnings": "Warnings",
}


class _Numbered(msgspec.Struct):
    """A config.json of any format."""

    format: int


class _Content(_Numbered):
    """A config.json of this format."""

    config: dict[str, Any]
    about: dict[str, Any]


def read_config(folder: Path) -> tuple[str, dict]:
    """Return the text of config.json and its content, with sections `config` and `about`; names and stamps are
    those of today, whichever version wrote them.

    Raises BadModel for what is not a model folder of gbvnet, or of a newer format.
    """
    if not (folder / CONFIG).is_file() or not (folder / TENSORS).is_file():
        _refuse_incomplete(folder)
    path = folder / CONFIG
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        content = from_json(text)
    except ValueError as e:
        raise BadModel(path, "JSON", f"text that is truncated or damaged ({e})", "Restore the file.") from e
    try:
        number = convert(content, _Numbered).format
    except ValueError as e:
        raise BadModel(path, "the config of a gbvnet model", f"another file ({e})", "Restore the file.") from e
    if number > FORMAT:
        remedy = "The model was saved by a newer gbvnet: update this one."
        raise BadModel(path, f"format {FORMAT} or older", f"format {number}", remedy)
    try:
        convert(content, _Content)
    except ValueError as e:
        raise BadModel(
            path, "sections `config` and `about`", f"a file with another content ({e})", "Restore the file."
        ) from e
    content["about"] = about = with_current_key(content["about"])
    if isinstance(about.get("dataset"), str):
        about["dataset"] = with_current_stamp(about["dataset"])
    return text, content


def fingerprint(folder: Path) -> tuple:
    """Return values that change whenever another model is put into this folder; empty if it is no folder.

    They include the hash of the tensors: a model of the same shape has the same size, and a copy may keep its time.
    """
    try:
        stats = [(folder / name).stat() for name in (TENSORS, CONFIG)]
        tensors_digest = read_header(folder / TENSORS).tensors_digest
    except (OSError, BadModel):  # loading it raises the error
        return ()
    return (tensors_digest, *((s.st_ino, s.st_size, s.st_mtime_ns) for s in stats))


def _refuse_incomplete(folder: Path) -> None:
    """Raise BadModel with the files that the folder lacks to be a model."""
    if not folder.is_dir():
        raise BadModel(folder, "a model folder", "no such folder", "Give the folder that `gbvnet train` wrote.")
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles and not (folder / TENSORS).is_file():
        remedy = "A pickle can run any code when it is opened; gbvnet does not open them."
        raise BadModel(folder, TENSORS, f"pickled weights ({', '.join(pickles)})", remedy)
    missing = [name for name in (TENSORS, CONFIG) if not (folder / name).is_file()]
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "an empty folder"
    raise BadModel(folder, " and ".join(missing), present, "Give the folder that `gbvnet train` wrote.")


def build_config(path: Path, values: dict) -> GBVNetConfig:
    """Return the network's config. Raises BadModel unless every field is there, of its type and in its range.

    Only ADDED_FIELDS may be absent.
    """
    try:
        config = from_dict(GBVNetConfig, values)
    except (BadConfig, TypeError) as e:
        raise BadModel(path, "a network this gbvnet can build", str(e), "Restore the file.") from e
    for name, kind in get_type_hints(GBVNetConfig).items():
        if name in ADDED_FIELDS and name not in values:
            continue
        if kind is Widths:
            continue  # from_dict has read each of its fields
        value, choices = values.get(name), get_args(kind)
        kinds = (int, float) if kind is float else (kind,)
        good = value in choices if choices else isinstance(value, kinds) and isinstance(value, bool) == (kind is bool)
        if not good:
            expected = f"{name} to be " + (f"one of {', '.join(choices)}" if choices else f"of type {kind.__name__}")
            raise BadModel(path, expected, repr(value) if name in values else "nothing", "Restore the file.")
    return config


def stored_config(config: GBVNetConfig) -> dict:
    """Return a network's config as config.json has it: that of one that reads pictures, or that is not pruned, is as
    versions wrote it that knew no other, so that they can read it."""
    values = to_dict(config)
    if config.widths == Widths():
        values.pop("widths")
    return values if config.face_input == "features" else {k: v for k, v in values.items() if k not in FEATURE_FIELDS}


class Header(NamedTuple):
    """The header of model.safetensors."""

    shapes: dict[str, tuple[int, ...]]
    config_digest: str | None  # sha256 of the config.json that it was saved with; None in files of other programs
    tensors_digest: str | None = None  # sha256 of all that follows the header; None in files of other programs


def read_header(path: Path) -> Header:
    """Return names and shapes of the tensors without reading them. Raises BadModel if it is no safetensors file."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return Header(shapes, metadata.get("config_sha256"), metadata.get("tensors_sha256"))
    except (SafetensorError, OSError) as e:
        raise BadModel(path, "a safetensors file", str(e), "Fetch or train the model again.") from e


def refuse_edited(folder: Path, text: str, header: Header) -> None:
    """Raise BadModel if config.json, given its text, is not the one that the tensors were saved with."""
    if header.config_digest not in (None, sha256(text)):
        raise BadModel(
            folder / CONFIG,
            "the config that these tensors were saved with",
            "another, or an edited one",
            "Restore the file, or save the model again.",
        )


def refuse_damaged(path: Path, header: Header) -> None:
    """Raise BadModel if a byte of the tensors has changed since they were saved."""
    if header.tensors_digest is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while part := file.read(1 << 20):
            digest.update(part)
    if digest.hexdigest() != header.tensors_digest:
        remedy = "Fetch the model again, or restore the file."
        raise BadModel(path, "the tensors that were saved", "others: the file is damaged or was changed", remedy)


def sha256(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> str:
    """Return a value as text for a table: floats with four digits, lists with commas."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(plain(v) for v in value) if isinstance(value, list | tuple) else str(value)


def printable(text: str) -> str:
    """Return the text with control characters replaced by ?, so that a foreign model cannot control the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
