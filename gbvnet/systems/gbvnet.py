"""GBV-Net (Yu et al. 2025) as a system: the network of model.py, trained as section 4 of the paper says.

The paper gives Adam, a learning rate of 1e-3, batches of 256 and binary cross-entropy. It does not
give the epoch: here it is the one with the best loss on validation groups, never chosen by the test side.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from typing_extensions import override

from ..config import CrossvalConfig, to_dict, uses_face, uses_signals
from ..errors import BadConfig
from ..evaluation.targets import Target, targets_of
from ..network.checkpoint.checkpoint import load_model, save_model
from ..network.model import GBVNet
from ..network.objectives import objective_of
from ..network.prediction import predict_network
from ..network.pretrained import FaceWeights, load_face_weights
from ..network.pruning import describe_layers, prune_network
from ..network.training_data import TrainingData
from ..preprocessing import face_statistics as facestats
from ..store.channels import channels_of
from ..store.window_source import WindowSource
from . import SystemOutput
from .learners.neural import NeuralSystem, Shape, network_config

FINE_TUNING = 0.1  # learning rate of the training after pruning, beside that of the training
PRUNED = "pruned"  # the folder of that training inside the training's

Rows: TypeAlias = tuple[WindowSource, np.ndarray, np.ndarray]  # a store, row numbers, and their labels as for `fit`


class System(NeuralSystem):
    """GBV-Net."""

    network: GBVNet | None

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self.model_metadata: dict = {}
        self.face_weights: FaceWeights | None = None
        self._pruned: dict[str, Any] = {}  # how it was pruned, for its metadata

    @property
    @override
    def about(self) -> dict[str, Any]:
        return super().about | ({"pruned": self._pruned} if self._pruned else {})

    @classmethod
    @override
    def face_input_of(cls, config: CrossvalConfig) -> str:
        return config.model.face_input

    @classmethod
    @override
    def does_without_a_modality(cls, config: CrossvalConfig) -> bool:
        both = uses_face(config.modality) and uses_signals(config.modality)
        return both and config.model.modality_dropout > 0

    @override
    def build(self, shape: Shape) -> GBVNet:
        network = GBVNet(network_config(self.config, shape))
        if self.config.train.face_weights and network.sees_face:
            self.face_weights = load_face_weights(network, self.config.train.face_weights)
        return network

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
        super().fit(store, rows, y, validation=validation, seed=seed)
        if self.config.pruning.keep < 1:
            self._prune((store, rows, y), validation, seed)
        self.model_metadata = model_metadata(store, self.config, rows)
        if self.face_weights:
            self.model_metadata["face_weights"] = str(self.face_weights)
        return self

    def _prune(self, train: Rows, validation: tuple[np.ndarray, np.ndarray] | None, seed: int) -> None:
        """Prune the trained network by the training rows, and train it further on them."""
        work = None if self.work is None else self.work / PRUNED
        self._pruned = {"chosen_epoch_before": self.fitted.chosen_epoch if self.fitted else None}
        self._pruned |= prune_and_train(self, train, validation, seed, work)

    @override
    def predict(self, store: WindowSource, rows: np.ndarray) -> SystemOutput:
        network = self._network()
        logits, face, bio = predict_network(network, self._windows(store, np.asarray(rows)), self.config.train)
        return SystemOutput(self.predictions_of(logits), face, bio)

    @override
    def save(self, folder: Path) -> None:
        if self.network is None:
            raise BadConfig("this gbvnet is not trained yet: call fit or load first")
        save_model(folder, self.network, {**self.model_metadata, **self.about})

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system = cls(config)
        system.network, _ = load_model(folder)
        return system

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Raise BadConfig for missing modalities: without modality dropout no embedding was learnt in their place."""
        needed = [
            name
            for name, used in (("face", "face" in self.config.modality), ("signals", self.config.modality != "face"))
            if used
        ]
        has = store.windows.iloc[rows][[f"has_{name}" for name in needed]].to_numpy(bool)  # (n, modalities)
        if not has.any(axis=1).all():
            raise BadConfig(
                f"{(~has.any(axis=1)).sum()} of {len(rows)} windows have nothing of modality {self.config.modality}"
            )
        if self.config.model.modality_dropout == 0 and not has.all():
            raise BadConfig(
                f"{(~has.all(axis=1)).sum()} of {len(rows)} windows lack a modality, and with model.modality_dropout 0 "
                "no embedding is learnt in its place; set it above 0, or rows to complete"
            )


def prune_and_train(
    system: System,
    train: Rows,
    validation: tuple[np.ndarray, np.ndarray] | None,
    seed: int,
    work: Path | None = None,
) -> dict[str, Any]:
    """Prune a system's trained network as `config.pruning` says, by the training rows alone, and train it further on
    them; validation rows choose the epoch. Return how that was done, for the metadata of its model.

    work : folder for the checkpoint and history.csv of that training
    """
    from ..network.training import fit_network

    store, rows, y = train
    how, config, network = system.config.pruning, system.config, system.network
    if network is None:
        raise BadConfig("this gbvnet is not trained yet: call fit or load first")
    windows = system._windows(store, rows, system._scaled(y, len(rows)))
    system.network = prune_network(network, windows, how)
    done = {
        "keep": how.keep,
        "by": how.by,
        "stages": how.stages,
        "parameters_before": sum(p.numel() for p in network.parameters()),
        "parameters": sum(p.numel() for p in system.network.parameters()),
        "widths": describe_layers(system.network),
    }
    if not how.epochs or how.keep == 1:
        return done | {"epochs": 0}
    of_validation = validation and system._windows(
        store, validation[0], system._scaled(validation[1], len(validation[0]))
    )
    settings = replace(
        config.train, epochs=how.epochs, learning_rate=FINE_TUNING * config.train.learning_rate, compile=False
    )
    system.fitted = fit_network(
        system.network.train(),
        TrainingData(windows, of_validation, objective_of(system.task, config.train.loss)),
        settings,
        seed,
        augment=system.augment if config.train.augment or config.train.corrupt else None,
        work=work,
        label=f"{system.label}pruned, ",
    )
    return done | {"epochs": how.epochs, "chosen_epoch": system.fitted.chosen_epoch}


def model_metadata(store: WindowSource, config: CrossvalConfig, rows: np.ndarray) -> dict:
    """Return what a model folder records of its training data, so that recordings can be prepared in the same way."""
    s = store.settings
    return {
        "system": "gbvnet",
        "dataset": store.title,
        "synthetic": store.synthetic,
        "store_digest": store.digest,
        **({"source": s["source"]} if "source" in s else {}),
        "prepare": s["prepare"],
        "channels": [s["channels"][i] for i in channels_of(store, config.modality)],
        **{name: s[name] for name in ("rate_hz", "samples_per_window", "frames_per_window", "face_side", "baseline_s")},
        **({"face_features": list(store.face_feature_names)} if _reads_features(config) else {}),
        "normalise": config.train.normalise,
        "targets": [target.name for target in targets_of(config, store)],
        **target_metadata(targets_of(config, store)),
        **({"lag_s": config.lag_s} if config.lag_s else {}),
        "protocol": config.protocol,
        "scope": config.scope,
        "subjects": sorted(store.windows.iloc[rows]["subject"].unique().tolist()),
        "n_windows": len(rows),
        **_face_statistics(store, config, rows),
        "train": {name: value for name, value in to_dict(config.train).items() if name != "logger"},
    }


def target_metadata(targets: Sequence[Target]) -> dict:
    """Return what a model folder records of its targets: the task, the rule, and the classes or the scale."""
    first = targets[0]
    about: dict = {"task": first.task, "rule": first.rule} if first.rule else {"task": first.task}
    if first.task == "multiclass":
        about["classes"] = list(first.classes)
    scales = [target.scale for target in targets if target.scales[0] is not None and len(target.scales) == 1]
    return about | ({"scales": [list(scale) for scale in scales]} if scales else {})


def _face_statistics(store: WindowSource, config: CrossvalConfig, rows: np.ndarray) -> dict:
    """Return brightness, contrast and sharpness of the training faces, by which unusual faces are recognised."""
    rows = np.asarray(rows)
    reads_pictures = uses_face(config.modality) and not _reads_features(config)
    with_face = rows[store.windows.iloc[rows]["has_face"].to_numpy(bool)] if reads_pictures else rows[:0]
    measurements = []
    for start in range(
        0, len(sample := _equally_spaced(with_face, facestats.MAX_WINDOWS)), 64
    ):  # few at a time: large faces are large
        faces, ok, _ = store.read(sample[start : start + 64], signals=False)
        measurements.append(facestats.measure(faces, ok))
    summary = facestats.summarise(np.concatenate(measurements)) if measurements else None
    return {facestats.KEY: summary} if summary else {}


def _reads_features(config: CrossvalConfig) -> bool:
    return uses_face(config.modality) and config.model.face_input == "features"


def _equally_spaced(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the rows, equally spaced from the first to the last."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
