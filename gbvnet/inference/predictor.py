"""A trained model, ready to be asked about windows: the network with all that says how its input is made.

Shapes: n windows, F frames, S face side, C channels, L samples, K targets.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from scipy.special import expit

from ..config import RATINGS, GBVNetConfig, PrepareConfig, TrainConfig, from_dict, uses_face, uses_signals
from ..datasets.recording import Channel, Kind
from ..errors import BadConfig, BadModel, GbvnetError
from ..network.checkpoint.checkpoint import load_model
from ..network.checkpoint.folder import CONFIG
from ..network.checkpoint.worth import brief_worth, high_means, worth
from ..network.devices import device_of
from ..network.model import pixels
from ..preprocessing.face_statistics import far, measure
from ..provenance import model_stamps

BATCH = 64  # windows
# What `about` must say of a model's input, in this order, for a recording to be made into it.
_INPUT: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "prepare": ("settings by name", lambda v: isinstance(v, dict)),
    "channels": ("pairs of name and kind", lambda v: isinstance(v, list) and all(map(_is_channel, v))),
    "rate_hz": ("a number above 0", lambda v: _is_number(v) and 0 < v <= 1e6),
    "samples_per_window": ("a whole number", lambda v: type(v) is int and v >= 0),
    "frames_per_window": ("a whole number", lambda v: type(v) is int and v >= 0),
    "face_side": ("0 to 512 pixels", lambda v: type(v) is int and 0 <= v <= 512),
    "baseline_s": ("a number of seconds", lambda v: _is_number(v) and 0 <= v <= 1e6),
    "targets": ("names of ratings", lambda v: isinstance(v, list) and len({*map(str, v)} & {*RATINGS}) == len(v)),
}


class Answers(NamedTuple):
    """What a model says of n windows. Gates are NaN where it has none, or a window lacks a modality."""

    p: np.ndarray  # (n, K) probability of high
    gate_face: np.ndarray  # (n,) mean gate, 0 shut to 1 open
    gate_bio: np.ndarray


class Predictor:
    """A model folder of GBV-Net, loaded. Raises BadModel if it is none, or does not say how its input is made.

    device : auto, cpu or gpu
    """

    def __init__(self, folder: str | Path, device: str = "auto"):
        self.folder = Path(folder)
        self.network, self.about = load_model(folder)
        _require_input(self.folder / CONFIG, self.network.config, self.about)
        self.targets: tuple[str, ...] = tuple(self.about["targets"])
        if len(self.targets) != self.network.config.n_outputs:
            found = f"{', '.join(self.targets)} for {self.network.config.n_outputs} outputs"
            raise BadModel(self.folder / CONFIG, "a name for each output", found, "Restore the file.")
        self.channels = tuple(Channel(name, kind) for name, kind in self.about["channels"])
        try:
            made = from_dict(PrepareConfig, self.about["prepare"])
        except (GbvnetError, TypeError, AttributeError) as error:
            raise BadModel(self.folder / CONFIG, "settings of prepare", str(error), "Restore the file.") from None
        self.prepare = replace(made, channels=tuple(c.name for c in self.channels) or None)
        self.device = device_of(TrainConfig(device=device))  # type: ignore[arg-type]
        self.network.to(self.device).eval()

    @property
    def sees_face(self) -> bool:
        return self.network.sees_face

    @property
    def sees_signals(self) -> bool:
        return self.network.sees_signals

    @property
    def can_do_without(self) -> bool:
        """Whether it learnt what to put in the place of a modality that is missing."""
        return self.network.sees_both and self.network.config.modality_dropout > 0

    @property
    def per_recording(self) -> bool:
        """Whether signals are scaled by the recording itself (train.normalise subject), which needs all of it."""
        return self.about.get("normalise") == "subject"

    @property
    def worth(self) -> str:
        """What is known of how often it is right, in one or two sentences, for whoever reads a prediction."""
        return worth(self.about)

    @property
    def high(self) -> str:
        """What its probabilities are the probability of, as "the rating is 5 or more of 9"."""
        return high_means(self.about)

    @property
    def stamps(self) -> tuple[str, ...]:
        """What must be read before any number of it: that it was trained on synthetic data, or by a leaky protocol."""
        return tuple(model_stamps(self.about))

    @cached_property
    def notes(self) -> tuple[str, str]:
        """The columns `stamps` and `worth`, the same in every row of a prediction."""
        return "; ".join(self.stamps), brief_worth(self.about)

    def far_faces(self, faces: np.ndarray, face_ok: np.ndarray) -> list[str]:
        """For each of n windows what about its faces is far from the training; see `facestats.far`. faces
        (n, F, S, S, 3) uint8, face_ok (n, F) bool."""
        return far(measure(faces, face_ok), self.about)

    def require_step(self, step_s: float | None) -> None:
        """Raise BadConfig for a step from window to window that is shorter than a sample, or no number."""
        sample_s = 1 / self.about["rate_hz"]
        if step_s is not None and not sample_s <= step_s < math.inf:
            raise BadConfig(
                f"the step from window to window must be at least a sample ({sample_s:g} s), not {step_s:g}"
            )

    @torch.inference_mode()
    def ask(
        self,
        faces: np.ndarray | None,
        face_ok: np.ndarray | None,
        signals: np.ndarray | None,
    ) -> Answers:
        """faces (n, F, S, S, 3) uint8 with face_ok (n, F) bool, and signals (n, C, L) float32 as a store has them;
        None for a modality that is missing. Raises GbvnetError for other shapes, or if it cannot do without one."""
        n = len(faces if faces is not None else signals)  # type: ignore[arg-type]
        parts = [self._ask(*(None if x is None else x[i : i + BATCH] for x in (faces, face_ok, signals)))
                 for i in range(0, n, BATCH)]  # fmt: skip
        if not parts:
            return Answers(np.empty((0, len(self.targets))), np.empty(0), np.empty(0))
        return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _ask(self, faces: np.ndarray | None, ok: np.ndarray | None, signals: np.ndarray | None) -> Answers:
        tensors = [None if x is None else torch.from_numpy(np.ascontiguousarray(x)).to(self.device)
                   for x in (faces, ok, signals)]  # fmt: skip
        out = self.network(None if tensors[0] is None else pixels(tensors[0]), *tensors[1:])
        gates = (np.asarray(g.double().cpu()) for g in (out.gate_face, out.gate_bio))
        return Answers(expit(np.asarray(out.logits.double().cpu())), *gates)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_channel(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and pair[1] in get_args(Kind)


def _require_input(path: Path, config: GBVNetConfig, about: dict) -> None:
    """Refuse a model, by its config's path, that does not say how its input is made, or says what its network is not
    made for. Raises BadModel."""
    for name, (expected, is_one) in _INPUT.items():
        if name not in about:
            remedy = "Make the model with `gbvnet train` or `gbvnet crossval`, which note how its input is made."
            raise BadModel(path, "what a recording must go through", f"no {name}", remedy)
        if not is_one(about[name]):
            raise BadModel(path, f"{expected} for {name}", f"{about[name]!r:.200}", "Restore the file.")
    sizes: dict[str, tuple[int, int]] = {}
    if uses_signals(config.modality):
        sizes |= {"channels": (len(about["channels"]), config.n_channels)}
        sizes |= {"samples_per_window": (about["samples_per_window"], config.n_samples)}
    if uses_face(config.modality):
        sizes |= {"frames_per_window": (about["frames_per_window"], config.n_frames)}
    for name, (told, wanted) in sizes.items():
        if told != wanted:
            raise BadModel(path, f"{wanted} {name}, as the network has", str(told), "Restore the file.")
