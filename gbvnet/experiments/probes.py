"""What a trained system depends on: its predictions on test windows whose input was changed, beside those on the same
windows unchanged. Channel importance, face saliency, and robustness to noise.

What is measured depends on the task: report/explanation_outputs.py says how.

Shapes: n windows, C channels, K targets, G patches across a face, D numbers of one target's output.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..config import GATED_FUSIONS, CrossvalConfig, ExplainConfig, uses_face, uses_signals
from ..evaluation.plan import Plan
from ..evaluation.splits import Fold
from ..preprocessing.face_features import feature_groups
from ..progress import ProgressCallback
from ..report.explanation_outputs import TURNED_WRONG, ExplainedOutput, output_of_target
from ..report.explanation_section import CHANNELS, CONTROLS, FACE, FEATURES, GATES, ROBUSTNESS, SALIENCY
from ..store.channels import channels_of, face_feature_statistics, statistics
from ..store.window_source import WindowSource
from ..systems import BaseSystem, load_system, system
from ..text import shortened
from .perturbations import (
    Perturbation,
    PerturbedSource,
    add_noise,
    paint_patch,
    swap_channel,
    swap_features,
    unchanged,
)

NOISE = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of a modality's power that is noise


@dataclass(frozen=True)
class ProbedModel:
    """The model of one training, and the test windows that it predicts."""

    fold: Fold
    targets: tuple[str, ...]
    model: Path
    rows: np.ndarray  # (n,) drawn from the fold's test windows, sorted
    own: CrossvalConfig | None = None  # settings that a search has chosen for it; None: those of the run

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
    def outputs(self) -> dict[str, ExplainedOutput]:
        """What is explained of each target, by its name."""
        return {name: output_of_target(target) for name, target in self.plan.targets.items()}

    @property
    def notes(self) -> dict[str, list[str]]:
        """What is undefined in which folds for want of labels, by target, in words; targets without such are absent."""
        folds: dict[tuple[str, str], list[str]] = {}
        for model in self.models:
            trained = np.concatenate([model.fold.train, model.fold.validation])
            for target in model.targets:
                y = self.plan.labels_of(model.fold).labels[target]
                for note in self.outputs[target].notes(y.loc[model.rows].to_numpy(), y.loc[trained].to_numpy()):
                    folds.setdefault((target, note), []).append(str(model.fold.number))
        notes: dict[str, list[str]] = {}
        for (target, note), numbers in folds.items():
            where = f"fold{'s' * (len(numbers) > 1)} {shortened(numbers, 8)}"
            notes.setdefault(target, []).append(f"{where}: {note}")
        return notes

    @property
    def windows(self) -> dict[int, tuple[int, int]]:
        """Windows used and windows tested, by fold."""
        return {m.fold.number: (len(m.rows), len(m.fold.test)) for m in self.models}

    @property
    def files(self) -> list[str]:
        """The files of its explanation: those of a modality only if the system uses it and some window has it; those of
        gates only if every model has some."""
        rows = np.concatenate([model.rows for model in self.models])
        signals, face = (self.store.windows[name].to_numpy()[rows] for name in ("has_signals", "has_face"))
        measures, names = self.config.measures, list[str]()
        if "channels" in measures and signals.any() and uses_signals(self.run.modality):
            names += [CHANNELS]
        if "face" in measures and face.any() and uses_face(self.run.modality):
            names += [FEATURES] if self.reads_features else [SALIENCY, FACE]
        if "noise" in measures:
            names += [ROBUSTNESS]
        gated = all(has_gates(model.own or self.run) for model in self.models)
        if "gates" in measures and gated and (signals & face).any():
            names += [GATES, CONTROLS]
        return names

    @property
    def reads_features(self) -> bool:
        """Whether the system reads features of faces, of which no part can be covered, in the place of pictures."""
        face_input = system(self.run.system).face_input_of(self.run)
        return face_input == "features" or (face_input == "either" and not self.store.has_pixels)


def has_gates(config: CrossvalConfig) -> bool:
    """Return whether the network of a run has gates, which can be recorded and replaced."""
    both = uses_face(config.modality) and uses_signals(config.modality)
    return config.system == "gbvnet" and both and config.model.fusion in GATED_FUSIONS


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

    outputs: np.ndarray  # (K, n, D)
    gate_face: float  # mean over the windows; NaN where the system has no gate
    gate_bio: float


class Probe:
    """The model of a fold with its test windows, which it predicts as they are or perturbed."""

    def __init__(self, work: ExplainedRun, part: ProbedModel, count: PredictionCounter):
        self.store, self.config, self.part, self.count = work.store, work.config, part, count
        self.run = part.own or work.run
        self.reads_features = work.reads_features
        self.labels = pd.DataFrame({target: work.plan.labels_of(part.fold).labels[target] for target in part.targets})
        self.outputs = [work.outputs[target] for target in part.targets]
        self.system: BaseSystem = load_system(part.model, self.run, work.plan.targets[part.targets[0]])

    def rows_with(self, has: str) -> np.ndarray:
        """Return the rows that have a face, or signals.

        has : "face" or "signals"
        """
        return self.part.rows[self.store.windows[f"has_{has}"].to_numpy()[self.part.rows]]

    def y(self, rows: np.ndarray) -> np.ndarray:
        """Return the labels (n, K) of rows: 0 or 1, the number of the class, or the rating."""
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
        outputs = self.outputs[0].outputs(np.asarray(predicted.predicted, np.float64), len(rows))
        return ProbeResult(outputs, _mean_gate(predicted.gate_face), _mean_gate(predicted.gate_bio))

    def targets(self) -> Iterator[tuple[int, str, ExplainedOutput]]:
        """Yield number, name and output of each target of the model."""
        yield from ((k, *pair) for k, pair in enumerate(zip(self.part.targets, self.outputs, strict=True)))


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

    auc_drop, accuracy_drop (of ratings ccc_drop, mae_rise) : how much worse it gets; above 0 where the channel helps
    logit_change (log_probability_change, rating_change) : mean over windows of |after - before|: how much the channel
        is used, correctly or not
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
        for k, target, output in probe.targets():
            was, now = (output.compute_scores(y[:, k], each.outputs[k]) for each in (before, after))
            yield {
                "target": target,
                "channel": names[channel][0],
                "kind": names[channel][1],
                "windows": len(rows),
                **was,
                **output.losses(was, now),
                output.change: float(output.changed(before.outputs[k], after.outputs[k]).mean()),
            }


def face_feature_importance(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield how much worse the system predicts when features of the face that belong together have another window's
    values, as `channel_importance` does for a channel; in the same columns."""
    rows = probe.rows_with("face")
    if not len(rows):
        return
    donor = np.arange(len(probe.store))
    rng = np.random.default_rng([probe.config.seed, probe.part.fold.number, 2])
    donor[rows] = rng.permutation(rows)
    before, y = probe(rows), probe.y(rows)
    for group, places in feature_groups(probe.store.face_feature_names).items():
        after = probe(rows, swap_features(probe.store, donor, places))
        for k, target, output in probe.targets():
            was, now = (output.compute_scores(y[:, k], each.outputs[k]) for each in (before, after))
            yield {
                "target": target,
                "channel": group,
                "kind": "face",
                "windows": len(rows),
                **was,
                **output.losses(was, now),
                output.change: float(output.changed(before.outputs[k], after.outputs[k]).mean()),
            }


def face_saliency(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield how much the output changes when a patch of the face, in all frames, is painted with the mean colour, or
    black.

    drop (log_probability_drop, absolute_error_rise) : mean over windows of how much the logit (the true class'
        log-probability, the rating) moves away from the true label; above 0 where the patch helps
    change (log_probability_change, rating_change) : mean of |after - before|
    turned_wrong : share of the windows that are predicted correctly, but no longer with the patch covered; by this
        Minaee et al. 2021 draw which regions matter. Not of ratings
    """
    rows = probe.rows_with("face")
    if not len(rows):
        return
    side, grid = probe.store.settings["face_side"], probe.config.grid
    edges = np.linspace(0, side, grid + 1).round().astype(int)
    before, y, black = probe(rows), probe.y(rows), probe.config.cover == "black"
    for row, column in np.ndindex(grid, grid):
        down, across = (slice(edges[i], edges[i + 1]) for i in (row, column))
        after = probe(rows, paint_patch(down, across, black))
        for k, target, output in probe.targets():
            gained = output.gained(y[:, k], before.outputs[k], after.outputs[k])
            changed = output.changed(before.outputs[k], after.outputs[k])
            right, still = (output.correct(y[:, k], each.outputs[k]) for each in (before, after))
            for group, those in output.groups(y[:, k]):
                if those.any():
                    yield {
                        "target": target,
                        output.group: group,
                        "row": row,
                        "column": column,
                        "windows": int(those.sum()),
                        output.patch_loss: float(-gained[those].mean()),
                        output.patch_change: float(changed[those].mean()),
                        **_turned_wrong(right, still, those),
                    }


def _turned_wrong(right: np.ndarray | None, still: np.ndarray | None, those: np.ndarray) -> dict[str, float]:
    """The column of windows that became wrong, of those of a group; none where there are no classes."""
    return {} if right is None or still is None else {TURNED_WRONG: float((right & ~still)[those].mean())}


def noise_conditions(run: CrossvalConfig) -> Iterator[tuple[str, str, float]]:
    """Yield modality, kind of corruption ("noise" or "removed") and share of noise, for a system of this modality."""
    both = uses_face(run.modality) and uses_signals(run.modality)
    for modality, used in (("face", uses_face(run.modality)), ("signals", uses_signals(run.modality))):
        if used:
            yield from ((modality, "noise", share) for share in NOISE)
            if both and system(run.system).does_without_a_modality(run):
                yield modality, "removed", np.nan


def noise_scales(probe: Probe) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and SD of the noise of each modality, by its name: those over the training rows, of each channel of
    the signals and of each feature of the face; nothing for pictures."""
    train, scales = probe.part.fold.train, {}
    if uses_signals(probe.run.modality):
        with_signals = train[probe.store.windows["has_signals"].to_numpy()[train]]
        scales["signals"] = statistics(probe.store, with_signals, range(len(probe.store.settings["channels"])))
    if uses_face(probe.run.modality) and probe.reads_features:
        scales["face"] = face_feature_statistics(probe.store, train)
    return scales


def noise_robustness(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield scores and mean gates of the system as noise replaces one modality, and without that modality.

    Signals: white noise of each channel's mean and SD over the training rows. Face: noise of the spectrum, mean and SD
    of natural pictures (`picture_noise`); of features of the face, their mean and SD over the training frames; one
    pattern for all frames of a window. Noise replaces a share of the power (see `noisy`); at 1 nothing else is left. A
    window's noise differs between shares only in its strength.
    """
    mean_sd = noise_scales(probe)
    for modality, how, share in noise_conditions(probe.run):
        rows = probe.rows_with(modality)
        if not len(rows):
            continue
        if how == "removed":
            result = probe(rows, without=modality)
        else:
            result = probe(rows, add_noise(modality, share, probe.config.seed, mean_sd.get(modality)))
        for k, target, output in probe.targets():
            yield {
                "target": target,
                "modality": modality,
                "how": how,
                "noise": share,
                "windows": len(rows),
                **output.compute_scores(probe.y(rows)[:, k], result.outputs[k]),
                "gate_face": result.gate_face,
                "gate_bio": result.gate_bio,
            }
