"""A model folder, in the layout of the Hugging Face hub: tensors, what they are, and a card for people.

    model.safetensors   every tensor of the network, the signals' mean and SD included
    config.json         {"format": 1, "config": GBVNetConfig, "about": {...}}
    README.md           the model card, written from the other two

Nothing is pickled: loading a folder from anywhere runs no code. A folder is whole or absent.
"""

import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from .config import GBVNetConfig, ModelConfig, from_dict, to_dict
from .errors import BadConfig, BadModel
from .files import write_whole
from .model import GBVNet

FORMAT = 1
TENSORS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
LATER = ("local_cnn", "self_attention", "residual", "pooling")  # a model saved before them was made with their defaults
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib")


def save_model(folder: str | Path, model: GBVNet, about: dict) -> None:
    """Write the model folder; one that is there already is replaced as a whole.

    about: all else that a user of the model must know, as JSON: how its input was prepared and what its output
    means. The card reads, where given: dataset, made_up, store_digest, prepare, channels [[name, kind]], rate_hz,
    face_side, normalise, targets, threshold, protocol, scope, subjects, n_windows, chosen_epoch, scores {name: value}.
    Raises BadModel if `folder` holds anything but a model, which would be lost.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadModel(folder, "a folder, or nothing yet", "a file", "Give another name.")
    foreign = sorted({path.name for path in folder.glob("*")} - {TENSORS, CONFIG, CARD})
    if foreign:
        raise BadModel(folder, "an empty folder or an older model", ", ".join(foreign[:3]), "Give another folder.")
    named = len(about.get("channels") or ())
    if named and model.sees_signals and named != model.config.n_channels:
        raise BadModel(folder, f"names of {model.config.n_channels} channels", f"{named}")
    config = json.dumps({"format": FORMAT, "config": to_dict(model.config), "about": about}, indent=2) + "\n"
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # The tensors know which config they belong to, so that an edited or exchanged one is noticed.
    tensors = save(state, metadata={"format": "pt", "config_sha256": _sha256(config)})

    aside = _hidden_beside(folder)
    aside.mkdir(parents=True)
    try:
        write_whole(aside / TENSORS, tensors)
        write_whole(aside / CONFIG, config.encode())
        write_whole(aside / CARD, model_card(model, about).encode())
        _put_in_place(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_model(folder: str | Path) -> tuple[GBVNet, dict]:
    """The network in evaluation mode on the CPU, and its `about`.

    Raises BadModel with what is wrong with the folder: absent, pickled, of a newer format, damaged, edited, or with
    tensors that are missing, too many, or of another shape than its config asks for.
    """
    folder = Path(folder)
    text, made = _read_config(folder)
    config = _build_config(folder / CONFIG, made["config"])
    tensors = folder / TENSORS
    with torch.device("meta"):  # shapes without memory: a config that asks for terabytes is refused, not tried
        wanted = {name: tensor.shape for name, tensor in GBVNet(config).state_dict().items()}
    try:
        with safe_open(tensors, framework="pt") as file:
            digest = (file.metadata() or {}).get("config_sha256")
            found = {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        _compare(tensors, wanted, found)
        if digest not in (None, _sha256(text)):
            raise BadModel(
                folder / CONFIG,
                "the config that these tensors were saved with",
                "another, or an edited one",
                "Restore the file, or save the model again.",
            )
        state = load_file(tensors)
    except (SafetensorError, OSError) as e:
        raise BadModel(tensors, "a safetensors file", str(e), "Fetch or train the model again.") from e
    model = GBVNet(config)
    model.load_state_dict(state)
    return model.eval(), made["about"]


def _read_config(folder: Path) -> tuple[str, dict]:
    """The text of config.json and what it says; refuses what is not a model folder of ours."""
    if not (folder / CONFIG).is_file() or not (folder / TENSORS).is_file():
        _refuse_incomplete(folder)
    path = folder / CONFIG
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        made = json.loads(text)
    except json.JSONDecodeError as e:
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


def _build_config(path: Path, values: dict) -> GBVNetConfig:
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


def _compare(path: Path, wanted: dict[str, torch.Size], found: dict[str, torch.Size]) -> None:
    """Refuse tensors that are not those of the network, naming the first few."""
    faults = [f"no {name}" for name in wanted if name not in found]
    faults += [f"an unknown {name}" for name in found if name not in wanted]
    faults += [
        f"{name} {tuple(found[name])} instead of {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise BadModel(path, f"the {len(wanted)} tensors of the network in {CONFIG}", "; ".join(faults[:3]) + more)


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename, and where an older model is in the way keep it until the new one is there."""
    if not folder.exists():
        os.rename(aside, folder)
        return
    old = _hidden_beside(folder)
    os.rename(folder, old)
    try:
        os.rename(aside, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _hidden_beside(folder: Path) -> Path:
    """A name that nobody else uses, on the same file system, so that a rename is one step."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.aside")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------------------------------------------------- card

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
    "store_digest": "Store digest",
}


def model_card(model: GBVNet, about: dict) -> str:
    """README.md of a model folder: what the model is, what it was made from, and what it must not be taken for."""
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())
    lines = [
        "---",
        "library_name: gbvnet",
        "license: other",  # that of the data, which we cannot know
        "tags: [emotion-recognition, eeg, physiological-signals, facial-expression]",
        "---",
        f"# GBV-Net, {config.modality}, {config.variant}",
        "",
    ]
    for stamp in _stamps(about):
        lines += [f"> **{stamp}**", ""]
    lines += ["| | |", "|---|---|", f"| Parameters | {parameters:,} |"]
    usual = to_dict(ModelConfig(variant=config.variant))
    unusual = [f"{name} {getattr(config, name)}" for name, value in usual.items() if getattr(config, name) != value]
    if unusual:
        lines.append(f"| Other than the default network | {', '.join(unusual)} |")
    for key, name in FACTS.items():
        if key in about:
            lines.append(f"| {name} | {_plain(about[key])} |")
    if about.get("scores"):
        lines += ["", "## Scores", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {_plain(value)} |" for name, value in about["scores"].items()]
    lines += ["", "## Input", "", *_input_lines(model, about)]
    lines += [
        "",
        "## Limits",
        "",
        "- It was trained on ratings that people gave of films, in a laboratory. It does not read what anyone feels.",
        "- Accuracy on people it has not seen is what the `subject` protocol measures; other protocols say less.",
        "- Do not use it to judge, hire, watch or diagnose people.",
        "",
        'Load it with `gbvnet.load_model("FOLDER")`. Method: Yu et al. 2025, doi:10.3390/s25206397.',
        "",
    ]
    return "\n".join(lines)


def _stamps(about: dict) -> list[str]:
    """What must be read before any number."""
    stamps = []
    if about.get("made_up"):
        stamps.append("Made-up data: trained on a synthetic corpus. It knows nothing about real people.")
    if about.get("protocol") == "window":
        stamps.append("LEAKY protocol: windows of one trial are on both sides of the split. Its scores mean little.")
    return stamps


def _input_lines(model: GBVNet, about: dict) -> list[str]:
    config, lines = model.config, []
    if model.sees_face:
        lines.append(f"- faces: {config.n_frames} frames a window, aligned, RGB, at least 32 px")
    if model.sees_signals:
        lines.append(f"- signals: {config.n_channels} channels x {config.n_samples} samples a window, in this order:")
        channels = about.get("channels") or [[str(i + 1), ""] for i in range(config.n_channels)]
        lines += ["", "| channel | kind | mean | SD |", "|---|---|---|---|"]
        rows = zip(channels, model.signal_mean.tolist(), model.signal_sd.tolist(), strict=True)
        lines += [f"| {name} | {kind} | {mean:.4g} | {sd:.4g} |" for (name, kind), mean, sd in rows]
    prepare = about.get("prepare") or {}
    lines += ["", *(f"- {name}: {_plain(value)}" for name, value in prepare.items())] if prepare else []
    return lines


def _plain(value: Any) -> str:
    """A value as a reader expects it in a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(_plain(v) for v in value) if isinstance(value, list | tuple) else str(value)
