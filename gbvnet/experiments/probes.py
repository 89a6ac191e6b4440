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
from ..store.reader import Store
from ..systems import Contract, system
from .perturbations import Altered, Perturbation, add_noise, paint_patch, swap_channel, unchanged

NOISE = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of a modality's power that is noise
CAN_DO_WITHOUT = ("gbvnet",)  # systems that learn what to put in the place of a modality that is missing
CERTAIN = 1e-12  # a probability this near to 0 or 1 has this logit: 28 is as certain as anybody can be


@dataclass(frozen=True)
class ProbedModel:
    """One training: the model of a fold, and the windows that it is asked about."""

    fold: Fold
    targets: tuple[str, ...]
    model: Path
    rows: np.ndarray  # (n,) drawn from the fold's test windows, sorted

    @property
    def name(self) -> str:
        return f"fold{self.fold.number:02d}-{'both' if len(self.targets) > 1 else self.targets[0]}"


@dataclass(frozen=True)
class ExplainedRun:
    """A run, opened to be explained."""

    store: Store
    run: CrossvalConfig
    config: ExplainConfig
    plan: Plan
    parts: list[ProbedModel]
    digest: str  # of the predictions
    left_out: list[str]

    @property
    def windows(self) -> dict[int, tuple[int, int]]:
        return {p.fold.number: (len(p.rows), len(p.fold.test)) for p in self.parts}

    @property
    def files(self) -> list[str]:
        """What there is to find out: about signals where the system sees any and some window has them, and so on."""
        rows = np.concatenate([part.rows for part in self.parts])
        signals, face = (self.store.windows[name].to_numpy()[rows].any() for name in ("has_signals", "has_face"))
        names = [CHANNELS] if signals and uses_signals(self.run.modality) else []
        names += [SALIENCY, FACE] if face and uses_face(self.run.modality) else []
        return [*names, ROBUSTNESS]


class PredictionCounter:
    def __init__(self, progress: ProgressCallback | None, total: int):
        self.progress, self.total, self.done = progress, total, 0

    def add(self, n: int, doing: str = "") -> None:
        self.done += n
        if self.progress:
            self.progress(self.done, self.total, doing)


@dataclass(frozen=True)
class ProbeResult:
    """What a system says of n windows."""

    logit: np.ndarray  # (n, K)
    gate_face: float  # mean over the windows; NaN where the system has no gate
    gate_bio: float


class Probe:
    """A fold's system, its test windows, and how it answers when these are changed."""

    def __init__(self, work: ExplainedRun, part: ProbedModel, count: PredictionCounter):
        self.store, self.run, self.config, self.part, self.count = work.store, work.run, work.config, part, count
        self.high = pd.DataFrame({target: work.plan.high[target] for target in part.targets})
        self.system: Contract = system(work.run.system).load(part.model, work.run)

    def rows_with(self, has: str) -> np.ndarray:
        """The rows that have a face, or signals: nothing can be taken from the others."""
        return self.part.rows[self.store.windows[f"has_{has}"].to_numpy()[self.part.rows]]

    def y(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) of 0 and 1."""
        return self.high.loc[rows].to_numpy()

    def __call__(
        self, rows: np.ndarray, perturb: Perturbation | None = None, without: str | None = None
    ) -> ProbeResult:
        store = (
            self.store if perturb is None and without is None else Altered(self.store, perturb or unchanged, without)
        )
        said = self.system.predict(store, rows)
        self.count.add(1, str(self.part.name))
        p = np.clip(np.asarray(said.p, np.float64).reshape(len(rows), -1), CERTAIN, 1 - CERTAIN)
        return ProbeResult(logit(p), _mean_gate(said.gate_face), _mean_gate(said.gate_bio))


def _mean_gate(gate: np.ndarray | None) -> float:
    """Over the windows that have one, which are those with both modalities; NaN if none has."""
    there = np.empty(0) if gate is None else gate[~np.isnan(gate)]
    return float(there.mean()) if len(there) else np.nan


def channel_importance(probe: Probe) -> Iterator[dict[str, Any]]:
    """How much worse the system does when a channel shows another window's samples.

    The channel is permuted between the windows (Breiman 2001; model reliance of Fisher, Rudin, Dominici 2019), and not
    set to its training mean. A channel at its mean is a dead electrode: no window that a system was trained on had one,
    and where amplitudes tell, no amplitude is not "unknown" but the strongest of all messages. A permuted channel
    shows real samples of its own kind, and all that is lost is what they say of this window. All channels are permuted
    alike, so that they differ by the channel and not by the draw.

    As with every importance of this kind, channels that tell the same share what they are worth: each can be done
    without as long as the others are there.

    auc_drop, accuracy_drop : before less after; above 0 where the channel helps
    logit_change : mean over windows of |after less before|; says how much is listened to it, to good or bad
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
    """How much the logit moves when a patch of the face, in all frames at once, is painted over with its mean colour.

    drop : mean over windows of what the logit loses towards the true label; above 0 where the patch helps
    change : mean of |after less before|
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
    """Modality, how it is spoilt, share of noise: all that is tried on a system of this modality."""
    both = uses_face(run.modality) and uses_signals(run.modality)
    for modality, used in (("face", uses_face(run.modality)), ("signals", uses_signals(run.modality))):
        if used:
            yield from ((modality, "noise", share) for share in NOISE)
            if both and run.system in CAN_DO_WITHOUT and run.model.modality_dropout > 0:
                yield modality, "removed", np.nan


def noise_robustness(probe: Probe) -> Iterator[dict[str, Any]]:
    """How well the system does, and what its gates do, as one modality drowns in noise; and without that modality.

    Signals: white noise of each channel's mean and SD over the training rows. Face: noise of the spectrum, mean and SD
    of natural pictures (`picture_noise`), one pattern for all frames of a window. Noise takes the place of a share of
    the power (see `noisy`); at 1 nothing else is left. A window's noise is the same at each share but for its strength.
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
            answer = probe(rows, without=modality)
        else:
            answer = probe(rows, add_noise(modality, share, probe.config.seed, mean_sd))
        for k, target in enumerate(probe.part.targets):
            yield {
                "target": target,
                "modality": modality,
                "how": how,
                "noise": share,
                "windows": len(rows),
                **_scores(probe.y(rows)[:, k], answer.logit[:, k]),
                "gate_face": answer.gate_face,
                "gate_bio": answer.gate_bio,
            }
