"""Two sources read as one, over what both have: the channels of the same name and kind, as many face frames, and the
labels with the same declarations.

Rows are the first source's, then the second's.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from ..config import ADDED_SETTINGS
from ..datasets.label_columns import label_settings, shared_labels
from ..errors import BadConfig, BadStore
from .subset import StoreSubset
from .window_source import Arrays, ModalityArrays, ModalityInfo, WindowSource, check_rows

# Settings that may differ between two stores, which is then reported.
MAY_DIFFER = ("step_s", "landmarks", "landmark_every", "filter", "baseline", "source")


class JoinedStore(WindowSource):
    """Two sources with the same channels and frames, read as one.

    If their corpora differ, the names of subjects, stimuli and recordings begin with that of the corpus, as "deap.s01",
    because the same name is then another subject. Within one corpus names stay as they are.
    """

    def __init__(self, first: WindowSource, second: WindowSource):
        self.first, self.second = first, second
        names = [source.settings["dataset"] for source in (first, second)]
        self.path = Path(f"{first.path.name} -> {second.path.name}")
        self._prefixes = [f"{name}." for name in names] if names[0] != names[1] else ["", ""]
        shared, *self.labels_left_out = shared_labels(first.labels.values(), second.labels.values())
        self.settings = {
            **first.settings,
            "dataset": " -> ".join(names),
            "labels": label_settings(shared),
            "synthetic": first.synthetic or second.synthetic,
            "stores": {"learnt_from": _identity(first), "tested_on": _identity(second)},
        }
        if first.settings["face_side"] != second.settings["face_side"]:
            self.settings["face_side"] = 0  # pictures of two sizes, or of one alone: features only
        self.settings.pop("face_features", None)
        if features := shared_features(first, second):
            self.settings["face_features"] = list(features)
        self.windows = self._both("windows", ["recording", "subject", "stimulus"])
        self.recordings = self._both("recordings", ["recording", "subject", "stimulus"])

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.first, self.second)

    @override
    def __repr__(self) -> str:
        return f"JoinedStore({self.first!r}, {self.second!r})"

    @override
    def has(self, modality: str) -> bool:
        """Return whether both sources have it: what one of them lacks can be neither learnt nor tested."""
        return self.first.has(modality) and self.second.has(modality)

    @property
    @override
    def digest(self) -> str:
        """Identity of both sources and of the parts of them that are read."""
        parts_read = {name: self.settings[name] for name in ("channels", "frames_per_window")}
        parts = [self.first.digest, self.second.digest, json.dumps(parts_read, sort_keys=True)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        def read(source: WindowSource, at: np.ndarray) -> tuple:
            return source.read(at, faces, signals)

        pictures, ok, x = self._gather(rows, read)
        return pictures if self.has_pixels or not self.settings["frames_per_window"] else None, ok, x

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return np.asarray(self._gather(rows, lambda source, at: (source.face_ok(at),))[0])

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        return np.asarray(self._gather(rows, lambda source, at: (source.expression(at),))[0])

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        if not self.face_feature_names:
            return super().face_features(rows)
        return np.asarray(self._gather(rows, lambda source, at: (source.face_features(at),))[0])

    @property
    @override
    def modalities(self) -> dict[str, ModalityInfo]:
        """The further modalities that both sources have, in the same shape."""
        pairs = {name: (info, self.second.modalities.get(name)) for name, info in self.first.modalities.items()}
        return {
            name: ModalityInfo(a.shape, hashlib.sha256(f"{a.digest}\n{b.digest}".encode()).hexdigest()[:16])
            for name, (a, b) in pairs.items()
            if b is not None and a.shape == b.shape
        }

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        if name not in self.modalities:
            return super().modality(name, rows)
        return ModalityArrays(*self._gather(rows, lambda source, at: source.modality(name, at)))

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        source, name = self._source_of(recording)
        return source.baseline(name)

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        source, original = self._source_of(recording)
        return source.trace(original, name) if name in self.labels else None

    def _source_of(self, recording: str) -> tuple[WindowSource, str]:
        """Return the source that a recording is from, and its name there. Raises KeyError."""
        at = np.flatnonzero(self.windows["recording"] == recording)
        if not len(at):
            raise KeyError(recording)
        source, prefix = (self.first, 0) if at[0] < len(self.first) else (self.second, 1)
        return source, recording.removeprefix(self._prefixes[prefix])

    def _both(self, table: str, named: list[str]) -> pd.DataFrame:
        parts = []
        sources = zip((self.first, self.second), self._prefixes, self.labels_left_out, strict=True)
        for source, prefix, left_out in sources:
            part = getattr(source, table).drop(columns=left_out, errors="ignore")
            parts.append(part.assign(**{name: prefix + part[name].astype(str) for name in named}))
        return pd.concat(parts, ignore_index=True)

    def _gather(self, rows: ArrayLike, read: Callable[[WindowSource, np.ndarray], tuple]) -> tuple:
        """Return what `read` returns of each source, in the order of the rows."""
        rows = check_rows(self, rows)
        later = rows >= len(self.first)
        if not later.any():
            return read(self.first, rows)
        if later.all():
            return read(self.second, rows - len(self.first))
        both = zip(read(self.first, rows[~later]), read(self.second, rows[later] - len(self.first)), strict=True)
        return tuple(None if a is None or b is None else _interleaved(a, b, later) for a, b in both)


def _identity(source: WindowSource) -> dict[str, Any]:
    return {
        "path": source.path.name,
        "digest": source.digest,
        "dataset": source.settings["dataset"],
        "synthetic": source.synthetic,
    }


def training_store(source: WindowSource) -> WindowSource:
    """Return the source that a system is trained on: of two joined ones the first, under whose name a model is saved.

    Its rows have the same numbers in both.
    """
    return source.first if isinstance(source, JoinedStore) else source


def join(first: WindowSource, second: WindowSource, faces: bool, signals: bool) -> tuple[JoinedStore, list[str]]:
    """Return two stores as one, over what they share, and what a reader of any result must know about that.

    Channels are shared if name (in any letter case) and kind are equal; they come in the first store's order. The store
    with more frames a window gives those nearest in time.

    faces, signals : whether they are needed; joining is refused without them. Otherwise they are shared if possible.

    Raises BadConfig if it is one store twice or if nothing needed is shared, BadStore with the option of `gbvnet
    prepare` that would make two stores fit each other.
    """
    if first.digest == second.digest:
        raise BadConfig(f"{first.path} and {second.path} hold the same windows ({first.digest}): give two corpora")
    _require_equal(first, second, "window_s")
    if faces:
        for store in (first, second):
            if not store.settings["frames_per_window"]:
                raise BadStore(store.path, "a store with faces", "one without", "Prepare it anew with --faces true.")
        _require_shared_faces(first, second)
    if signals:
        _require_equal(first, second, "rate_hz")
        _require_equal(first, second, "samples_per_window")
    pairs = _shared_channels(first, second)
    if signals and not pairs:
        named = [", ".join(name for name, _ in store.settings["channels"]) or "none" for store in (first, second)]
        raise BadConfig(
            f"{first.path} and {second.path} share no channel of the same name and kind: {named[0]}; {named[1]}"
        )
    if not shared_labels(first.labels.values(), second.labels.values())[0]:
        named = [", ".join(f"{c.name} ({c.allowed})" for c in store.labels.values()) for store in (first, second)]
        raise BadConfig(f"{first.path} and {second.path} share no label: {named[0]}; {named[1]}")
    frames = _shared_frames(first, second)
    # Pictures that only one has, or that differ in size, are read of neither: a system is trained on the first part.
    pixels = first.settings["face_side"] == second.settings["face_side"]
    parts = ((first, [a for a, _ in pairs]), (second, [b for _, b in pairs]))
    joined = JoinedStore(*(StoreSubset(store, channels, frames, pixels) for store, channels in parts))
    return joined, _differences(first, second, joined)


def _shared_channels(first: WindowSource, second: WindowSource) -> list[tuple[int, int]]:
    """Return their numbers in both stores, in the first one's order; none if the samples do not fit each other."""
    if any(first.settings[name] != second.settings[name] for name in ("rate_hz", "samples_per_window")):
        return []
    at = {(name.casefold(), kind): i for i, (name, kind) in enumerate(second.settings["channels"])}
    keys = [(name.casefold(), kind) for name, kind in first.settings["channels"]]
    return [(i, at[key]) for i, key in enumerate(keys) if key in at]


def _shared_frames(first: WindowSource, second: WindowSource) -> int:
    """Return how many face frames a window; 0 if the faces do not fit each other."""
    if not shared_features(first, second) and first.settings["face_side"] != second.settings["face_side"]:
        return 0
    return min(store.settings["frames_per_window"] for store in (first, second))


def shared_features(first: WindowSource, second: WindowSource) -> tuple[str, ...]:
    """Return the names of face features if both sources have the same ones and declare them, else none."""
    names = [tuple(source.settings.get("face_features", ())) for source in (first, second)]
    return names[0] if names[0] == names[1] else ()


def _require_shared_faces(first: WindowSource, second: WindowSource) -> None:
    """Raise BadStore unless two stores have pictures of one size, or the same face features."""
    if shared_features(first, second):
        return
    if first.has_pixels and second.has_pixels:
        _require_equal(first, second, "face_side")
        return
    wanted, actual = (_kinds_of_faces(source) for source in (first, second))
    remedy = f"Prepare one of them anew with `gbvnet prepare ... --store_faces` as {first.path} or {second.path}."
    raise BadStore(second.path, f"faces as {first.path} has: {wanted}", actual, remedy)


def _kinds_of_faces(source: WindowSource) -> str:
    names = source.settings.get("face_features", ())
    features = f"{len(names)} features a frame ({', '.join(names[:3])}, ...)" if names else ""
    return " and ".join(["pictures"] * source.has_pixels + [features] * bool(names))


def _require_equal(first: WindowSource, second: WindowSource, name: str) -> None:
    """Raise BadStore if two stores differ in a setting, with the option of `gbvnet prepare` that it follows from."""
    wanted, actual = (s.settings["prepare" if name == "window_s" else name] for s in (first, second))
    if name == "window_s":
        wanted, actual = wanted[name], actual[name]
    if wanted == actual:
        return
    remedy = f"Prepare it anew with `gbvnet prepare ... --{name} {wanted}`, or {first.path} with `--{name} {actual}`."
    if name not in ("window_s", "face_side"):
        remedy = (
            "No option of `gbvnet prepare` changes that, it is the corpus' own; modality face can do without signals."
        )
    raise BadStore(second.path, f"{name} {wanted}, as {first.path} has", f"{actual}", remedy)


def _interleaved(a: np.ndarray, b: np.ndarray, later: np.ndarray) -> np.ndarray:
    out = np.empty((len(later), *a.shape[1:]), a.dtype)
    out[~later], out[later] = a, b
    return out


def _differences(first: WindowSource, second: WindowSource, joined: JoinedStore) -> list[str]:
    """Return messages on what was left out, and on what differs between the two stores."""
    stores, messages = (first, second), []
    shared = [name for name, _ in joined.settings["channels"]]
    if shared:
        counts = [f"{len(s.settings['channels'])} of {s.settings['dataset']}" for s in stores]
        messages.append(
            f"channels: {len(shared)} of the {counts[0]} and the {counts[1]} are shared: {', '.join(shared)}"
        )
    if any(joined.labels_left_out):
        of_each = zip(joined.labels_left_out, stores, strict=True)
        without = [f"{', '.join(names)} of {store.settings['dataset']}" for names, store in of_each if names]
        messages.append(f"labels: {', '.join(joined.labels)} are shared; left out are {'; '.join(without)}")
    frames = joined.settings["frames_per_window"]
    for store in stores:
        has = store.settings["frames_per_window"]
        if frames and has != frames:
            messages.append(
                f"face: the {frames} of {store.settings['dataset']}'s {has} frames a window nearest in time are used"
            )
    for name in MAY_DIFFER:
        made = [ADDED_SETTINGS | s.settings["prepare"] for s in stores]
        values = [of.get(name, s.settings.get(name, "the only one")) for of, s in zip(made, stores, strict=True)]
        if values[0] != values[1]:
            messages.append(
                f"{name} differs: "
                + ", ".join(f"{v} in {s.settings['dataset']}" for v, s in zip(values, stores, strict=True))
            )
    return messages
