"""siddharth-like: scalp maps of EEG power, features of heart and skin, facial expression, and one hidden layer.

After Siddharth, Jung and Sejnowski 2019 (arXiv 1905.07039; IEEE Trans. Affect. Comput. 2022), which maps theta, alpha
and beta power of the EEG to red, green and blue of a scalp, passes that and spectrograms of heart and skin through a
network trained on photographs (VGG-16), keeps 30 principal components, adds how channels depend on one another, and
describes the face by the mean, SD and 95th percentile of its features over frames; all are concatenated for an
extreme learning machine. Its trained networks cannot be shipped. So this is no measure of its result.

Chosen here: the maps themselves (topography.py, log power), then 30 principal components. As interpolation is linear,
these are components of the log powers, with each electrode weighted by the area around it. Of heart (ECG or PPG) and
skin conductance the features of peripheral.py. Of the face the same three statistics of MediaPipe's 52
expression coefficients; if the store has none, 30 components of a thumbnail. The pairs of channels are left
out. The classifier: 500 tanh units with random weights and a ridge on them; the option `head mlp` trains 64 units.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from ..config import uses_face
from ..errors import BadConfig
from ..evaluation.labels import has_one_class
from ..store.channels import CHUNK_ROWS, channels_of
from ..store.window_source import WindowSource
from . import ALL_TASKS
from .features.band_power import LOG_POWER, bands_of
from .features.extract import extract_features, face_coefficients, face_thumbnails
from .features.peripheral import AUTONOMIC
from .features.topography import interpolation_weights, known_electrodes
from .learners.classical import ClassicalSystem, Parameters
from .learners.hidden_layer import constant_layer, hidden_layer_output, train_hidden_layer

BANDS = ((4, 8), (8, 13), (13, 30))  # theta, alpha, beta: red, green and blue
HEART_AND_SKIN = ("ecg", "ppg", "gsr")
COMPONENTS = 30
UNITS = 500  # of the extreme learning machine
RIDGE = 1.0  # on standardised units, times the windows: those of a trial are alike, and count for fewer than they are
STILL = 1e-9  # an SD below which a feature counts as constant
ROUNDING = 1e-6  # an SD below this share of the largest component's is that of float32's last digits


class System(ClassicalSystem):
    """Principal components of scalp maps, features of heart, skin and face, and one hidden layer."""

    modalities: ClassVar[tuple[str, ...]] = ("facebio", "bio", "eeg", "peri", "face", "faceeeg", "faceperi")
    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "either"

    @dataclass(frozen=True)
    class Options(ClassicalSystem.Options):
        """The options of siddharth-like."""

        head: Literal["elm", "mlp"] = "elm"
        """an extreme learning machine (ridge on random features), or a trained network with one hidden layer"""

    options: Options

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """Return blocks of features (n, D), first those to be reduced to principal components; sets the `_widths`."""
        modality = self.config.modality
        channels = channels_of(store, modality)
        of_eeg = [i for i in channels if store.settings["channels"][i][1] == "eeg"]
        others = [i for i in channels if store.settings["channels"][i][1] in HEART_AND_SKIN]
        pictures, plain = [], []
        if of_eeg:
            pictures.append(scalp_maps(store, rows, of_eeg))
        if others:
            plain.append(extract_features(store, rows, others, AUTONOMIC).reshape(len(rows), -1))
        if uses_face(modality):
            (plain if has_expressions(store, rows) else pictures).append(faces(store, rows))
        if not pictures and not plain:
            raise BadConfig(
                f"siddharth-like sees {', '.join(HEART_AND_SKIN)} of modality {modality}, and {store.path} "
                "has none of them"
            )
        blocks = [*pictures, *plain]
        self._widths = np.array([[block.shape[1], i < len(pictures)] for i, block in enumerate(blocks)])
        return np.concatenate(blocks, axis=1)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        fill = _mean_of_known(x)
        x = np.where(np.isnan(x), fill, x)
        centre, axes = _components(x, self._widths)
        x = _reduced(x, self._widths, axes, centre)
        mean, sd = x.mean(axis=0), x.std(axis=0)
        sd = np.where(sd > STILL, sd, 1.0)
        parameters = {"widths": self._widths, "fill": fill, "centre": centre, "axes": axes, "mean": mean, "sd": sd}
        if self.task == "binary" and has_one_class(y):  # of several targets, one may have a single class
            return parameters | constant_layer(x.shape[1], y[0])
        head = train_hidden_layer if self.options.head == "mlp" else _elm
        return parameters | head((x - mean) / sd, y, seed, self.task)

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        if not np.array_equal(parameters["widths"], self._widths):
            raise BadConfig(
                "siddharth-like learnt from other channels, bands or kinds of faces than this store has: blocks of "
                f"{parameters['widths'][:, 0].tolist()} numbers, not {self._widths[:, 0].tolist()}"
            )
        x = np.where(np.isnan(x), parameters["fill"], x)
        x = _reduced(x, parameters["widths"], parameters["axes"], parameters["centre"])
        return hidden_layer_output(parameters, (x - parameters["mean"]) / parameters["sd"], self.task)


def scalp_maps(store: WindowSource, rows: np.ndarray, channels: list[int]) -> np.ndarray:
    """Return scalp maps of the log power of each band, (n, bands * P) float32.

    Raises BadConfig if no channel is a known electrode, or the windows are too short for all bands.
    """
    names = [store.settings["channels"][i][0] for i in channels]
    kept = known_electrodes(names)
    if not kept:
        raise BadConfig(f"{store.path}: none of its EEG channels has a known place on the scalp: {', '.join(names)}")
    there = [band for band, _, _ in bands_of(store.settings["samples_per_window"], float(store.settings["rate_hz"]))]
    if not set(BANDS) & set(there):
        bands = ", ".join(f"{low}-{high} Hz" for low, high in BANDS)
        raise BadConfig(f"{store.path}: its windows resolve none of the bands {bands}")
    power = extract_features(store, rows, [channels[i] for i in kept], LOG_POWER)  # (n, C, K)
    weights = interpolation_weights(tuple(names[i] for i in kept)).astype(np.float32)  # (P, C)
    pictures = [power[:, :, there.index(band)] @ weights.T for band in BANDS if band in there]
    return np.concatenate(pictures, axis=1)


def has_expressions(store: WindowSource, rows: np.ndarray) -> bool:
    """Return whether the store has MediaPipe's coefficients, or other features of faces: in the first of the given rows
    with a face of any recording. Other rows may not be read here."""
    given = store.windows.iloc[rows]
    first = given[given["has_face"]].drop_duplicates("recording").index.to_numpy()
    return bool(np.isfinite(face_coefficients(store, first)).any())


def faces(store: WindowSource, rows: np.ndarray) -> np.ndarray:
    """Return `expression_statistics` if the store has coefficients, else face thumbnails, (n, D) float32."""
    known, parts = has_expressions(store, rows), []
    for begin in range(0, max(1, len(rows)), CHUNK_ROWS):
        at = rows[begin : begin + CHUNK_ROWS]
        parts.append(
            expression_statistics(face_coefficients(store, at))
            if known
            else face_thumbnails(*store.read(at, signals=False)[:2])
        )
    return np.concatenate(parts, dtype=np.float32)


def expression_statistics(coefficients: np.ndarray) -> np.ndarray:
    """Return mean, SD and 95th percentile (n, 3 * D) of coefficients (n, F, D), 52 of MediaPipe's, over the frames that
    show a face; NaN if none does."""
    x = coefficients.astype(np.float64)
    ok = np.isfinite(x).all(axis=2) & (x != 0).any(axis=2)  # (n, F); frames without a face are NaN, or all zeros
    n = ok.sum(axis=1)
    count = np.where(n > 0, n, np.nan)[:, None]
    known = np.where(ok[:, :, None], x, 0)
    mean = known.sum(axis=1) / count
    sd = np.sqrt((np.where(ok[:, :, None], x - mean[:, None], 0) ** 2).sum(axis=1) / count)
    ordered = np.sort(np.where(ok[:, :, None], x, np.finfo(float).max), axis=1)  # frames without a face come last
    place = 0.95 * np.maximum(n - 1, 0)  # between two of the ordered, as numpy's percentile
    low = np.floor(place).astype(int)
    below = np.take_along_axis(ordered, low[:, None, None], axis=1)[:, 0]
    above = np.take_along_axis(ordered, np.minimum(low + 1, np.maximum(n - 1, 0))[:, None, None], axis=1)[:, 0]
    share = (place - low)[:, None]
    high = np.where(n[:, None] > 0, (1 - share) * below + share * above, np.nan)
    return np.concatenate([mean, sd, high], axis=1)


def _mean_of_known(x: np.ndarray) -> np.ndarray:
    """Return the mean (D,) of the values that are not NaN; 0 where all are."""
    known = ~np.isnan(x)
    return np.where(known, x, 0).sum(axis=0, dtype=np.float64) / np.maximum(known.sum(axis=0), 1)


def _components(x: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and principal axes of the blocks that are to be reduced, (W,) and (W, sum of components)."""
    total = int(widths[widths[:, 1] == 1, 0].sum())
    centre, components, begin = x[:, :total].mean(axis=0, dtype=np.float64), [], 0
    for width, reduce in widths.tolist():
        if reduce:
            block = x[:, begin : begin + width] - centre[begin : begin + width]
            values, axes = np.linalg.eigh(block.T @ block)
            varies = values >= ROUNDING**2 * values[-1]  # few electrodes have few components; the others are rounding
            axes = axes[:, varies][:, ::-1][:, : min(COMPONENTS, len(x))]
            whole = np.zeros((total, axes.shape[1]))
            whole[begin : begin + width] = axes * np.where(axes.sum(axis=0) < 0, -1, 1)  # a fixed sign
            components.append(whole)
        begin += width
    return centre, np.concatenate([np.zeros((total, 0)), *components], axis=1)


def _reduced(x: np.ndarray, widths: np.ndarray, axes: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.concatenate([(x[:, : len(centre)] - centre) @ axes, x[:, len(centre) :]], axis=1)


def _elm(x: np.ndarray, y: np.ndarray, seed: int, task: str) -> Parameters:
    """Random units, and the ridge that brings them closest to -1 and 1 (Huang, Zhu and Siew 2006), or to the rating."""
    rng = np.random.default_rng(seed)
    inward = rng.normal(size=(x.shape[1], UNITS)) / np.sqrt(x.shape[1])
    offset = rng.normal(size=UNITS)
    hidden = np.tanh(x @ inward + offset)
    several = task == "multiclass" and y.max() > 1
    labels = (y[:, None] == np.arange(y.max() + 1)) if several else y  # (n, k) or (n,)
    mean, target = hidden.mean(axis=0), labels if task == "regression" else 2.0 * labels - 1
    centred = hidden - mean
    sd = np.maximum(centred.std(axis=0), STILL)
    centred /= sd
    gram = centred.T @ centred + RIDGE * len(x) * np.eye(UNITS)
    solved = np.linalg.solve(gram, centred.T @ (target - target.mean(axis=0)))
    outward = (solved.T / sd).T
    # Least squares to -1 and 1 estimate 2 p - 1; twice that is the logit near p = 1/2.
    factor = 1 if task == "regression" else 2
    return {
        "inward": inward, "offset": offset, "outward": factor * outward,
        "bias": np.atleast_1d(factor * (target.mean(axis=0) - mean @ outward)),
    }  # fmt: skip
