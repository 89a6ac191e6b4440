"""GBV-Net's two encoders, each trained alone with a classifier of its own, and what fuses them afterwards.

`TwoBranches` trains a network of the face and one of the signals, the same as GBV-Net's of one modality, each on the
windows that have its modality; so systems that fuse scores or features of both differ from GBV-Net in the fusion, and
in that the encoders are trained apart. A `FeatureFusion` then learns from the features of both, and a linear SVM (of
ratings a ridge) from what it makes of them. Of a window that lacks a modality the other one alone is used.

Sources that fuse features begin with features that are computed, such as band power; here those are the branches'.
On training windows they are better than on others, since the branches have learnt from them.

Shapes: n windows, B windows in a batch, D features, K targets.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from typing_extensions import override

from ...config import CrossvalConfig
from ...errors import BadConfig, BadModel, BadStore
from ...io.atomic import atomic_write
from ...network.batches import Batch, BatchSource, with_network_faces
from ...network.devices import device_of
from ...network.model import FACE_WIDTH, SIGNAL_WIDTH, GBVNet
from ...network.objectives import Objective
from ...network.prediction import PREDICT_BATCH
from ...network.pretrained import load_face_weights
from ...network.training_data import CHECKPOINT, TrainingData
from ...store.window_source import WindowSource
from .. import ALL_TASKS, BaseSystem
from .linear import LinearSystem
from .neural import NeuralSystem, Shape, UngatedOutput, network_config

FILE = "fusion.safetensors"
BATCH = 1024  # windows in a training step of a fusion: statistics of a batch are to be those of the data
STILL = 1e-6  # an SD below which a feature counts as constant
Validation = tuple[np.ndarray, np.ndarray] | None


class Branch(NeuralSystem, new_hooks=True):
    """GBV-Net of one modality: its encoder and a classifier."""

    network: GBVNet | None

    @classmethod
    @override
    def face_input_of(cls, config: CrossvalConfig) -> str:
        return config.model.face_input

    @override
    def build(self, shape: Shape) -> GBVNet:
        network = GBVNet(network_config(self.config, shape))
        if self.config.train.face_weights and network.sees_face:
            load_face_weights(network, self.config.train.face_weights)
        return network

    @torch.inference_mode()
    def features(self, store: WindowSource, rows: np.ndarray) -> Tensor:
        """Return the encoder's features of rows that have the modality, (n, D) float32 on the CPU."""
        network = self._network()
        self._require_same_shape(store)
        windows = self._windows(store, rows)
        network = network.to(windows.device).eval()
        parts = [
            network(*with_network_faces(batch).inputs_of(network)).fused for batch in windows.in_order(PREDICT_BATCH)
        ]
        network.to("cpu")
        return torch.cat(parts).float().cpu() if parts else torch.empty(0, self._width())

    def _width(self) -> int:
        return FACE_WIDTH if self.config.modality == "face" else SIGNAL_WIDTH


class TwoBranches(BaseSystem, new_hooks=True):
    """A system of two branches, which a subclass fuses."""

    modalities: ClassVar[tuple[str, ...]] = ("facebio", "faceeeg", "faceperi")
    normalises_by_subject: ClassVar[bool] = True  # as its branches

    @classmethod
    @override
    def import_for_training(cls) -> None:
        Branch.import_for_training()

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        of_signals = config.modality.removeprefix("face") or "bio"
        self.branches = {
            name: Branch(
                replace(config, modality=modality, options=None),  # type: ignore[arg-type]
                work if work is None or name == "face" else work / name,  # progress is shown of the first, the face
                f"{label}{name}: ",
            )
            for name, modality in (("face", "face"), ("signals", of_signals))
        }

    @classmethod
    @override
    def face_input_of(cls, config: CrossvalConfig) -> str:
        return config.model.face_input

    @classmethod
    @override
    def does_without_a_modality(cls, config: CrossvalConfig) -> bool:
        return True

    def fit_branches(
        self, store: WindowSource, rows: np.ndarray, y: np.ndarray, validation: Validation, seed: int
    ) -> None:
        """Train both branches, each on the rows that have its modality. Raises BadConfig if there are none."""
        self.refuse_missing(store, rows)
        for name, branch in self.branches.items():
            own, of_validation = self._having(store, rows, name), None
            if not own.any():
                raise BadConfig(f"{self.name}: none of {len(rows)} training windows has {name}, which it needs")
            if validation is not None and (kept := self._having(store, validation[0], name)).any():
                of_validation = validation[0][kept], validation[1][kept]
            branch.target = self.target
            branch.fit(store, rows[own], y[own], validation=of_validation, seed=seed)
            if self.work is not None and branch.work is not None and branch.work != self.work:
                (branch.work / CHECKPOINT).unlink(missing_ok=True)

    def features(self, store: WindowSource, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the features of face (n, 128) and signals (n, 64); NaN for a window without the modality."""
        return tuple(self._of_branch(store, rows, name) for name in self.branches)  # type: ignore[return-value]

    def scores(self, store: WindowSource, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the probabilities (n, K) of each branch; NaN for a window without its modality."""
        scores = {}
        for name, branch in self.branches.items():
            has, branch.target = self._having(store, rows, name), self.target
            p = branch.predict_proba(store, rows[has]).reshape(has.sum(), -1) if has.any() else np.empty((0, 1))
            _require_finite(store, rows[has], p, name)
            scores[name] = np.full((len(rows), p.shape[1]), np.nan)
            scores[name][has] = p
        widest = max(p.shape[1] for p in scores.values())
        return {name: np.broadcast_to(p, (len(rows), widest)) for name, p in scores.items()}

    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Raise BadConfig for rows with neither modality."""
        neither = ~store.windows[["has_face", "has_signals"]].to_numpy(bool)[rows].any(axis=1)
        if neither.any():
            raise BadConfig(f"{neither.sum()} of {len(rows)} windows have nothing of modality {self.config.modality}")

    def _having(self, store: WindowSource, rows: np.ndarray, name: str) -> np.ndarray:
        return store.windows[f"has_{name}"].to_numpy(bool)[rows]

    def _of_branch(self, store: WindowSource, rows: np.ndarray, name: str) -> Tensor:
        has = self._having(store, rows, name)
        known = self.branches[name].features(store, rows[has])
        _require_finite(store, rows[has], known.numpy(), name)
        features = torch.full((len(rows), known.shape[1]), torch.nan)
        features[torch.from_numpy(has)] = known
        return features

    @override
    def save(self, folder: Path) -> None:
        for name, branch in self.branches.items():
            branch.save(folder / name)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors().items()}
        atomic_write(folder / FILE, save(tensors))

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system = cls(config)
        for name, branch in system.branches.items():
            system.branches[name] = Branch.load(folder / name, branch.config)
        try:
            system.read_tensors(load_file(folder / FILE))
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            content = f"a file that does not read ({error})"
            raise BadModel(folder / FILE, f"the fusion of a trained {config.system}", content) from None
        return system

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return what the fusion has learnt, by name."""

    @abstractmethod
    def read_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned. Raises KeyError, ValueError or RuntimeError for others."""

    @property
    @override
    def about(self) -> dict[str, Any]:
        of_branches = [branch.about for branch in self.branches.values()]
        n = sum(a["n_parameters"] for a in of_branches) + sum(t.numel() for t in self.tensors().values())
        return {**of_branches[0], "n_parameters": n}


def _require_finite(store: WindowSource, rows: np.ndarray, values: np.ndarray, name: str) -> None:
    """Raise BadStore for rows of which a branch made values (n, D) that are not finite: NaN means a missing modality
    here, and a damaged window is not to be taken for one."""
    odd = rows[~np.isfinite(values).all(axis=1)]
    if len(odd):
        first = store.windows.iloc[odd[0]]
        where = f"first in {first['recording']} at {first['start_s']:g} s"
        there = f"NaN or infinite values in {len(odd)} of {len(rows)}, {where}"
        raise BadStore(store.path, f"finite {name} in every window", there, "Prepare the store again.")


# ------------------------------------------------------------------------------------------- fusion of features


class FeatureFusion(nn.Module):
    """What makes one vector of the features of both branches, z-scored by the training windows.

    `forward` is called as every network is, with both features side by side as the signals (B, 192), and returns what
    the objective of its training takes.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FACE_WIDTH + SIGNAL_WIDTH))
        self.register_buffer("sd", torch.ones(FACE_WIDTH + SIGNAL_WIDTH))

    @override
    def forward(self, faces: None, face_ok: None, signals: Tensor, *others: None) -> UngatedOutput:
        """signals: (B, 192), z-scored features; the other arguments are not used."""
        return UngatedOutput.of(self.trained(*signals.split((FACE_WIDTH, SIGNAL_WIDTH), dim=1)))

    @abstractmethod
    def trained(self, f: Tensor, b: Tensor) -> Tensor:
        """Return what its objective takes (B, D), from z-scored features f (B, 128) and b (B, 64)."""

    @abstractmethod
    def fused(self, f: Tensor, b: Tensor, has: Tensor) -> Tensor:
        """Return the fused vector (n, D) from z-scored features f (n, 128) and b (n, 64), 0 where missing.

        has : (n, 2) bool, which of both a window has; one at least
        """

    def finish(self, f: Tensor, b: Tensor) -> None:
        """Compute what is not trained by steps, from the training windows' z-scored features (n, 128) and (n, 64)."""

    def z_scored(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return both features z-scored; NaN, of a missing modality, becomes 0."""
        z = ((torch.cat([f, b], dim=1) - self.mean) / self.sd).nan_to_num(0, 0, 0)
        return z[:, :FACE_WIDTH], z[:, FACE_WIDTH:]

    def fit_scale(self, f: Tensor, b: Tensor) -> None:
        """Set mean and SD of each feature from the windows of training that have it."""
        x = torch.cat([f, b], dim=1).double()
        known = torch.isfinite(x)
        n = known.sum(0).clamp(min=1)
        mean = torch.where(known, x, 0).sum(0) / n
        sd = (torch.where(known, x - mean, 0).square().sum(0) / n).sqrt()
        self.mean.copy_(mean)
        self.sd.copy_(torch.where(sd > STILL, sd, 1.0))


class FeatureBatches(BatchSource):
    """Vectors in memory as batches.

    x : (n, D). y : (n, K), what the objective compares with
    """

    def __init__(self, x: Tensor, y: Tensor, device: torch.device | str = "cpu"):
        self.rows, self.channels, self.device = np.arange(len(x)), (), torch.device(device)
        self.x, self.y = x.to(self.device), y.to(self.device)

    @override
    def batches(self, orders: Iterable[np.ndarray]) -> Iterator[Batch]:
        for order in orders:
            at = torch.from_numpy(order).to(self.device)
            yield Batch(None, None, self.x[at], None, None, self.y[at])

    @override
    def signal_statistics(self) -> tuple[Tensor, Tensor]:
        return torch.zeros(0), torch.ones(0)  # they are z-scored


class _Head(LinearSystem):
    """A linear SVM, C 1, or of ratings a ridge, on the vectors that its owner computes."""

    _compute: Callable[[WindowSource, np.ndarray], np.ndarray]

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        return self._compute(store, rows)

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        """Its owner has refused what it cannot use."""

    @override
    def classifier(self) -> LinearSVC:
        return LinearSVC(C=1.0, dual=False)


class FusedBranches(TwoBranches, new_hooks=True):
    """Two branches, a fusion of their features, and a linear SVM (of ratings a ridge) on what it gives."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self.fusion = self.untrained_fusion()
        self._set_head(_Head(replace(config, options=None)))

    @abstractmethod
    def untrained_fusion(self) -> FeatureFusion:
        """Return the fusion; its initial weights may depend on PyTorch's random state only."""

    @abstractmethod
    def objective(self) -> Objective:
        """Return what its training minimises."""

    @abstractmethod
    def epochs(self) -> int:
        """Return the number of epochs at most; the best on validation windows is kept."""

    def _set_head(self, head: _Head) -> None:
        self.head = head
        head._compute = self._fused

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
        rows, y = np.asarray(rows), np.asarray(y)
        self.fit_branches(store, rows, y, validation, seed)
        self._fit_fusion(store, rows, validation, seed)
        self.head.target = self.target
        self.head.fit(store, rows, y, validation=validation, seed=seed)
        return self

    def _fit_fusion(self, store: WindowSource, rows: np.ndarray, validation: Validation, seed: int) -> None:
        from ...network.training import fit_network

        with torch.random.fork_rng():  # the global random state stays as it is
            torch.manual_seed(seed)
            self.fusion = self.untrained_fusion()
        f, b = self.features(store, rows)
        self.fusion.fit_scale(f, b)
        train = self._with_both(f, b)
        if len(train) < 2:
            raise BadConfig(
                f"{self.name}: {len(train)} of {len(rows)} training windows have face and signals; it needs two"
            )
        device, of_validation = device_of(self.config.train), None
        if validation is not None and len(z := self._with_both(*self.features(store, validation[0]))) > 1:
            of_validation = FeatureBatches(z, z, device)
        settings = replace(
            self.config.train, epochs=self.epochs(), batch_size=BATCH, select="validation", face_weights=None,
            devices=1, compile=False, logger=None,
        )  # fmt: skip
        data = TrainingData(FeatureBatches(train, train, device), of_validation, self.objective())
        fit_network(self.fusion, data, settings, seed, label=f"{self.label}fusion: ")
        with torch.inference_mode():
            self.fusion.finish(*train.split((FACE_WIDTH, SIGNAL_WIDTH), dim=1))

    def _with_both(self, f: Tensor, b: Tensor) -> Tensor:
        """The z-scored features (n, 192) of windows that have both modalities."""
        return torch.cat(self.fusion.z_scored(f, b), dim=1)[~(f.isnan().any(1) | b.isnan().any(1))]

    @torch.inference_mode()
    def _fused(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        f, b = self.features(store, rows)
        has = ~torch.stack([f.isnan().any(1), b.isnan().any(1)], dim=1)
        return self.fusion.fused(*self.fusion.z_scored(f, b), has).double().numpy()

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        self.refuse_missing(store, rows)
        self.head.target = self.target
        return self.head.predict_proba(store, rows)

    @override
    def tensors(self) -> dict[str, Tensor]:
        return dict(self.fusion.state_dict())

    @override
    def read_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.fusion.load_state_dict(tensors)
        self.fusion.eval()

    @override
    def save(self, folder: Path) -> None:
        super().save(folder)
        self.head.save(folder / "head")

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system = super().load(folder, config)
        system._set_head(_Head.load(folder / "head", system.head.config))
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        about = super().about
        return {**about, "n_parameters": about["n_parameters"] + self.head.about["n_parameters"]}
