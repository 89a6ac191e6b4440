"""GBV-Net (Yu et al. 2025) as a system: the network of model.py, trained as section 4 of the paper says.

The paper gives Adam, a learning rate of 1e-3, batches of 256 and binary cross-entropy. Ours, as it is silent: the epoch
is the one with the best loss on inner validation groups, and never chosen by the test side.
"""

from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expit

from ..augment import augment_faces, augment_signals, corrupt
from ..batches import Batch, Windows, channels_of
from ..checkpoint import load_model, save_model
from ..config import MODALITIES, CrossvalConfig, GBVNetConfig, to_dict
from ..errors import BadConfig
from ..fitting import Fitted, device_of, fit_network, predict_network
from ..model import GBVNet
from ..networks import device_name
from ..pretrained import FaceWeights, load_face_weights
from ..store import Store
from . import Predicted


class System:
    """GBV-Net. See `gbvnet.systems.Contract` for the methods."""

    modalities: ClassVar[tuple[str, ...]] = MODALITIES
    refused: ClassVar[dict[str, str]] = {}

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        self.config, self.work, self.label = config, work, label
        self.network: GBVNet | None = None
        self.fitted: Fitted | None = None
        self.learnt_from: dict = {}
        self.face_weights: FaceWeights | None = None

    def fit(
        self,
        store: Store,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> "System":
        y = np.asarray(y, np.float32).reshape(len(rows), -1)  # (n, K)
        self._refuse_missing(store, rows)
        self.network = self._build(store, n_outputs=y.shape[1], seed=seed)
        train = self._windows(store, rows, y)
        if train.channels:
            self.network.fit_normaliser(*train.signal_statistics())
        inner = None
        if validation is not None:
            self._refuse_missing(store, validation[0])
            inner = self._windows(store, validation[0], np.asarray(validation[1], np.float32).reshape(-1, y.shape[1]))
        self.learnt_from = _learnt_from(store, self.config, rows)
        if self.face_weights:
            self.learnt_from["face_weights"] = str(self.face_weights)
        self.fitted = fit_network(
            self.network,
            train,
            inner,
            self.config.train,
            seed,
            augment=self._augment if self.config.train.augment or self.config.train.corrupt else None,
            work=self.work,
            label=self.label,
        )
        return self

    def predict(self, store: Store, rows: np.ndarray) -> Predicted:
        self._refuse_missing(store, rows)
        logits, face, bio = predict_network(self._network(), self._windows(store, rows), self.config.train)
        return Predicted(expit(logits[:, 0] if logits.shape[1] == 1 else logits), face, bio)

    def predict_proba(self, store: Store, rows: np.ndarray) -> np.ndarray:
        return self.predict(store, rows).p

    def save(self, folder: Path) -> None:
        save_model(folder, self._network(), {**self.learnt_from, **self.about})

    @classmethod
    def load(cls, folder: Path, config: CrossvalConfig) -> "System":
        made = cls(config)
        made.network, _ = load_model(folder)
        return made

    @property
    def about(self) -> dict:
        return {
            "n_parameters": sum(p.numel() for p in self._network().parameters()),
            "chosen_epoch": self.fitted.chosen_epoch if self.fitted else None,
            "device": device_name(self.config),
        }

    def _network(self) -> GBVNet:
        if self.network is None:
            raise BadConfig("this GBV-Net is not trained yet: call fit or load first")
        return self.network

    def _build(self, store: Store, n_outputs: int, seed: int) -> GBVNet:
        s = store.settings
        config = GBVNetConfig(
            **asdict(self.config.model),
            modality=self.config.modality,
            n_channels=max(1, len(channels_of(store, self.config.modality))),
            n_samples=s["samples_per_window"],
            n_frames=max(1, s["frames_per_window"]),
            n_outputs=n_outputs,
        )
        with torch.random.fork_rng():  # the weights' start is of the seed alone, and nobody else's random state moves
            torch.manual_seed(seed)
            network = GBVNet(config)
        if self.config.train.face_weights and network.sees_face:
            self.face_weights = load_face_weights(network, self.config.train.face_weights)
        return network

    def _windows(self, store: Store, rows: np.ndarray, y: np.ndarray | None = None) -> Windows:
        train = self.config.train
        return Windows(
            store,
            rows,
            self.config.modality,
            y,
            device=device_of(train),
            memory_gib=train.memory_gib,
            per_subject=train.normalise == "subject",
        )

    def _augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        net, train = self._network(), self.config.train
        faces, signals = batch.faces, batch.signals
        mean, sd = (net.signal_mean, net.signal_sd) if net.sees_signals else (torch.zeros(0), torch.ones(0))
        if train.augment and faces is not None:
            faces = augment_faces(faces, generator)
        if train.augment and signals is not None:
            signals = augment_signals(signals, sd, generator, mean)
        if train.corrupt:  # last: what is spoilt is not made tidy again by a blur
            faces, signals = corrupt(faces, signals, train.corrupt, mean, sd, generator)
        return batch._replace(faces=faces, signals=signals)

    def _refuse_missing(self, store: Store, rows: np.ndarray) -> None:
        """Without modality dropout nothing was learnt to stand in for a missing modality."""
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
                "nothing is learnt to stand in for it; set it above 0, or rows to complete"
            )


def _learnt_from(store: Store, config: CrossvalConfig, rows: np.ndarray) -> dict:
    """What a model folder should say of its data, so that new recordings can be prepared in the same way."""
    s = store.settings
    return {
        "system": "gbvnet",
        "dataset": store.title,
        "made_up": store.made_up,
        "store_digest": store.digest,
        "prepare": s["prepare"],
        "channels": [s["channels"][i] for i in channels_of(store, config.modality)],
        **{name: s[name] for name in ("rate_hz", "samples_per_window", "frames_per_window", "face_side", "baseline_s")},
        "normalise": config.train.normalise,
        "targets": ["valence", "arousal"] if config.target == "both" else [config.target],
        "threshold": config.threshold,
        "protocol": config.protocol,
        "scope": config.scope,
        "subjects": sorted(store.windows.iloc[rows]["subject"].unique().tolist()),
        "n_windows": len(rows),
        "train": to_dict(config.train),
    }
