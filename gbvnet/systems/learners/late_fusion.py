"""One system made of two, one that sees the face and one that sees the EEG, and how their words are weighed.

Two rules, both of Huang et al. 2019 and its public code (Eumpy). `enumerate`: w x face + (1 - w) x EEG, with the w of
0, 0.01, ... 1 that mistakes the fewest trials; of equally good ones the largest. `adaboost`: first the face, then the
EEG, each with a weight by its error on trials that count for more where the one before was wrong; both then vote. The
published code has no logarithm in that weight, which the algorithm has; here it is there unless asked otherwise.

The source fits the weights on the very trials that both were trained on, where either is over-confident, a support
vector machine most. Here they are fitted on the validation rows: these are training rows, but neither has learnt
from them (the face network's epoch was chosen there). After that, what needs no early stopping is trained on all.
Without validation rows it is done as in the source. Shapes: n windows or trials, K targets.
"""

from abc import ABC
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.special import expit

from ...config import CrossvalConfig
from ...errors import BadModel
from ...io.atomic import atomic_write
from ...network.training import CHECKPOINT
from ...store.window_source import WindowSource
from .. import Contract, Predicted
from .classical import Classical

FILE = "fusion.safetensors"
STEPS = 100  # of the enumerated weight, from 0 to 1
BIAS = 1e-11  # added to an error by the published code, against division by 0
LARGEST = 700.0  # an exponent that still has a power


def enumerated(face: np.ndarray, eeg: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(2,) weights of face and EEG, summing to 1, with the fewest mistakes; scores (n,) in 0..1, y (n,) of 0 and 1."""
    w = np.arange(STEPS + 1) / STEPS
    scores = w[:, None] * face + (1 - w)[:, None] * eeg  # (101, n)
    mistakes = ((scores >= 0.5) != (y > 0.5)).sum(axis=1)
    best = w[np.flatnonzero(mistakes == mistakes.min())[-1]]
    return np.array([best, 1 - best])


def boosted(face: np.ndarray, eeg: np.ndarray, y: np.ndarray, log: bool = True) -> np.ndarray:
    """(2,) AdaBoost's weights of face and EEG; scores (n,) in 0..1, y (n,) of 0 and 1.

    log : 1/2 log((1 - e) / e), an error of none or all of the trials counted as of half a trial less; else as the
        published code has it: 1/2 (1 - e) / e, and the trials' weights not brought back to a sum of 1
    """
    n = len(y)
    trials, weights = np.full(n, 1 / n), []
    for score in (face, eeg):
        wrong = (score >= 0.5) != (y > 0.5)
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


def mixed(weights: np.ndarray, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
    """(n,) the weighted mean of two probabilities."""
    return np.clip(weights[0] * face + weights[1] * eeg, 0, 1)  # sums of rounded numbers may leave 0..1


def voted(weights: np.ndarray, face: np.ndarray, eeg: np.ndarray) -> np.ndarray:
    """The probability that goes with AdaBoost's sum of votes (Friedman et al. 2000): the logistic of twice it."""
    votes = [np.where(score >= 0.5, 1.0, -1.0) for score in (face, eeg)]
    return expit(2 * (weights[0] * votes[0] + weights[1] * votes[1]))


class Fused(ABC):
    """See `gbvnet.systems.Contract`. A subclass says what it is made of and how it is fused by default."""

    modalities: ClassVar[tuple[str, ...]] = ("faceeeg", "face", "eeg")  # of one alone, nothing is fused
    refused: ClassVar[dict[str, str]] = {}
    made_of: ClassVar[dict[str, type[Contract]]]  # modality face and modality eeg -> the system that sees it
    rule: ClassVar[str]  # enumerate or adaboost

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        self.config, self.work = config, work
        self.fused_by = config.rival.fusion or self.rule
        self.weights = np.empty((0, 2))  # (K, 2), of face and EEG
        names = [name for name in self.made_of if name in config.modality]
        self.parts: dict[str, Contract] = {
            name: self.made_of[name](
                _alone(config, name),
                work if work is None or name == names[0] else work / name,  # progress is told of the first, the face
                label if len(names) == 1 else f"{label}{name}: ",
            )
            for name in names
        }

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
            # One that would learn from the validation rows too must not yet, if they are to judge it.
            kept_back = len(self.parts) > 1 and isinstance(part, Classical)
            part.fit(store, rows, y, validation=None if kept_back else validation, seed=seed)
        if len(self.parts) > 1:
            self.weights = self._weigh(store, *(validation or (rows, y)))
            for part in self.parts.values():
                if isinstance(part, Classical) and validation is not None:
                    part.fit(store, rows, y, validation=validation, seed=seed)
        for name in self.parts:
            if self.work is not None:
                (self.work / name / CHECKPOINT).unlink(missing_ok=True)
        return self

    def _weigh(self, store: WindowSource, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(K, 2): fitted on trials, each with the mean of its windows' scores, as the source does."""
        of_target = np.asarray(y).reshape(len(rows), -1).T
        recording = store.windows["recording"].to_numpy(str)[rows]
        _, first, of_row = np.unique(recording, return_index=True, return_inverse=True)
        weights = []
        for target, face, eeg in zip(of_target, *(self._scores(store, rows).values()), strict=True):
            means = [np.bincount(of_row, score) / np.bincount(of_row) for score in (face, eeg)]
            weights.append(self._rule(means[0], means[1], target[first]))
        return np.stack(weights)

    def _rule(self, face: np.ndarray, eeg: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.fused_by == "enumerate":
            return enumerated(face, eeg, y)
        return boosted(face, eeg, y, log=self.config.rival.adaboost_log)

    def _scores(self, store: WindowSource, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Of each part (K, n)."""
        return {name: p.predict_proba(store, rows).reshape(len(rows), -1).T for name, p in self.parts.items()}

    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        scores = list(self._scores(store, rows).values())
        if len(scores) == 1:
            p = scores[0]
        else:
            word = mixed if self.fused_by == "enumerate" else voted
            p = np.stack([word(w, *each) for w, *each in zip(self.weights, *scores, strict=True)])
        return p[0] if len(p) == 1 else p.T

    def predict(self, store: WindowSource, rows: np.ndarray) -> Predicted:
        return Predicted(self.predict_proba(store, rows))

    def save(self, folder: Path) -> None:
        for name, part in self.parts.items():
            part.save(folder / name)
        atomic_write(folder / FILE, save({self.fused_by: self.weights}))

    @classmethod
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        made = cls(config)
        for name in made.parts:
            made.parts[name] = cls.made_of[name].load(folder / name, _alone(config, name))
        try:
            ((made.fused_by, made.weights),) = load_file(folder / FILE).items()
        except (OSError, ValueError, SafetensorError) as error:
            found = f"a file that does not read ({error})"
            raise BadModel(folder / FILE, f"the weights of a trained {config.system}", found) from None
        return made

    @property
    def about(self) -> dict[str, Any]:
        of_parts = [part.about for part in self.parts.values()]
        first = next((a for a in of_parts if a.get("chosen_epoch") is not None), of_parts[0])
        told = {**first, "n_parameters": sum(a["n_parameters"] for a in of_parts) + self.weights.size}
        fused = {"fusion": self.fused_by, "weights_face_eeg": self.weights.tolist()}
        return told | (fused if self.weights.size else {})


def _alone(config: CrossvalConfig, name: str) -> CrossvalConfig:
    """The settings of the part that sees `name` only."""
    return replace(config, modality=name)  # type: ignore[arg-type]
