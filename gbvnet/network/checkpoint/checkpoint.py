"""A model folder, in the layout of the Hugging Face hub: tensors, what they are, and a card for people.

    model.safetensors   every tensor of the network, the signals' mean and SD included
    config.json         {"format": 1, "config": GBVNetConfig, "about": {...}}
    README.md           the model card, written from the other two

Nothing is pickled: loading a folder from anywhere runs no code. A folder is whole or absent.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ...config import ModelConfig, to_dict
from ...errors import BadModel
from ...io.atomic import atomic_folder, atomic_write
from ...provenance import model_stamps
from ..model import GBVNet
from .folder import (
    CARD,
    CONFIG,
    FACTS,
    FORMAT,
    TENSORS,
    build_config,
    plain,
    read_config,
    read_header,
    refuse_damaged,
    refuse_edited,
    sha256,
)
from .hub import find_model


def save_model(folder: str | Path, model: GBVNet, about: dict) -> None:
    """Write the model folder; one that is there already is replaced as a whole.

    about: all else that a user of the model must know, as JSON: how its input was prepared and what its output
    means. The card reads, where given: dataset, synthetic, store_digest, prepare, channels [[name, kind]], rate_hz,
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
    tensors = _sealed(save(state, metadata={"format": "pt", "config_sha256": sha256(config)}))

    with atomic_folder(folder) as temporary:
        atomic_write(temporary / TENSORS, tensors)
        atomic_write(temporary / CONFIG, config.encode())
        atomic_write(temporary / CARD, model_card(model, about).encode())


def _sealed(content: bytes) -> bytes:
    """The same safetensors file with the hash of its numbers in the metadata, so that a changed byte is noticed.

    The metadata is sorted: safetensors writes several entries in an order that changes.
    """
    size = int.from_bytes(content[:8], "little")
    header, numbers = json.loads(content[8 : 8 + size]), content[8 + size :]
    known = header["__metadata__"] | {"tensors_sha256": hashlib.sha256(numbers).hexdigest()}
    header["__metadata__"] = dict(sorted(known.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + numbers


def load_model(name: str | Path) -> tuple[GBVNet, dict]:
    """The network in evaluation mode on the CPU, and its `about`: of a folder, or of user/name of the hub.

    Raises BadModel with what is wrong with the folder: absent, pickled, of a newer format, damaged, edited, or with
    tensors that are missing, too many, or of another shape than its config asks for.
    """
    folder = find_model(name)
    text, made = read_config(folder)
    config = build_config(folder / CONFIG, made["config"])
    with torch.device("meta"):  # shapes without memory: a config that asks for terabytes is refused, not tried
        wanted = {name: tuple(tensor.shape) for name, tensor in GBVNet(config).state_dict().items()}
    header = read_header(folder / TENSORS)
    _compare(folder / TENSORS, wanted, header.shapes)
    refuse_edited(folder, text, header)
    refuse_damaged(folder / TENSORS, header)
    try:
        state = load_file(folder / TENSORS)
    except (SafetensorError, OSError) as e:
        raise BadModel(folder / TENSORS, "a safetensors file", str(e), "Fetch or train the model again.") from e
    model = GBVNet(config)
    model.load_state_dict(state)
    return model.eval(), made["about"]


def _compare(path: Path, wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    """Refuse tensors that are not those of the network, naming the first few."""
    faults = [f"no {name}" for name in wanted if name not in found]
    faults += [f"an unknown {name}" for name in found if name not in wanted]
    faults += [
        f"{name} {found[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise BadModel(path, f"the {len(wanted)} tensors of the network in {CONFIG}", "; ".join(faults[:3]) + more)


# ------------------------------------------------------------------------------------------------------------- card


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
    for stamp in model_stamps(about):
        lines += [f"> **{stamp}**", ""]
    lines += ["| | |", "|---|---|", f"| Parameters | {parameters:,} |"]
    usual = to_dict(ModelConfig(variant=config.variant))
    unusual = [f"{name} {getattr(config, name)}" for name, value in usual.items() if getattr(config, name) != value]
    if unusual:
        lines.append(f"| Other than the default network | {', '.join(unusual)} |")
    for key, name in FACTS.items():
        if key in about:
            lines.append(f"| {name} | {plain(about[key])} |")
    if about.get("scores"):
        lines += ["", "## Scores", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {plain(value)} |" for name, value in about["scores"].items()]
        lines += [
            "",
            "Of cross-validations with the same settings on the same store; this very model was tested on nobody.",
        ]
    elif "scores" in about:
        lines += [
            "",
            "## Scores",
            "",
            "None are known: no cross-validation with these settings was given to `gbvnet train`.",
        ]
    lines += ["", "## Input", "", *_input_lines(model, about)]
    lines += [
        "",
        "## Limits",
        "",
        "- Meant for research on emotion recognition, by people who know the corpus it was trained on.",
        "- It was trained on ratings that people gave of films, in a laboratory. It does not read what anyone feels.",
        "- Accuracy on people it has not seen is what the `subject` protocol measures; other protocols say less.",
        "- Do not use it to judge, hire, watch or diagnose people.",
        "",
        'Load it with `gbvnet.load_model("FOLDER")`. Method: Yu et al. 2025, doi:10.3390/s25206397.',
        "",
    ]
    return "\n".join(lines)


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
    lines += ["", *(f"- {name}: {plain(value)}" for name, value in prepare.items())] if prepare else []
    return lines
