"""What a trained system depends on: its predictions on test windows whose input was changed, beside those on the same
windows unchanged. Channel importance, face saliency, and robustness to noise.

Shapes: n windows, C channels, K targets, G patches across a face.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from ..config import CrossvalConfig, ExplainConfig, uses_face, uses_signals
from ..evaluation.metrics import accuracy, auc
from ..evaluation.plan import Plan
from ..evaluation.splits import Fold
from ..progress import ProgressCallback
from ..report.explanation_section import CHANNELS, FACE, ROBUSTNESS, SALIENCY
from ..store.channels import channels_of, statistics
from ..store.window_source import WindowSource
from ..systems import BaseSystem, load_system
from .perturbations import Perturbation, PerturbedSource, add_noise, paint_patch, swap_channel, unchanged

NOISE = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of a modality's power that is noise
HANDLES_MISSING = ("gbvnet",)  # systems that learn a substitute for a missing modality
CERTAIN = 1e-12  # probabilities are clipped to this distance from 0 and 1: logits of at most 28


@dataclass(frozen=True)
class ProbedModel:
    """The model of one training, and the test windows that it predicts."""

    fold: Fold
    targets: tuple[str, ...]
    model: Path
    rows: np.ndarray  # (n,) drawn from the fold's test windows, sorted

    @property
    def name(self) -> str:
        """Its name in the names of files."""
        return f"fold{self.fold.number:02d}-{'both' if len(self.targets) > 1 else self.targets[0]}"


@dataclass(frozen=True)
class ExplainedRun:
    """A run that is explained: its settings, data and models."""

    store: WindowSource
    run: CrossvalConfig
    config: ExplainConfig
    plan: Plan
    models: list[ProbedModel]
    digest: str  # of the predictions
    left_out: list[str]

    @property
    def windows(self) -> dict[int, tuple[int, int]]:
        """Windows used and windows tested, by fold."""
        return {m.fold.number: (len(m.rows), len(m.fold.test)) for m in self.models}

    @property
    def files(self) -> list[str]:
        """The files of its explanation: those of a modality only if the system uses it and some window has it."""
        rows = np.concatenate([model.rows for model in self.models])
        signals, face = (self.store.windows[name].to_numpy()[rows].any() for name in ("has_signals", "has_face"))
        names = [CHANNELS] if signals and uses_signals(self.run.modality) else []
        names += [SALIENCY, FACE] if face and uses_face(self.run.modality) else []
        return [*names, ROBUSTNESS]


class PredictionCounter:
    """Counts how many times models have predicted, and reports it as progress."""

    def __init__(self, progress: ProgressCallback | None, total: int):
        self.progress, self.total, self.done = progress, total, 0

    def add(self, n: int, doing: str = "") -> None:
        """Count n more predictions, and report."""
        self.done += n
        if self.progress:
            self.progress(self.done, self.total, doing)


@dataclass(frozen=True)
class ProbeResult:
    """The predictions of a system for n windows."""

    logit: np.ndarray  # (n, K)
    gate_face: float  # mean over the windows; NaN where the system has no gate
    gate_bio: float


class Probe:
    """The model of a fold with its test windows, which it predicts as they are or perturbed."""

    def __init__(self, work: ExplainedRun, part: ProbedModel, count: PredictionCounter):
        self.store, self.run, self.config, self.part, self.count = work.store, work.run, work.config, part, count
        self.labels = pd.DataFrame({target: work.plan.labels[target] for target in part.targets})
        self.system: BaseSystem = load_system(part.model, work.run, work.plan.targets[part.targets[0]])

    def rows_with(self, has: str) -> np.ndarray:
        """Return the rows that have a face, or signals.

        has : "face" or "signals"
        """
        return self.part.rows[self.store.windows[f"has_{has}"].to_numpy()[self.part.rows]]

    def y(self, rows: np.ndarray) -> np.ndarray:
        """Return the labels (n, K) of rows, 0 or 1."""
        return self.labels.loc[rows].to_numpy()

    def __call__(
        self, rows: np.ndarray, perturb: Perturbation | None = None, without: str | None = None
    ) -> ProbeResult:
        store = (
            self.store
            if perturb is None and without is None
            else PerturbedSource(self.store, perturb or unchanged, without)
        )
        predicted = self.system.predict(store, rows)
        self.count.add(1, str(self.part.name))
        p = np.clip(np.asarray(predicted.predicted, np.float64).reshape(len(rows), -1), CERTAIN, 1 - CERTAIN)
        return ProbeResult(logit(p), _mean_gate(predicted.gate_face), _mean_gate(predicted.gate_bio))


def _mean_gate(gate: np.ndarray | None) -> float:
    """Mean over the windows with a gate, which are those with both modalities; NaN if there are none."""
    gates = np.empty(0) if gate is None else gate[~np.isnan(gate)]
    return float(gates.mean()) if len(gates) else np.nan


def channel_importance(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield how much worse the system predicts when a channel has another window's samples.

    The channel is permuted between the windows (Breiman 2001; model reliance of Fisher, Rudin, Dominici 2019), and not
    set to its training mean. A channel at its mean is a dead electrode: no window that a system was trained on had one,
    and where amplitudes are informative, zero amplitude is not "unknown" but an extreme value. A permuted channel has
    real samples of its own kind, and only their relation to this window is lost. All channels are permuted in the same
    way, so that they differ by the channel and not by the permutation.

    As with every importance of this kind, redundant channels share their importance: each can be left out as long as
    the others are there.

    auc_drop, accuracy_drop : before - after; above 0 where the channel helps
    logit_change : mean over windows of |after - before|: how much the channel is used, correctly or not
    """
    rows = probe.rows_with("signals")
    if not len(rows):
        return
    names = probe.store.settings["channels"]
    donor = np.arange(len(probe.store))
    rng = np.random.default_rng([probe.config.seed, probe.part.fold.number, 1])
    donor[rows] = rng.permutation(rows)
    before, y = probe(rows), probe.y(rows)
    for channel in channels_of(probe.store, probe.run.modality):
        after = probe(rows, swap_channel(probe.store, donor, channel))
        for k, target in enumerate(probe.part.targets):
            was, now = _scores(y[:, k], before.logit[:, k]), _scores(y[:, k], after.logit[:, k])
            yield {
                "target": target,
                "channel": names[channel][0],
                "kind": names[channel][1],
                "windows": len(rows),
                **was,
                **{f"{name}_drop": was[name] - now[name] for name in was},
                "logit_change": float(np.abs(after.logit[:, k] - before.logit[:, k]).mean()),
            }


def _scores(y: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    p = 1 / (1 + np.exp(-logits))
    return {"auc": auc(y, p), "accuracy": accuracy(y, p)}


def face_saliency(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield how much the logit changes when a patch of the face, in all frames, is painted with the mean colour.

    drop : mean over windows of how much the logit moves away from the true label; above 0 where the patch helps
    change : mean of |after - before|
    """
    rows = probe.rows_with("face")
    if not len(rows):
        return
    side, grid = probe.store.settings["face_side"], probe.config.grid
    edges = np.linspace(0, side, grid + 1).round().astype(int)
    before, y = probe(rows), probe.y(rows)
    towards = 2.0 * y - 1  # (n, K)
    for row, column in np.ndindex(grid, grid):
        down, across = (slice(edges[i], edges[i + 1]) for i in (row, column))
        gained = probe(rows, paint_patch(down, across)).logit - before.logit  # (n, K)
        for k, target in enumerate(probe.part.targets):
            for rated, those in (("high", y[:, k] == 1), ("low", y[:, k] == 0)):
                if those.any():
                    yield {
                        "target": target,
                        "rated": rated,
                        "row": row,
                        "column": column,
                        "windows": int(those.sum()),
                        "drop": float(-(towards * gained)[those, k].mean()),
                        "change": float(np.abs(gained[those, k]).mean()),
                    }


def noise_conditions(run: CrossvalConfig) -> Iterator[tuple[str, str, float]]:
    """Yield modality, kind of corruption ("noise" or "removed") and share of noise, for a system of this modality."""
    both = uses_face(run.modality) and uses_signals(run.modality)
    for modality, used in (("face", uses_face(run.modality)), ("signals", uses_signals(run.modality))):
        if used:
            yield from ((modality, "noise", share) for share in NOISE)
            if both and run.system in HANDLES_MISSING and run.model.modality_dropout > 0:
                yield modality, "removed", np.nan


def noise_robustness(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield scores and mean gates of the system as noise replaces one modality, and without that modality.

    Signals: white noise of each channel's mean and SD over the training rows. Face: noise of the spectrum, mean and SD
    of natural pictures (`picture_noise`), one pattern for all frames of a window. Noise replaces a share of the
    power (see `noisy`); at 1 nothing else is left. A window's noise differs between shares only in its strength.
    """
    mean_sd = None
    if uses_signals(probe.run.modality):
        train = probe.part.fold.train[probe.store.windows["has_signals"].to_numpy()[probe.part.fold.train]]
        mean_sd = statistics(probe.store, train, range(len(probe.store.settings["channels"])))
    for modality, how, share in noise_conditions(probe.run):
        rows = probe.rows_with(modality)
        if not len(rows):
            continue
        if how == "removed":
            result = probe(rows, without=modality)
        else:
            result = probe(rows, add_noise(modality, share, probe.config.seed, mean_sd))
        for k, target in enumerate(probe.part.targets):
            yield {
                "target": target,
                "modality": modality,
                "how": how,
                "noise": share,
                "windows": len(rows),
                **_scores(probe.y(rows)[:, k], result.logit[:, k]),
                "gate_face": result.gate_face,
                "gate_bio": result.gate_bio,
            }
