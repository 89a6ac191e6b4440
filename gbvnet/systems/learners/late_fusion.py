"""Late fusion of two systems, one that sees the face and one that sees the EEG.

`LateFusion` trains both and combines their probabilities by weights. `WeightedFusion` has the two rules of Huang et al.
2019 and its public code (Eumpy). `enumerate`: w x face + (1 - w) x EEG, with the w of 0, 0.01, ... 1 that misclassifies
the fewest trials; of equally good ones the largest. `adaboost`: first the face, then the EEG, each with a weight by its
error on trials that count for more where the one before was wrong; both then vote. The published code lacks the
logarithm that this weight has in the algorithm; here it is included unless the option adaboost_log is off.

The source fits the weights on the same trials that both were trained on, where either is over-confident, a support
vector machine most. Here they are fitted on the validation rows: these are training rows, but neither system has learnt
from them (the face network's epoch was chosen there). After that, a system without early stopping is trained on all
rows. Without validation rows the weights are fitted as in the source. Shapes: n windows or trials, K targets.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.special import expit
from typing_extensions import override

from ...config import CrossvalConfig
from ...errors import BadModel
from ...evaluation.labels import predicted_high
from ...io.atomic import atomic_write
from ...network.training_data import CHECKPOINT
from ...store.window_source import WindowSource
from .. import BaseSystem, option_names
from .classical import ClassicalSystem

FILE = "fusion.safetensors"
STEPS = 100  # of the enumerated weight, from 0 to 1
BIAS = 1e-11  # added to an error by the published code, against division by 0
LARGEST = 700.0  # an exponent whose exponential is finite


def enumerated_weights(face: np.ndarray, eeg: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the weights (2,) of face and EEG, of sum 1, with the fewest errors.

    face, eeg : (n,) scores in 0..1. y : (n,) of 0 and 1
    """
    w = np.arange(STEPS + 1) / STEPS
    scores = w[:, None] * face + (1 - w)[:, None] * eeg  # (101, n)
    mistakes = (predicted_high(scores) != (y > 0.5)).sum(axis=1)
    best = w[np.flatnonzero(mistakes == mistakes.min())[-1]]
    return np.array([best, 1 - best])


def adaboost_weights(face: np.ndarray, eeg: np.ndarray, y: np.ndarray, log: bool = True) -> np.ndarray:
    """Return AdaBoost's weights (2,) of face and EEG.

    face, eeg : (n,) scores in 0..1. y : (n,) of 0 and 1
    log : 1/2 log((1 - e) / e), where an error of none or all of the trials counts as half a trial; else as in the
        published code: 1/2 (1 - e) / e, and the trials' weights not normalised to a sum of 1
    """
    n = len(y)
    trials, weights = np.full(n, 1 / n), []
    for score in (face, eeg):
        wrong = predicted_high(score) != (y > 0.5)
        error = trials[wrong].sum()
        if log:
            error = np.clip(error, 0.5 / n, 1 - 0.5 / n)
            weight = 0.5 * np.log((1 - error) / error)
        else:
            weight = 0.5 * (1 - error - BIAS) / (error + BIAS)
        trials = trials * np.exp(np.clip(np.where(wrong, weight, -weight), -LARGEST, LARGEST))
        if log:
            trials /= trials.sum()
        weights.append(weight)
    return np.array(weights)


def weighted_mean(weights: np.ndarray, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
    """Return the weighted mean (n,) of two probabilities."""
    return np.clip(weights[0] * face + weights[1] * eeg, 0, 1)  # sums of rounded numbers may leave 0..1


def weighted_vote(weights: np.ndarray, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
    """Return the probability (n,) for AdaBoost's sum of votes: the logistic of twice the sum (Friedman et al. 2000)."""
    votes = [np.where(predicted_high(score), 1.0, -1.0) for score in (face, eeg)]
    return expit(2 * (weights[0] * votes[0] + weights[1] * votes[1]))


class LateFusion(BaseSystem, new_hooks=True):
    """Two systems and the weights of their scores; of one modality alone its system, with nothing to fuse.

    A part gets those of the options that it has itself.
    """

    modalities: ClassVar[tuple[str, ...]] = ("faceeeg", "face", "eeg")
    part_classes: ClassVar[dict[str, type[BaseSystem]]]  # modality face and modality eeg: the system that sees it
    rule: ClassVar[str] = ""  # by which the scores are fused; saved with the weights

    @classmethod
    @override
    def import_for_training(cls) -> None:
        for part in cls.part_classes.values():
            part.import_for_training()

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self.fusion_rule = self.rule
        self.weights = np.empty((0, 2))  # (K, m) of each target, of which the first two are the face's and the EEG's
        names = [name for name in self.part_classes if name in config.modality]
        self.parts: dict[str, BaseSystem] = {
            name: self.part_classes[name](
                self._part_config(name),
                work if work is None or name == names[0] else work / name,  # progress is shown of the first, the face
                label if len(names) == 1 else f"{label}{name}: ",
            )
            for name in names
        }

    @abstractmethod
    def fit_weights(self, scores: dict[str, np.ndarray], y: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """Return the weights (K, m) from each part's scores (K, n), the labels (n, K) and the rows' trials (n,)."""

    @abstractmethod
    def fuse(self, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
        """Return the probability (K, n) from the scores (K, n) of both parts."""

    @override
    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        for part in self.parts.values():
            # One that would learn from the validation rows too must not yet, as the weights are fitted on them.
            without = len(self.parts) > 1 and isinstance(part, ClassicalSystem)
            part.fit(store, rows, y, validation=None if without else validation, seed=seed)
        if len(self.parts) > 1:
            at, labels = validation or (rows, y)
            trials = store.windows["recording"].to_numpy(str)[at]
            self.weights = self.fit_weights(self._scores(store, at), np.asarray(labels).reshape(len(at), -1), trials)
            for part in self.parts.values():
                if isinstance(part, ClassicalSystem) and validation is not None:
                    part.fit(store, rows, y, validation=validation, seed=seed)
        for name in self.parts:
            if self.work is not None:
                (self.work / name / CHECKPOINT).unlink(missing_ok=True)
        return self

    def _scores(self, store: WindowSource, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the probabilities (K, n) of each part."""
        return {name: p.predict_proba(store, rows).reshape(len(rows), -1).T for name, p in self.parts.items()}

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        scores = list(self._scores(store, np.asarray(rows)).values())
        p = scores[0] if len(scores) == 1 else self.fuse(*scores)
        return p[0] if len(p) == 1 else p.T

    @override
    def save(self, folder: Path) -> None:
        for name, part in self.parts.items():
            part.save(folder / name)
        atomic_write(folder / FILE, save({self.fusion_rule: self.weights}))

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system = cls(config)
        for name in system.parts:
            system.parts[name] = cls.part_classes[name].load(folder / name, system._part_config(name))
        try:
            ((system.fusion_rule, system.weights),) = load_file(folder / FILE).items()
        except (OSError, ValueError, SafetensorError) as error:
            content = f"a file that does not read ({error})"
            raise BadModel(folder / FILE, f"the weights of a trained {config.system}", content) from None
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        of_parts = [part.about for part in self.parts.values()]
        first = next((a for a in of_parts if a.get("chosen_epoch") is not None), of_parts[0])
        common = {**first, "n_parameters": sum(a["n_parameters"] for a in of_parts) + self.weights.size}
        fusion = {"fusion": self.fusion_rule, "weights_face_eeg": self.weights.tolist()}
        return common | (fusion if self.weights.size else {})

    def _part_config(self, name: str) -> CrossvalConfig:
        """Return the settings of the part that sees one modality, with those of the options that it has."""
        common = set(option_names(self.part_classes[name])) & set(option_names(type(self)))
        options = {option: getattr(self.options, option) for option in common}
        return replace(self.config, modality=name, options=options)  # type: ignore[arg-type]


class WeightedFusion(LateFusion):
    """Late fusion by one weight for each part, fitted on trials with the mean of their windows' scores."""

    @dataclass(frozen=True)
    class Options(LateFusion.Options):
        """The options of a weighted fusion."""

        fusion: Literal["enumerate", "adaboost"] = "enumerate"
        """how the weights of face and EEG are fitted"""
        adaboost_log: bool = True
        """AdaBoost's weight with its logarithm; off: without, as in the published code"""

    options: Options

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self.fusion_rule = self.options.fusion

    @override
    def fit_weights(self, scores: dict[str, np.ndarray], y: np.ndarray, trials: np.ndarray) -> np.ndarray:
        _, first, of_row = np.unique(trials, return_index=True, return_inverse=True)
        weights = []
        for target, face, eeg in zip(y.T, scores["face"], scores["eeg"], strict=True):
            means = [np.bincount(of_row, score) / np.bincount(of_row) for score in (face, eeg)]
            weights.append(self._trial_weights(means[0], means[1], target[first]))
        return np.stack(weights)

    def _trial_weights(self, face: np.ndarray, eeg: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.fusion_rule == "enumerate":
            return enumerated_weights(face, eeg, y)
        return adaboost_weights(face, eeg, y, log=self.options.adaboost_log)

    @override
    def fuse(self, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
        fuse_target = weighted_mean if self.fusion_rule == "enumerate" else weighted_vote
        return np.stack([fuse_target(*each) for each in zip(self.weights, face, eeg, strict=True)])
