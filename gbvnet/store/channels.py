"""Which channels of a store a modality uses, and the statistics of their signals. No torch: every system imports this.

Shapes: n rows, C channels, L samples a window.
"""

from collections.abc import Sequence

import numpy as np

from ..config import uses_face, uses_signals
from ..errors import BadConfig
from .window_source import WindowSource

CHUNK_ROWS = 2048  # rows that are read at once where all rows are visited


def channels_of(store: WindowSource, modality: str) -> list[int]:
    """Return the numbers of the store's channels that a modality uses: `eeg` those of that kind, `peri` the others,
    `bio` all; none for `face`.

    Raises BadConfig if the store has no such channel, or no faces where the modality needs them.
    """
    kinds = [kind for _, kind in store.settings["channels"]]
    if uses_face(modality) and not store.settings["frames_per_window"]:
        raise BadConfig(f"modality {modality} needs faces, and {store.path} was prepared without; prepare it with them")
    if not uses_signals(modality):
        return []
    channels = [i for i, kind in enumerate(kinds) if _uses_kind(modality, kind)]
    if not channels:
        present = ", ".join(sorted(set(kinds))) or "none"
        raise BadConfig(f"modality {modality} uses no channel of {store.path}; the kinds of channels there: {present}")
    return channels


def require_face_input(store: WindowSource, modality: str, face_input: str, name: str = "this network") -> None:
    """Raise BadConfig if a modality has the face, and the store does not have what is read of it.

    face_input : pixels, features, or either; name : of the system, for the message
    """
    if not uses_face(modality) or not store.settings["frames_per_window"]:  # then `channels_of` says so
        return
    if face_input == "pixels" and not store.has_pixels:
        raise BadConfig(
            f"{name} reads pictures of faces, and {store.path} has none, only {len(store.face_feature_names)} features "
            "a frame: choose a system that reads features (gbvnet with --model.face_input features, expression), "
            "another modality, or prepare the store with --store_faces both"
        )
    if face_input == "features" and not store.face_feature_names:
        raise BadConfig(
            f"{name} reads features of faces, and {store.path} has none, as its faces were tracked by "
            f"{store.settings['prepare'].get('landmarks')}: prepare it with --landmarks mediapipe"
        )


def face_feature_statistics(store: WindowSource, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and SD of each face feature over the frames of some rows that show a face, (D,) float64 each; the
    SD of one that does not vary is 1. Raises BadConfig if no frame shows one."""
    n_features = len(store.face_feature_names)
    total, squares, count = np.zeros(n_features), np.zeros(n_features), 0
    offset: np.ndarray | None = None  # sums are relative to one frame: a position may be large and steady
    for start in range(0, len(rows), CHUNK_ROWS):
        x = store.face_features(rows[start : start + CHUNK_ROWS]).astype(np.float64).reshape(-1, n_features)
        x = x[np.isfinite(x).all(axis=1)]
        if len(x):
            offset = x[0] if offset is None else offset
            total += (x - offset).sum(axis=0)
            squares += ((x - offset) ** 2).sum(axis=0)
            count += len(x)
    if offset is None:
        raise BadConfig(f"{store.path}: none of {len(rows)} windows has a frame with all of its face features")
    sd = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
    return total / count + offset, np.where(sd > 1e-6, sd, 1.0)


def _uses_kind(modality: str, kind: str) -> bool:
    if modality.endswith("eeg"):
        return kind == "eeg"
    return kind != "eeg" if modality.endswith("peri") else True


def statistics(store: WindowSource, rows: np.ndarray, channels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and SD of each channel over all samples of some rows, (C,) float64 each; a flat channel has SD 1.

    Summed in float64, a chunk at a time and relative to the first window's mean, because skin temperature, for example,
    is large and steady.
    """
    total, squares, count = np.zeros(len(channels)), np.zeros(len(channels)), 0
    offset = np.zeros(len(channels))
    for start in range(0, len(rows), CHUNK_ROWS):
        x = store.read(rows[start : start + CHUNK_ROWS], faces=False)[2][:, list(channels)].astype(np.float64)
        if start == 0:
            offset = x[0].mean(axis=1)
        x -= offset[:, None]
        total += x.sum(axis=(0, 2))
        squares += np.einsum("ncl,ncl->c", x, x)
        count += x.shape[0] * x.shape[2]
    if not count:
        return np.zeros(len(channels)), np.ones(len(channels))
    mean = total / count
    sd = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean + offset, np.where(sd > 0, sd, 1.0)


def subject_scale(
    store: WindowSource, channels: Sequence[int], subjects: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each subject's own mean and SD of every channel, (C,) each, over all windows of that subject in the store
    that have signals."""
    table = store.windows
    rows = {s: np.flatnonzero((table["subject"] == s) & table["has_signals"]) for s in np.unique(subjects).tolist()}
    return {s: statistics(store, at, channels) for s, at in rows.items()}
