"""Rows of a store as batches of tensors: in memory, or on the device, if they fit; otherwise read one batch ahead.

Shapes: n rows, B windows in a batch, F face frames per window, S face side, D face features, C channels, L samples,
K targets.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import tee
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from ..config import uses_face
from ..store.channels import CHUNK_ROWS, channels_of, require_face_input, statistics, subject_scale
from ..store.window_source import Arrays, WindowSource
from .model import network_faces
from .presence import Presence

GIB = 2**30


class Batch(NamedTuple):
    """The input of a network and its loss for some windows. None: not used, or, for a mask, true everywhere."""

    faces: Tensor | None  # (B, F, S, S, 3) uint8; or features (B, F, D) float32
    face_ok: Tensor | None  # (B, F) bool
    signals: Tensor | None  # (B, C, L) float32, as in the store
    has_face: Tensor | None  # (B,) bool
    has_signals: Tensor | None  # (B,) bool
    y: Tensor | None = None  # (B, K) float32
    presence: Presence | None = None  # the masks' meaning as the host knows it; None: only the masks tell
    further: tuple[Tensor, ...] = ()  # of each further modality: (B, *shape) float32, 0 where missing, and (B,) bool

    def inputs_of(self, network: nn.Module) -> tuple[Tensor | Presence | None, ...]:
        """Return the arguments of a network's `forward`: the first five fields, the presence where it takes one, and
        the further modalities. Shapes are those of the fields: (B, ...)."""
        presence = (self.presence,) if _takes_presence(type(network).forward) else ()
        return *self[:5], *presence, *self.further


@cache
def _takes_presence(forward: Callable[..., Any]) -> bool:
    return "presence" in inspect.signature(forward).parameters


def with_network_faces(batch: Batch) -> Batch:
    """Return the batch with its faces as the network reads them: pictures (B, F, 3, S, S) float in [0, 1], or features
    (B, F, D)."""
    return batch if batch.faces is None else batch._replace(faces=network_faces(batch.faces))


class BatchSource(ABC):
    """Rows as batches for a network: what `fit_network` and `predict_network` take.

    rows : (n,) row numbers of the store, one for each position in a batch's order
    channels : the channels of a batch's signals; empty without signals
    device : where batches are
    """

    rows: np.ndarray
    channels: Sequence[int]
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    @abstractmethod
    def batches(self, orders: Iterable[np.ndarray]) -> Iterator[Batch]:
        """Yield a batch for each order, an int array of positions in `rows`."""

    @abstractmethod
    def signal_statistics(self) -> tuple[Tensor, Tensor]:
        """Return the mean and SD of each channel of the signals, (C,) and (C,), over the rows that have signals."""

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield all rows in their order, `size` at a time."""
        order = np.arange(len(self.rows))
        return self.batches(order[i : i + size] for i in range(0, len(order), size))


class Windows(BatchSource):
    """Some rows of a store, of one modality, as batches.

    rows : (n,) row numbers of the store
    y : (n, K) labels, or None
    memory_gib : size up to which rows are kept in memory, GiB; larger data are read from the store batch by batch
    per_subject : z-score each channel by the mean and SD of all windows of the subject (transductive: uses the
        signals, never the labels, of test windows)
    """

    face_input: ClassVar[str] = "pixels"  # what is read of a face

    def __init__(
        self,
        store: WindowSource,
        rows: np.ndarray,
        modality: str,
        y: np.ndarray | None = None,
        device: torch.device | str = "cpu",
        memory_gib: float = 0.0,
        per_subject: bool = False,
    ):
        require_face_input(store, modality, self.face_input)
        self.store, self.rows, self.device = store, np.asarray(rows, np.int64), torch.device(device)
        self.faces, self.channels = uses_face(modality), channels_of(store, modality)
        table = store.windows.iloc[self.rows]
        has_face, has_signals = (table[name].to_numpy(bool) for name in ("has_face", "has_signals"))
        # None if it is true for all rows: a network then need not check it, which would synchronise a GPU.
        self.has_face = self._mask(has_face) if self.faces else None
        self.has_signals = self._mask(has_signals) if self.channels else None
        self.with_signals = self.rows[has_signals]
        # On the host, (n,) each: whether a row has a face that is read, and signals that are.
        self.face_there, self.signals_there = has_face & self.faces, has_signals & bool(self.channels)
        self.y = None if y is None else self._to_device(torch.from_numpy(np.asarray(y, np.float32)))
        self.subject = table["subject"].to_numpy(str)
        self.scale = subject_scale(store, self.channels, self.subject) if per_subject and self.channels else None
        self.kept = self._load() if len(self.rows) and self.nbytes <= memory_gib * GIB else None

    @property
    def nbytes(self) -> int:
        """The size of all rows in memory."""
        s = self.store.settings
        face = s["frames_per_window"] * (self._frame_bytes() + 1) if self.faces else 0
        return len(self.rows) * (face + 4 * len(self.channels) * s["samples_per_window"])

    @override
    def batches(self, orders: Iterable[np.ndarray]) -> Iterator[Batch]:
        """Yield a batch for each order; the next one is read while one is used."""
        if self.kept is not None:
            yield from map(self._gather, orders)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
            for order, ready in self._ahead(orders, reader):
                faces, face_ok, signals = ready.result()
                there = self.face_there[order]
                if face_ok is not None:
                    there = there & face_ok.any(1).numpy()
                yield self._assemble(order, there, faces, face_ok, signals)

    def _ahead(self, orders: Iterable[np.ndarray], reader: ThreadPoolExecutor) -> Iterator[tuple[np.ndarray, Future]]:
        """Yield each order with its read, once the next read has been started."""
        waiting = None
        for order in orders:
            started = (order, reader.submit(self._read, order))
            if waiting is not None:
                yield waiting
            waiting = started
        if waiting is not None:
            yield waiting

    @override
    def signal_statistics(self) -> tuple[Tensor, Tensor]:
        if self.scale is not None:  # z-scored already
            return torch.zeros(len(self.channels)), torch.ones(len(self.channels))
        mean, sd = statistics(self.store, self.with_signals, self.channels)
        return torch.from_numpy(mean).float(), torch.from_numpy(sd).float()

    def _load(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        kept: list[Tensor | None] = [None, None, None]
        for start in range(0, len(self.rows), CHUNK_ROWS):
            part = self._read(np.arange(start, min(start + CHUNK_ROWS, len(self.rows))), pin=False)
            if part[1] is not None:
                self.face_there[start : start + len(part[1])] &= part[1].any(1).numpy()
            for i, array in enumerate(part):
                if array is None:
                    continue
                if kept[i] is None:
                    kept[i] = torch.empty((len(self.rows), *array.shape[1:]), dtype=array.dtype, device=self.device)
                kept[i][start : start + len(array)] = array  # type: ignore[index]
        if kept[1] is not None and kept[1].all():
            kept[1] = None  # all frames are valid
        return kept[0], kept[1], kept[2]

    def _read(self, order: np.ndarray, pin: bool = True) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        faces, face_ok, signals = self._read_store(self.rows[order])
        if signals is not None:
            if len(self.channels) != signals.shape[1]:
                signals = signals[:, self.channels]
            if self.scale is not None:
                mean, sd = (np.stack([self.scale[s][i] for s in self.subject[order]]) for i in (0, 1))  # (B, C)
                signals = ((signals - mean[:, :, None]) / sd[:, :, None]).astype(np.float32)
        pin = pin and self.device.type == "cuda"  # only pinned memory can be copied while the GPU computes
        tensors = (None if a is None else torch.from_numpy(a) for a in (faces, face_ok, signals))
        pinned = [t.pin_memory() if pin and t is not None else t for t in tensors]
        return pinned[0], pinned[1], pinned[2]

    def _read_store(self, rows: np.ndarray) -> Arrays:
        return self.store.read(rows, faces=self.faces, signals=bool(self.channels))

    def _frame_bytes(self) -> int:
        return 3 * self.store.settings["face_side"] ** 2

    def _gather(self, order: np.ndarray) -> Batch:
        at = self._to_device(torch.from_numpy(order))
        kept = (None if t is None else t.index_select(0, at) for t in self.kept or ())
        return self._assemble(order, self.face_there[order], *kept)

    def _assemble(self, order: np.ndarray, face_there: np.ndarray, *tensors: Tensor | None) -> Batch:
        """face_there: (B,) bool, windows with a valid frame. tensors: the first three fields of the batch."""
        at = self._to_device(torch.from_numpy(order))
        has_face, has_signals, y = (None if t is None else t[at] for t in (self.has_face, self.has_signals, self.y))
        presence = Presence.of(face_there, self.signals_there[order])
        faces, face_ok, signals = (None if t is None else self._to_device(t) for t in tensors)
        return Batch(faces, face_ok, signals, has_face, has_signals, y, presence)

    def _mask(self, has: np.ndarray) -> Tensor | None:
        return None if has.all() else self._to_device(torch.tensor(has))

    def _to_device(self, tensor: Tensor) -> Tensor:
        return tensor if tensor.device == self.device else tensor.to(self.device, non_blocking=True)


class FaceFeatureWindows(Windows):
    """The same, with features of faces, (B, F, D) float32, in the place of pictures. A frame shows a face if all of its
    features are finite."""

    face_input: ClassVar[str] = "features"

    @override
    def _read_store(self, rows: np.ndarray) -> Arrays:
        _, _, signals = self.store.read(rows, faces=False, signals=bool(self.channels))
        if not self.faces:
            return None, None, signals
        features = self.store.face_features(rows)
        return features, self.store.face_ok(rows) & np.isfinite(features).all(axis=2), signals

    @override
    def _frame_bytes(self) -> int:
        return 4 * len(self.store.face_feature_names)


class FurtherWindows(BatchSource):
    """A source of batches with further modalities of the same rows of a store.

    names : of the modalities, in the order in which a network gets them
    memory_gib : size up to which they are kept in memory; larger data are read from the store batch by batch
    """

    def __init__(self, windows: BatchSource, store: WindowSource, names: Sequence[str], memory_gib: float = 0.0):
        self.windows, self.store, self.names = windows, store, tuple(names)
        self.rows, self.channels, self.device = windows.rows, windows.channels, windows.device
        shapes = [store.modality(name, self.rows[:0]).values.shape[1:] for name in self.names]
        nbytes = len(self.rows) * sum(4 * int(np.prod(shape)) + 1 for shape in shapes)
        self.kept = self._read(np.arange(len(self.rows))) if nbytes <= memory_gib * GIB else None

    @override
    def batches(self, orders: Iterable[np.ndarray]) -> Iterator[Batch]:
        orders, again = tee(orders)  # the batches may be read ahead of their use
        for order, batch in zip(again, self.windows.batches(orders), strict=True):
            yield batch._replace(further=self._read(order) if self.kept is None else self._gather(order, self.kept))

    @override
    def signal_statistics(self) -> tuple[Tensor, Tensor]:
        return self.windows.signal_statistics()

    def _gather(self, order: np.ndarray, kept: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        at = torch.from_numpy(order).to(self.device)
        return tuple(tensor.index_select(0, at) for tensor in kept)

    def _read(self, order: np.ndarray) -> tuple[Tensor, ...]:
        tensors: list[Tensor] = []
        for name in self.names:
            values, has = self.store.modality(name, self.rows[order])
            values = np.where(has.reshape(-1, *[1] * (values.ndim - 1)), values, np.float32(0))
            tensors += [torch.from_numpy(values).to(self.device), torch.from_numpy(has).to(self.device)]
        return tuple(tensors)
