"""The windows of a store that a saved model was trained on, and those of subjects that it has never seen.

A model folder records its store, its subjects and how many windows trained it and chose its epoch, no list of windows.
All windows of its subjects count as training data; so those that chose its epoch or tested it are among them, unless
the model records that all of these were windows of the same subjects. Only then are the other subjects new to it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ...config import CrossvalConfig, GBVNetConfig, ModelConfig, TrainConfig, from_dict, uses_face, uses_signals
from ...errors import BadConfig, BadModel
from ...evaluation.plan import make_plan_without_folds
from ...evaluation.targets import Target
from ...store.channels import channels_of
from ...store.window_source import WindowSource
from ...text import listed
from ..batches import FaceFeatureWindows, Windows
from .folder import CONFIG

log = logging.getLogger(__name__)

NAMED = 5  # subjects that a message names


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on, in a store."""

    store: WindowSource
    network: GBVNetConfig
    config: CrossvalConfig  # settings of the training, as far as the model records them
    targets: tuple[Target, ...]
    windows: pd.DataFrame  # of its subjects, without excluded recordings
    labels: pd.DataFrame  # a column a target, by row number of the store; also of other subjects
    held_out: np.ndarray  # row numbers of windows of subjects that it has never seen
    why_none: str  # why there are none; "" if there are some

    @property
    def rows(self) -> np.ndarray:
        """The row numbers of its subjects' windows, ascending."""
        return np.sort(self.windows.index.to_numpy(np.int64))

    def sample(self, n: int, seed: int, among: np.ndarray | None = None) -> np.ndarray:
        """Return n of its subjects' windows, or of the rows `among`, drawn at random, ascending; all if there are
        fewer."""
        rows = self.rows if among is None else among
        return np.sort(np.random.default_rng(seed).choice(rows, min(n, len(rows)), replace=False))

    def arrays(self, rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield row numbers, `size` at a time, with their windows as the inputs of an exported model have them."""
        train, reads_features = self.config.train, self.network.face_input == "features"
        kind = FaceFeatureWindows if reads_features else Windows
        source = kind(self.store, rows, self.network.modality, per_subject=train.normalise == "subject", memory_gib=0)
        for start, batch in zip(range(0, len(rows), size), source.in_order(size), strict=True):
            part = rows[start : start + size]
            face_ok = _or_true(batch.face_ok, (len(part), self.network.n_frames))
            face_ok &= _or_true(batch.has_face, (len(part),))[:, None]
            inputs = {
                "face_features" if reads_features else "faces": batch.faces,
                "face_ok": face_ok,
                "signals": batch.signals,
                "has_signals": _or_true(batch.has_signals, (len(part),)),
            }
            yield part, {name: np.asarray(value) for name, value in inputs.items() if value is not None}


def _or_true(mask: Tensor | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, bool) if mask is None else mask.numpy().copy()


def trained_on(network: GBVNetConfig, about: dict, store: WindowSource, folder: Path) -> TrainedOn:
    """Return what a model was trained on, in this store.

    A store of another digest is accepted, with a warning, if its windows are made in the same way and it has all of the
    model's subjects. Raises BadConfig if not, BadModel if the model does not say what it was trained on.
    """
    for name in ("subjects", "targets", "channels", "prepare", "store_digest"):
        if name not in about:
            remedy = "Make the model with `gbvnet train` or `gbvnet crossval`, which note what it was trained on."
            raise BadModel(folder / CONFIG, "a description of the training data", f"no {name}", remedy)
    _require_same_windows(network, about, store)
    config = _settings(network, about, folder)
    plan = make_plan_without_folds(store, config)
    windows = plan.windows[~plan.windows["recording"].isin(about.get("excluded", []))]
    own = windows["subject"].isin(about["subjects"])
    why_none = _why_none_held_out(about, store, int(own.sum()), int((~own).sum()))
    held_out = windows.index[~own].to_numpy(np.int64) if not why_none else np.empty(0, np.int64)
    if not own.any():
        raise BadConfig(f"{store.path} has no window with labels of the model's subjects")
    return TrainedOn(
        store,
        network,
        config,
        tuple(plan.targets.values()),
        windows[own],
        pd.DataFrame(plan.labels),
        held_out,
        why_none,
    )


def _require_same_windows(network: GBVNetConfig, about: dict, store: WindowSource) -> None:
    """Raise BadConfig unless the store's windows are made as the model's were, of its subjects among others."""
    s = store.settings
    expected: dict[str, tuple[Any, Any]] = {}
    if uses_signals(network.modality):
        held = [list(s["channels"][i]) for i in channels_of(store, network.modality)]
        expected["channels"] = _names(about["channels"]), _names(held)
        expected["rate_hz"] = about.get("rate_hz"), s["rate_hz"]
        expected["samples_per_window"] = network.n_samples, s["samples_per_window"]
    if uses_face(network.modality):
        expected["frames_per_window"] = network.n_frames, s["frames_per_window"]
        expected["face_side"] = about.get("face_side"), s["face_side"]
    shared = {name for name in s["prepare"] if name in about["prepare"]} - {"channels", "faces", "signals"}
    expected |= {name: (about["prepare"][name], s["prepare"][name]) for name in sorted(shared)}
    for name, (wanted, there) in expected.items():
        if wanted != there:
            raise BadConfig(
                f"{store.path} has {name} {there}, and this model was trained with {name} {wanted}: give the store "
                "that it was trained on"
            )
    absent = sorted(set(about["subjects"]) - set(store.windows["subject"]))
    if absent:
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        raise BadConfig(
            f"{store.path} lacks subjects that this model was trained on ({', '.join(absent[:NAMED])}{more}): give the "
            "store that it was trained on"
        )
    if about["store_digest"] != store.digest:
        log.warning(
            "%s (digest %s) is another store than the model was trained on (%s), prepared in the same way",
            store.path,
            store.digest[:12],
            str(about["store_digest"])[:12],
        )


def _names(channels: Any) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in channels)


def _why_none_held_out(about: dict, store: WindowSource, own: int, others: int) -> str:
    """Why no subject of the store is known to be new to a model; "" if the other subjects are.

    own, others : windows of the model's subjects, and of others
    """
    if about["store_digest"] != store.digest:
        return "none: this is another store than the model was trained on"
    if not others:
        return "none: the model was trained on all subjects of the store"
    validation = about.get("validation")
    if not isinstance(validation, dict) or "windows" not in validation:
        return "none: the model is of a fold of a cross-validation, whose report has its score"
    if about.get("n_windows", 0) + validation["windows"] != own:
        return "none: other subjects may have chosen the model's epoch"
    return ""


def _settings(network: GBVNetConfig, about: dict, folder: Path) -> CrossvalConfig:
    """The settings of the model's training that decide its windows and labels."""
    targets, rule = list(about["targets"]), about.get("rule", about.get("threshold"))
    both = targets == ["valence", "arousal"]
    quadrant = str(rule or "").startswith("quadrant")
    train = {
        name: value
        for name, value in (about.get("train") or {}).items()
        if name not in ("device", "devices", "compile", "face_weights", "logger", "select")
    }
    try:
        return CrossvalConfig(
            modality=network.modality,
            target="both" if both or quadrant else targets[0],
            joint=both,
            task=about.get("task", "binary"),
            rule=rule,
            lag_s=about.get("lag_s", 0.0),
            model=ModelConfig(**{f.name: getattr(network, f.name) for f in fields(ModelConfig)}),
            train=from_dict(TrainConfig, train),
        )
    except (BadConfig, TypeError, AttributeError) as error:
        raise BadModel(folder / CONFIG, "a description of the training", str(error), "Restore the file.") from None


def subjects_in_words(windows: pd.DataFrame) -> str:
    """Return "2 subjects (s01, s02)"."""
    names = sorted(windows["subject"].unique())
    shown = (
        listed(names[:NAMED]) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    )
    return f"{len(names)} subject{'s' * (len(names) != 1)} ({shown})"
