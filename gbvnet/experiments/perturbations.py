"""How the input of a trained system is changed to see what its predictions depend on: channels and features of the face
are exchanged, parts of its picture painted over, noise is mixed in.

Shapes: n windows, F frames a window, S face side, D face features, C channels, L samples a window.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from typing_extensions import override

from ..errors import GbvnetError
from ..network.augment import noisy, picture_noise
from ..network.model import IMAGENET_MEAN, IMAGENET_SD
from ..preprocessing.face_features import EXPRESSIONS
from ..store.window_source import Arrays, DerivedSource, WindowSource

# From row numbers and the arrays read there: pictures or features of faces, which frames show one, and signals.
Perturbation = Callable[[np.ndarray, Arrays], Arrays]


class PerturbedSource(DerivedSource):
    """Another source whose windows are changed as they are read.

    perturb : changes the arrays of the windows that are read
    without : face or signals, which every window then lacks
    """

    def __init__(self, source: WindowSource, perturb: Perturbation, without: str | None = None):
        super().__init__(source)
        self._perturb, self._without = perturb, without
        if without:
            self.windows = source.windows.copy()
            self.windows[f"has_{without}"] = False

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        rows = np.asarray(rows, np.int64)
        pictures, ok, samples = self._perturb(rows, self.source.read(rows, faces, signals))
        if self._without == "face" and ok is not None:
            pictures, ok = None if pictures is None else np.zeros_like(pictures), np.zeros_like(ok)
        if self._without == "signals" and samples is not None:
            samples = np.zeros_like(samples)
        return pictures, ok, samples

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        """Return the features as they are changed: a perturbation gets them in the place of the pictures."""
        rows = np.asarray(rows, np.int64)
        features, ok = self.source.face_features(rows), self.source.face_ok(rows)
        changed = np.asarray(self._perturb(rows, (features, ok, None))[0])
        return np.full_like(changed, np.nan) if self._without == "face" else changed

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return np.asarray(self.read(rows, signals=False)[1])

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        names = self.source.settings.get("face_features", [])
        if not {*EXPRESSIONS} <= {*names}:
            raise GbvnetError("expression coefficients have no pixels and no channels that could be perturbed")
        return np.take(self.face_features(rows), [names.index(name) for name in EXPRESSIONS], axis=2)


def unchanged(rows: np.ndarray, arrays: Arrays) -> Arrays:
    """Return the arrays as they are."""
    return arrays


def swap_channel(store: WindowSource, donor: np.ndarray, channel: int) -> Perturbation:
    """Return a perturbation by which one channel of each row is read from its donor row.

    donor : (windows of the store,) a row number for each row number
    """

    def perturb(rows: np.ndarray, arrays: Arrays) -> Arrays:
        faces, ok, signals = arrays
        if signals is not None:
            signals[:, channel] = store.read(donor[rows], faces=False)[2][:, channel]
        return faces, ok, signals

    return perturb


def swap_features(store: WindowSource, donor: np.ndarray, places: Sequence[int]) -> Perturbation:
    """Return a perturbation by which some features of each row's face are read from its donor row, frame by frame.

    Where the donor's frame shows no face, they are the mean of its others.

    donor : (windows of the store,) a row number for each row number        places : of the features, among all
    """

    def perturb(rows: np.ndarray, arrays: Arrays) -> Arrays:
        features, ok, signals = arrays
        if features is not None and features.ndim == 3:
            given = store.face_features(donor[rows])[:, :, places]  # (n, F, d)
            known = np.isfinite(given).all(axis=2, keepdims=True)
            mean = np.where(known, given, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
            features[:, :, places] = np.where(known, given, mean[:, None])
            features[~ok] = np.nan
        return features, ok, signals

    return perturb


def paint_patch(down: slice, across: slice, black: bool = False) -> Perturbation:
    """Return a perturbation by which a patch of the face has the mean colour of its window's good frames.

    down, across : rows and columns of pixels
    black : paint it black instead
    """

    def perturb(rows: np.ndarray, arrays: Arrays) -> Arrays:
        faces, ok, signals = arrays
        if faces is not None:
            colour = 0 if black else _mean_colour(faces, ok).round().astype(np.uint8)[:, None, None, None]
            faces[:, :, down, across] = colour
        return faces, ok, signals

    return perturb


def _mean_colour(faces: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """(n, F, S, S, 3) uint8 and (n, F) bool -> (n, 3), over the good frames of each window."""
    by_frame = faces.mean(axis=(2, 3))  # (n, F, 3)
    return (by_frame * ok[..., None]).sum(axis=1) / np.maximum(ok.sum(axis=1), 1)[:, None]


def add_noise(modality: str, share: float, seed: int, mean_sd: tuple[np.ndarray, np.ndarray] | None) -> Perturbation:
    """Return a perturbation by which noise replaces a share of the power of one modality.

    modality : "face" or "signals"
    share : of the power, 0 to 1
    mean_sd : of the noise, (C,) each for signals, (D,) each for features of faces; not used for pictures
    """

    def white(rows: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """The noise of a row depends on the row alone, not on the rows read with it."""
        drawn = [np.random.default_rng([seed, row]).standard_normal(shape, np.float32) for row in rows.tolist()]
        return np.stack(drawn) if drawn else np.empty((0, *shape), np.float32)

    def perturb(rows: np.ndarray, arrays: Arrays) -> Arrays:
        faces, ok, signals = arrays
        if modality == "face" and faces is not None and faces.ndim == 3 and mean_sd is not None:
            mean, sd = (c.astype(np.float32) for c in mean_sd)
            faces = noisy(faces, share, mean, sd, white(rows, (1, faces.shape[2])))  # the same in all frames
        elif modality == "face" and faces is not None:
            centre, sd = (255 * np.array(c, np.float32) for c in (IMAGENET_MEAN, IMAGENET_SD))
            _, _, side, _, _ = faces.shape
            pattern = picture_noise(torch.from_numpy(white(rows, (3, side, side)))).numpy()  # (n, 3, S, S)
            pattern = pattern.transpose(0, 2, 3, 1)[:, None]  # the same in all frames
            mixed = noisy(faces.astype(np.float32), share, centre, sd, pattern)
            faces = mixed.round().clip(0, 255).astype(np.uint8)
        if modality == "signals" and signals is not None and mean_sd is not None:
            mean, sd = (c.astype(np.float32)[:, None] for c in mean_sd)
            signals = noisy(signals, share, mean, sd, white(rows, signals.shape[1:]))
        return faces, ok, signals

    return perturb
