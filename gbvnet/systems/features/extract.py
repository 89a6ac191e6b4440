"""Windows as feature vectors, for systems and controls without networks.

Shapes: n rows, C channels of the modality, L samples a window, D features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...config import uses_face, uses_signals
from ...preprocessing.face_features import EXPRESSIONS
from ...store.channels import CHUNK_ROWS, channels_of
from ...store.row_view import feature_cache_of, readable_rows
from ...store.window_source import WindowSource

SLICE = 256  # windows processed at once
THUMBNAIL = 16  # side of a face thumbnail, pixels
BANDS_HZ = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45))  # delta to gamma


@dataclass(frozen=True)
class Extractor:
    """Features of one channel in one window, without labels, so that they may be computed for any row at any time.

    of : windows (n, C, L) float64 and their rate in Hz -> (n, C, K)
    version : to be increased whenever `of` gives other values than before, so that the cache does not return old ones
    """

    name: str
    of: Callable[[np.ndarray, float], np.ndarray]
    version: int = 1


def extract_features(
    store: WindowSource, rows: np.ndarray, channels: Sequence[int], extractor: Extractor
) -> np.ndarray:
    """Return the features (n, C, K) float32 of some of the store's channels.

    A store with a feature cache keeps them for other systems and folds. Rows without signals have the features of
    zeros.
    """
    cache = feature_cache_of(store)
    if cache is not None:
        name, rows = f"{extractor.name}-v{extractor.version}", readable_rows(store, rows, signals_alone=True)
        return cache.features(name, lambda at: _extract(cache, at, extractor), rows)[:, list(channels)]
    return _extract(store, rows, extractor, channels)


def _extract(
    store: WindowSource, rows: np.ndarray, extractor: Extractor, channels: Sequence[int] | None = None
) -> np.ndarray:
    parts = []
    for begin in range(0, max(1, len(rows)), SLICE):
        x = store.read(rows[begin : begin + SLICE], faces=False)[2]
        x = (x if channels is None else x[:, list(channels)]).astype(np.float64)
        parts.append(extractor.of(x, float(store.settings["rate_hz"])).astype(np.float32))
    return np.concatenate(parts)


def waveform_features(store: WindowSource, rows: np.ndarray, modality: str) -> np.ndarray:
    """Return every sample of the modality's channels, and the face as a thumbnail, or the mean of its features where
    there are no pictures; (n, D) float32.

    Each channel of each window is z-scored, so that only its waveform counts: otherwise drift and gain, which are
    large, would decide every distance.
    """

    def of(x: np.ndarray) -> np.ndarray:
        x = x - x.mean(axis=2, keepdims=True)
        return (x / (x.std(axis=2, keepdims=True) + np.float32(1e-12))).reshape(len(x), -1)

    return _gather(store, rows, modality, of)


def spectral_features(store: WindowSource, rows: np.ndarray, modality: str) -> np.ndarray:
    """Return mean, log SD and log power in five bands of each channel, and the face as a thumbnail, or the mean of its
    features where there are no pictures; (n, D) float32."""
    rate_hz = store.settings["rate_hz"]

    def of(x: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(x * np.hanning(x.shape[2]), axis=2)) ** 2  # (n, C, L // 2 + 1)
        hz = np.fft.rfftfreq(x.shape[2], 1 / rate_hz)
        bands = [power[:, :, (low <= hz) & (hz < high)].mean(axis=2) for low, high in BANDS_HZ if high <= rate_hz / 2]
        logs = [np.log(1e-12 + value) for value in (x.std(axis=2), *bands)]
        return np.concatenate([x.mean(axis=2), *logs], axis=1)

    return _gather(store, rows, modality, of)


def _gather(
    store: WindowSource, rows: np.ndarray, modality: str, of_signals: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    channels, faces = channels_of(store, modality), uses_face(modality)
    parts = []
    for begin in range(0, len(rows), CHUNK_ROWS):
        pictures, ok, x = store.read(rows[begin : begin + CHUNK_ROWS], faces=faces, signals=uses_signals(modality))
        columns = []
        if x is not None:
            columns.append(of_signals(x[:, channels]))
        if pictures is not None:
            columns.append(face_thumbnails(pictures, ok))
        elif faces:
            columns.append(mean_features(face_coefficients(store, rows[begin : begin + CHUNK_ROWS])))
        parts.append(np.concatenate(columns, axis=1, dtype=np.float32))
    return np.concatenate(parts)


def face_coefficients(store: WindowSource, rows: np.ndarray) -> np.ndarray:
    """Return MediaPipe's expression coefficients (n, F, 52) or, of a store with face features measured by other
    software, all of these, (n, F, D); float32, NaN for frames without a face."""
    names = store.face_feature_names
    return store.expression(rows) if not names or {*EXPRESSIONS} <= {*names} else store.face_features(rows)


def mean_features(features: np.ndarray) -> np.ndarray:
    """Return the means (n, D) of face features (n, F, D) over a window's frames with a face; 0 if none shows one."""
    ok = np.isfinite(features).all(axis=2, keepdims=True)
    return np.where(ok, features, 0).sum(axis=1) / np.maximum(ok.sum(axis=1), 1)


def face_thumbnails(faces: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """Return the mean good frame of faces (n, F, S, S, 3) uint8 in blocks of pixels, (n, D) float32 in 0..1."""
    n, _, side, _, _ = faces.shape
    good = ok / np.maximum(ok.sum(axis=1, keepdims=True), 1)  # (n, F)
    mean = np.einsum("nfxyc,nf->nxyc", faces, good.astype(np.float32))
    block = max(1, side // THUMBNAIL)
    kept = side // block * block
    small = mean[:, :kept, :kept].reshape(n, kept // block, block, kept // block, block, 3).mean(axis=(2, 4))
    return small.reshape(n, -1) / 255
