"""A small store of windows in memory, with a known effect of the label: what contract checks train on.

Each trial's label shows, as far as `effect` goes, in the amplitude of some signal channels, in the redness of the face
and in two expression coefficients. Needs no files.

Shapes: n rows, W windows of a recording, F face frames, S face side, C channels, L samples a window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from ..config import PrepareConfig, stored_settings
from ..datasets.label_columns import RATING_COLUMNS, label_settings
from ..datasets.synthetic.writer import latent_pairs
from ..store.format import FORMAT
from ..store.prepared_faces import face_settings
from ..store.window_source import N_EXPRESSION, Arrays, ModalityArrays, ModalityInfo, WindowSource, check_rows
from ..store.writer import arrays_digest

CHANNELS = (("Fz", "eeg"), ("Cz", "eeg"), ("Oz", "eeg"), ("GSR1", "gsr"), ("Resp", "resp"))
BASELINE_S = 3
MOUTH = ((5 / 8, 7 / 8), (1 / 4, 3 / 4))  # of a picture's height, and of its width


@dataclass(frozen=True)
class SyntheticWindows:
    """What the windows of a `SyntheticStore` are like. A window is one second long."""

    subjects: int = 4
    trials: int = 6
    """trials of each subject"""
    windows: int = 5
    """windows of each trial"""
    levels: int = 2
    """number of valences, evenly spaced from 3 to 7; the effect grows from the lowest to the highest"""
    ratings: tuple[tuple[float, ...], ...] | None = None
    """valences by subject and trial, in place of those of `levels`; the effect stays that of `levels`"""
    effect: float = 1.0
    """strength of the effect of the rating; 0 for none"""
    effect_channels: tuple[str, ...] = ("Cz", "GSR1")
    """names of the channels whose amplitude grows with the rating"""
    effect_region: Literal["face", "mouth"] = "face"
    """where pictures grow redder with the rating: in the whole face, or in the part of `MOUTH` alone"""
    complementary: bool = False
    """what the face shows and what the signals show are drawn apart, one strong and one weak, and the valence is their
    sum: either alone is right in three trials of four, both together always. `levels` is not used then"""
    noisy: Literal["face", "signals"] | None = None
    """a modality that is noisy in half of each subject's trials: its noise is three times as strong, and what it shows
    of the rating has a random sign in each window"""
    fingerprint: float = 0.0
    """strength of an amplitude and a brightness by which each trial can be recognised"""
    channels: tuple[tuple[str, str], ...] = CHANNELS
    """name and kind of each signal channel"""
    samples: int = 32
    """samples of a window, which is also the rate in Hz"""
    frames: int = 2
    """face frames of a window; 0 for a store without faces"""
    side: int = 32
    """height and width of a face in pixels"""
    missing: tuple[tuple[tuple[int, int], str], ...] = ()
    """what recordings lack: ((subject, trial), "face"), or "signals", or a further modality; numbers from 1"""
    fill: int = 0
    """value of pixels and samples that a window lacks; stores have 0 there"""
    kept: Literal["pixels", "features"] = "pixels"
    """what is kept of faces: pictures, or features alone: the same expression coefficients, and a head that nods"""
    modalities: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """name and shape of each further modality; the mean of its values grows with the rating"""
    seed: int = 0


class SyntheticStore(WindowSource):
    """A store in memory. Two stores of the same settings are equal.

    content : what its windows are like
    """

    def __init__(self, content: SyntheticWindows | None = None):
        self.content = content = content or SyntheticWindows()
        self.path = Path("synthetic store")
        self.settings = store_settings(content)
        abouts, self._arrays = [], {}
        for about, arrays in synthetic_recordings(content):
            abouts.append({**about, "findings": "", "sha256": arrays_digest(arrays)})
            self._arrays[about["recording"]] = arrays | synthetic_modalities(content, about)
        self.recordings = pd.DataFrame(abouts)[["recording", "subject", "trial", "stimulus", "verdict", "reason",
                                                "findings", "n_windows", "sha256"]]  # fmt: skip
        columns = [_window_columns(about) for about in abouts]
        self.windows = pd.DataFrame({name: np.concatenate([of[name] for of in columns]) for name in columns[0]})

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.content,)

    @override
    def __repr__(self) -> str:
        return f"SyntheticStore({len(self)} windows of {len(self.recordings)} recordings)"

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        rows, c, side = check_rows(self, rows), self.content, self.settings["face_side"]
        wanted = faces and self.has_pixels
        pixels = self._gather("faces", rows, (c.frames, side, side, 3), np.uint8, c.fill) if wanted else None
        x = self._gather("signals", rows, (len(c.channels), c.samples), np.float32, c.fill) if signals else None
        return pixels, self.face_ok(rows) if faces else None, x

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return self._gather("face_ok", check_rows(self, rows), (self.content.frames,), np.bool_, 0)

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        if "face_features" in self.settings:
            return self.face_features(rows)[:, :, :N_EXPRESSION]
        shape = (self.content.frames, N_EXPRESSION)
        return self._gather("expression", check_rows(self, rows), shape, np.float32, np.nan)

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        if "face_features" not in self.settings:
            return super().face_features(rows)
        shape = (self.content.frames, len(self.settings["face_features"]))
        return self._gather("face_features", check_rows(self, rows), shape, np.float32, np.nan)

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        held = self._arrays[recording].get("baseline")
        return None if held is None else held.copy()

    @property
    @override
    def modalities(self) -> dict[str, ModalityInfo]:
        return {name: ModalityInfo(shape, self.digest) for name, shape in self.content.modalities}

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        if name not in dict(self.content.modalities):
            return super().modality(name, rows)
        shape = dict(self.content.modalities)[name]
        values = self._gather(name, check_rows(self, rows), shape, np.float32, np.nan)
        return ModalityArrays.of(values)

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        self._arrays[recording]  # a KeyError for one that does not exist
        return None

    def _gather(self, name: str, rows: np.ndarray, shape: tuple[int, ...], kind: Any, absent: float) -> np.ndarray:
        """Return an array of some windows, a copy; `absent` where a recording does not have it."""
        out = np.full((len(rows), *shape), absent, kind)
        table = self.windows.iloc[rows]
        for at, (recording, window) in enumerate(zip(table["recording"], table["window"], strict=True)):
            if name in self._arrays[recording]:
                out[at] = self._arrays[recording][name][window]
        return out


def store_settings(content: SyntheticWindows) -> dict[str, Any]:
    """Return the settings of a store with such windows, as store.json has them."""
    faces = content.frames > 0
    prepare = PrepareConfig(
        faces=faces,
        signals=len(content.channels) > 0,
        face_side=content.side,
        frames_per_window=content.frames if faces else None,
        store_faces=content.kept,
    )
    return {
        "format": FORMAT,
        "dataset": "deap",
        "synthetic": True,
        "prepare": stored_settings(prepare),
        "channels": [list(channel) for channel in content.channels],
        "rate_hz": float(content.samples),
        "samples_per_window": content.samples,
        "frames_per_window": content.frames,
        **face_settings(prepare),
        "baseline_s": float(BASELINE_S),
        "labels": label_settings(RATING_COLUMNS),
        "versions": {"gbvnet": "0"},
    }


def synthetic_recordings(content: SyntheticWindows) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Yield the metadata and the arrays of each recording, as `store.writer.write_recording` takes them."""
    rng = np.random.default_rng(content.seed)
    missing = dict(content.missing)
    for subject in range(1, content.subjects + 1):
        grades = rng.permutation(np.arange(content.trials) % content.levels) / (content.levels - 1)
        # From a generator of its own, so that windows without these options stay what they were.
        own_rng = np.random.default_rng([content.seed, subject])
        pairs, noisy = latent_pairs(content.trials, own_rng), own_rng.permutation(content.trials) % 2 == 0
        for trial, grade in enumerate(grades.tolist(), 1):
            shown = pairs[trial - 1] if content.complementary else (2 * grade - 1, 2 * grade - 1)
            if content.ratings is not None:
                valence = content.ratings[subject - 1][trial - 1]
            else:
                valence = 5 + 2 * sum(shown) if content.complementary else 3.0 + 4.0 * grade
            lacks = missing.get((subject, trial))
            evidence = {
                name: _evidence(content, name, content.effect * value, noisy[trial - 1], own_rng)
                for name, value in zip(("face", "signals"), shown, strict=True)
            }
            arrays = _arrays(rng, content, evidence, lacks)
            yield {
                "recording": f"s{subject:02d}_trial{trial:02d}",
                "subject": f"s{subject:02d}",
                "trial": f"{trial:02d}",
                "stimulus": f"{(trial * 5 + subject) % content.trials + 1:02d}",
                "verdict": "ok",
                "reason": "",
                "findings": (),
                "start_s": [float(w) for w in range(content.windows)],
                "has_face": ["face_ok" in arrays] * content.windows,
                "has_signals": "signals" in arrays,
                "ratings": {"valence": valence, "arousal": 10 - valence},
                "n_windows": content.windows,
            }, arrays  # fmt: skip


class _Evidence(NamedTuple):
    """What one modality shows of the rating in each window of a recording, and how strong its noise is."""

    effect: np.ndarray  # (W,)
    noise: float = 1.0


def _evidence(
    content: SyntheticWindows, modality: str, effect: float, noisy: bool, rng: np.random.Generator
) -> _Evidence:
    signs = rng.choice([-1.0, 1.0], content.windows)
    if modality == content.noisy and noisy:
        return _Evidence(effect * signs, 3.0)
    return _Evidence(np.full(content.windows, effect))


def synthetic_modalities(content: SyntheticWindows, about: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of the further modalities of a recording, by name; `about` is its metadata."""
    at = int(about["subject"][1:]), int(about["trial"])
    lacks, rng = dict(content.missing).get(at), np.random.default_rng([content.seed, *at])
    mean = content.effect * (about["ratings"]["valence"] - 5) / 2
    shapes = {name: (content.windows, *shape) for name, shape in content.modalities if name != lacks}
    return {name: rng.normal(mean, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def _arrays(
    rng: np.random.Generator, content: SyntheticWindows, evidence: dict[str, _Evidence], lacks: str | None
) -> dict[str, np.ndarray]:
    """Return the arrays of one recording."""
    arrays, n_channels = {}, len(content.channels)
    own = content.fingerprint * rng.normal(size=(2, n_channels))
    if lacks != "signals" and n_channels:
        x = rng.normal(size=(content.windows, n_channels, content.samples))
        x *= np.exp(own[0])[:, None]
        telling, (effect, noise) = (
            [name in content.effect_channels for name, _ in content.channels],
            evidence["signals"],
        )
        x[:, telling] *= np.exp(0.7 * effect)[:, None, None]
        x[:, [not tells for tells in telling]] *= noise
        arrays["signals"] = (10 * x + 100).astype(np.float32)
        own_rng = np.random.default_rng(np.abs(1e6 * x[0, 0, :4]).astype(int))  # so that `rng` does not depend on it
        before = own_rng.normal(size=(n_channels, BASELINE_S * content.samples))
        arrays["baseline"] = (10 * before + 100).astype(np.float32)
    if lacks != "face" and content.frames:
        look = 128 + 40 * content.fingerprint * rng.normal(size=3)
        looks, (effect, noise) = np.tile(look, (content.windows, 1)), evidence["face"]
        redness = 25 * effect
        if content.effect_region == "face":
            looks[:, 0] += redness
        drawn = rng.normal(size=(content.windows, content.frames, content.side, content.side, 3))
        pixels = looks[:, None, None, None] + 12 * noise * drawn
        if content.effect_region == "mouth":
            rows, columns = (slice(*(round(edge * content.side) for edge in edges)) for edges in MOUTH)
            pixels[:, :, rows, columns, 0] += redness[:, None, None, None]
        arrays["faces"] = pixels.clip(0, 255).astype(np.uint8)
        arrays["face_ok"] = np.ones((content.windows, content.frames), bool)
        own_rng = np.random.default_rng(pixels[0, 0, :2, :2].astype(int).ravel().clip(0))
        coefficients = own_rng.uniform(0.2, 0.4, (content.windows, content.frames, N_EXPRESSION))
        if noise != 1:
            coefficients = 0.3 + noise * (coefficients - 0.3)
        coefficients[:, :, 44:46] += 0.15 * effect[:, None, None]  # both corners of the mouth
        arrays["expression"] = coefficients.clip(0, 1).astype(np.float32)
        if content.kept == "features":
            del arrays["faces"]
            pose = np.repeat(arrays["expression"][:, :, 44:45], 6, axis=2) - 0.3
            arrays["face_features"] = np.concatenate([arrays.pop("expression"), pose], axis=2)
    return arrays


def _window_columns(about: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the columns of the table of windows for the windows of one recording."""
    n = about["n_windows"]
    names = {name: np.full(n, about[name], object) for name in ("recording", "subject", "trial", "stimulus")}
    ratings = {column.name: np.full(n, about["ratings"].get(column.name, np.nan)) for column in RATING_COLUMNS}
    return {
        **names,
        "window": np.arange(n, dtype=np.int64),
        "start_s": np.asarray(about["start_s"], np.float64),
        "has_face": np.asarray(about["has_face"], bool),
        "has_signals": np.full(n, about["has_signals"]),
        **ratings,
    }
