"""A model folder, in the layout of the Hugging Face hub: tensors, their description, and a model card.

    model.safetensors   every tensor of the network, the signals' mean and SD included
    config.json         {"format": 1, "config": GBVNetConfig, "about": {...}}
    README.md           the model card, written from the other two (model_card.py)

Nothing is pickled: loading a folder of any origin runs no code. A folder is complete or absent.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ...config import GBVNetConfig
from ...errors import BadConfig, BadModel
from ...io.atomic import atomic_folder, atomic_write
from ..model import GBVNet
from .folder import (
    CARD,
    CONFIG,
    FORMAT,
    TENSORS,
    build_config,
    read_config,
    read_header,
    refuse_damaged,
    refuse_edited,
    sha256,
    stored_config,
)
from .hub import find_model
from .model_card import model_card


def save_model(folder: str | Path, model: GBVNet, about: dict) -> None:
    """Write the model folder; an older model in it is replaced as a whole.

    about : everything else that a user of the model must know, as data for JSON: how its input was prepared and what
        its output means. The card shows, if given: dataset, synthetic, store_digest, prepare, channels [[name, kind]],
        rate_hz, face_side, normalise, targets, threshold, protocol, scope, subjects, n_windows, chosen_epoch, scores
        {name: value}
    Raises BadModel if `folder` holds other files, which would be lost.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadModel(folder, "a folder, or nothing yet", "a file", "Give another name.")
    foreign = sorted({path.name for path in folder.glob("*")} - {TENSORS, CONFIG, CARD})
    if foreign:
        raise BadModel(folder, "an empty folder or an older model", ", ".join(foreign[:3]), "Give another folder.")
    named = len(about.get("channels") or ())
    if named and model.sees_signals and named != model.config.n_channels:
        remedy = "Give about['channels'] as a [name, kind] for each channel of the network."
        raise BadModel(folder, f"names of {model.config.n_channels} channels", f"{named}", remedy)
    config = json.dumps({"format": FORMAT, "config": stored_config(model.config), "about": about}, indent=2) + "\n"
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # The tensors know which config they belong to, so that an edited or exchanged config is noticed.
    tensors = _with_digest(save(state, metadata={"format": "pt", "config_sha256": sha256(config)}))

    with atomic_folder(folder) as temporary:
        atomic_write(temporary / TENSORS, tensors)
        atomic_write(temporary / CONFIG, config.encode())
        atomic_write(temporary / CARD, model_card(model, about).encode())


def _with_digest(content: bytes) -> bytes:
    """Return the safetensors file with the hash of its numbers in the metadata, so that a changed byte is noticed.

    The metadata is sorted: safetensors writes several entries in an order that changes.
    """
    size = int.from_bytes(content[:8], "little")
    header, numbers = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = header["__metadata__"] | {"tensors_sha256": hashlib.sha256(numbers).hexdigest()}
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + numbers


def load_model(name: str | Path) -> tuple[GBVNet, dict]:
    """Return the network in evaluation mode on the CPU, and its `about`.

    name : a model folder, or user/name on the Hugging Face hub
    Raises BadModel if the folder is absent, pickled, of a newer format, damaged or edited, or if its tensors are not
    those of the network in its config.
    """
    folder = find_model(name)
    text, content = read_config(folder)
    config = build_config(folder / CONFIG, content["config"])
    with torch.device("meta"):  # shapes without memory: a config that needs terabytes is refused, not tried
        expected = {name: tuple(tensor.shape) for name, tensor in _built(folder, config).state_dict().items()}
    header = read_header(folder / TENSORS)
    _refuse_other_tensors(folder / TENSORS, expected, header.shapes)
    refuse_edited(folder, text, header)
    refuse_damaged(folder / TENSORS, header)
    try:
        state = load_file(folder / TENSORS)
    except (SafetensorError, OSError) as e:
        raise BadModel(folder / TENSORS, "a safetensors file", str(e), "Fetch or train the model again.") from e
    model = GBVNet(config)
    model.load_state_dict(state)
    return model.eval(), content["about"]


def _built(folder: Path, config: GBVNetConfig) -> GBVNet:
    try:
        return GBVNet(config)
    except BadConfig as error:
        raise BadModel(folder / CONFIG, "a network this gbvnet can build", str(error), "Restore the file.") from error


def _refuse_other_tensors(path: Path, expected: dict[str, tuple[int, ...]], actual: dict[str, tuple[int, ...]]) -> None:
    """Raise BadModel, naming the first few, if the tensors are not those of the network."""
    faults = [f"no {name}" for name in expected if name not in actual]
    faults += [f"an unknown {name}" for name in actual if name not in expected]
    faults += [
        f"{name} {actual[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in actual and actual[name] != shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise BadModel(path, f"the {len(expected)} tensors of the network in {CONFIG}", "; ".join(faults[:3]) + more)
