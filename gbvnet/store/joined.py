"""Two stores read as one, over what both have: the channels of the same name and kind, and as many face frames.

A system sees a store like any other, so that nothing else need know of it. Rows are the first store's, then the
second's.

Shapes: n rows, F face frames a window, S face side, C channels, L samples a window.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from ..errors import BadConfig, BadStore, GbvnetError
from .reader import Store

DIFFER = ("step_s", "landmarks", "filter", "baseline", "source")  # what may differ in two stores, and is then told


class SharedStore(Store):
    """A store, of which only some channels and some of each window's frames are seen.

    channels : which of its channels, in the order wanted. frames : how many a window, evenly spaced; 0 sees no faces.
    """

    def __init__(self, path: str | Path, channels: Sequence[int], frames: int):
        super().__init__(path)
        s, self._made_with = self.settings, (list(channels), frames)
        self._of = super().digest
        self._channels = None if list(channels) == list(range(len(s["channels"]))) else np.asarray(channels, np.int64)
        self._frames = None if frames == s["frames_per_window"] else nearest_frames(s["frames_per_window"], frames)
        kept = [s["channels"][i] for i in channels]
        prepare: dict[str, Any] = {"faces": frames > 0, "signals": len(kept) > 0}
        if self._channels is not None:
            prepare["channels"] = [name for name, _ in kept]
        if self._frames is not None:
            prepare["frames_per_window"] = frames or None
        self.settings = {
            **s,
            "prepare": s["prepare"] | prepare,
            "channels": kept,
            "frames_per_window": frames,
            "face_side": s["face_side"] if frames else 0,
        }
        self.windows = self.windows.assign(
            has_face=self.windows["has_face"] & self._any_good_frame(),
            has_signals=self.windows["has_signals"] & (len(kept) > 0),
        )

    @override
    def __getstate__(self):
        return (self.path, *self._made_with)

    @override
    def __setstate__(self, state):
        self.__init__(*state)  # type: ignore[misc]

    @property
    @override
    def digest(self) -> str:
        """That of the store which is looked at."""
        return self._of

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> tuple[Any, Any, Any]:
        """As `Store.read`, of what is seen."""
        pictures, ok, x = super().read(rows, faces, signals)
        if self._frames is not None and faces:
            pictures, ok = pictures[:, self._frames], ok[:, self._frames]
        return pictures, ok, x if self._channels is None or x is None else x[:, self._channels]

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        found = super().expression(rows)
        return found if self._frames is None else found[:, self._frames]

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        found = super().baseline(recording)
        return found if self._channels is None or found is None else found[self._channels]

    def _any_good_frame(self) -> np.ndarray:
        """(n,) bool: whether a face is left in each window when frames are left out."""
        if self._frames is None or not len(self._frames):
            return np.full(len(self), self._frames is None, dtype=np.bool_)
        ok = np.empty((len(self), self._shape.frames), np.bool_)
        self._fill("face_ok", ok, np.arange(len(self)))
        return np.asarray(ok[:, self._frames].any(axis=1))


class JoinedStore(Store):
    """Two stores with the same channels and frames, read as one.

    Where their corpora differ, names of people, stimuli and recordings begin with that of the corpus, as "deap.s01", as
    the same name is then somebody else. Within one corpus it is not, and names stay as they are.
    """

    def __init__(self, first: SharedStore, second: SharedStore):
        self.first, self.second = first, second
        names = [store.settings["dataset"] for store in (first, second)]
        self.path = Path(f"{first.path.name} -> {second.path.name}")
        self._prefixes = [f"{name}." for name in names] if names[0] != names[1] else ["", ""]
        self.settings = {
            **first.settings,
            "dataset": " -> ".join(names),
            "synthetic": first.synthetic or second.synthetic,
            "stores": {"learnt_from": _named(first), "tested_on": _named(second)},
        }
        self.windows = self._both("windows", ["recording", "subject", "stimulus"])
        self.recordings = self._both("recordings", ["recording", "subject", "stimulus"])

    @override
    def __getstate__(self):
        return self.first, self.second

    @override
    def __setstate__(self, state):
        self.__init__(*state)  # type: ignore[misc]

    @override
    def __repr__(self) -> str:
        return f"JoinedStore({self.first!r}, {self.second!r})"

    @override
    def has(self, modality: str) -> bool:
        """Whether both stores have it: what one of them lacks can be neither learnt nor tested."""
        return self.first.has(modality) and self.second.has(modality)

    @property
    @override
    def digest(self) -> str:
        """Identity of both stores and of what is seen of them."""
        seen = {name: self.settings[name] for name in ("channels", "frames_per_window")}
        parts = [self.first.digest, self.second.digest, json.dumps(seen, sort_keys=True)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> tuple[Any, Any, Any]:
        """As `Store.read`."""

        def read(of: Store, at: np.ndarray) -> tuple:
            return of.read(at, faces, signals)

        found = self._gather(rows, read)
        return found[0], found[1], found[2]

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        return self._gather(rows, lambda of, at: (of.expression(at),))[0]

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        at = np.flatnonzero(self.windows["recording"] == recording)
        of, prefix = (self.first, 0) if at[0] < len(self.first) else (self.second, 1)
        return of.baseline(recording.removeprefix(self._prefixes[prefix]))

    def _both(self, table: str, named: list[str]) -> pd.DataFrame:
        parts = []
        for store, prefix in zip((self.first, self.second), self._prefixes, strict=True):
            part = getattr(store, table)
            parts.append(part.assign(**{name: prefix + part[name].astype(str) for name in named}))
        return pd.concat(parts, ignore_index=True)

    def _gather(self, rows: ArrayLike, read: Callable[[Store, np.ndarray], tuple]) -> tuple:
        """What `read` gives of each store, put in the order of the rows."""
        rows = np.asarray(rows, np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise GbvnetError(f"{self.path}: rows 0 to {len(self) - 1} exist, not {rows.min()} to {rows.max()}")
        later = rows >= len(self.first)
        if not later.any():
            return read(self.first, rows)
        if later.all():
            return read(self.second, rows - len(self.first))
        both = zip(read(self.first, rows[~later]), read(self.second, rows[later] - len(self.first)), strict=True)
        return tuple(None if a is None else _interleaved(a, b, later) for a, b in both)


def _named(store: Store) -> dict[str, Any]:
    return {
        "path": store.path.name,
        "digest": store.digest,
        "dataset": store.settings["dataset"],
        "synthetic": store.synthetic,
    }


def training_store(store: Store) -> Store:
    """The store that a system is given to learn from: of two joined ones the first, under whose name a model is saved.

    Its rows have the same numbers in both.
    """
    return store.first if isinstance(store, JoinedStore) else store


def join(first: Store, second: Store, faces: bool, signals: bool) -> tuple[JoinedStore, list[str]]:
    """Two stores as one, over what they share, and what a reader of any result must know of that.

    Channels are shared if name (in any letter case) and kind are equal; they come in the first store's order. The store
    with more frames a window gives those nearest in time.

    faces, signals : what is needed; without it, joining is refused. What is not needed is shared if that is possible.

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
        _require_equal(first, second, "face_side")
    if signals:
        _require_equal(first, second, "rate_hz")
        _require_equal(first, second, "samples_per_window")
    pairs = _shared_channels(first, second)
    if signals and not pairs:
        named = [", ".join(name for name, _ in store.settings["channels"]) or "none" for store in (first, second)]
        raise BadConfig(
            f"{first.path} and {second.path} share no channel of the same name and kind: {named[0]}; {named[1]}"
        )
    frames = _shared_frames(first, second)
    joined = JoinedStore(
        SharedStore(first.path, [a for a, _ in pairs], frames), SharedStore(second.path, [b for _, b in pairs], frames)
    )
    return joined, _findings(first, second, joined)


def nearest_frames(have: int, wanted: int) -> np.ndarray:
    """Which of `have` evenly spaced frames of a window are nearest to `wanted` evenly spaced ones; halves go up."""
    return np.floor(np.arange(wanted) * have / wanted + 0.5).astype(np.int64) if wanted else np.zeros(0, np.int64)


def _shared_channels(first: Store, second: Store) -> list[tuple[int, int]]:
    """Their places in both stores, in the first one's order; none if the samples do not fit each other."""
    if any(first.settings[name] != second.settings[name] for name in ("rate_hz", "samples_per_window")):
        return []
    at = {(name.casefold(), kind): i for i, (name, kind) in enumerate(second.settings["channels"])}
    keys = [(name.casefold(), kind) for name, kind in first.settings["channels"]]
    return [(i, at[key]) for i, key in enumerate(keys) if key in at]


def _shared_frames(first: Store, second: Store) -> int:
    """How many a window; 0 if the faces do not fit each other."""
    if first.settings["face_side"] != second.settings["face_side"]:
        return 0
    return min(store.settings["frames_per_window"] for store in (first, second))


def _require_equal(first: Store, second: Store, name: str) -> None:
    """Refuse two stores that differ in a setting, with the option of `gbvnet prepare` that it follows from."""
    wanted, found = (s.settings["prepare" if name == "window_s" else name] for s in (first, second))
    if name == "window_s":
        wanted, found = wanted[name], found[name]
    if wanted == found:
        return
    remedy = f"Prepare it anew with `gbvnet prepare ... --{name} {wanted}`, or {first.path} with `--{name} {found}`."
    if name not in ("window_s", "face_side"):
        remedy = (
            "No option of `gbvnet prepare` changes that, it is the corpus' own; modality face can do without signals."
        )
    raise BadStore(second.path, f"{name} {wanted}, as {first.path} has", f"{found}", remedy)


def _interleaved(a: np.ndarray, b: np.ndarray, later: np.ndarray) -> np.ndarray:
    out = np.empty((len(later), *a.shape[1:]), a.dtype)
    out[~later], out[later] = a, b
    return out


def _findings(first: Store, second: Store, joined: JoinedStore) -> list[str]:
    """What was left out, and what differs between the two stores."""
    stores, said = (first, second), []
    shared = [name for name, _ in joined.settings["channels"]]
    if shared:
        left = [f"{len(s.settings['channels'])} of {s.settings['dataset']}" for s in stores]
        said.append(f"channels: {len(shared)} of the {left[0]} and the {left[1]} are shared: {', '.join(shared)}")
    frames = joined.settings["frames_per_window"]
    for store in stores:
        has = store.settings["frames_per_window"]
        if frames and has != frames:
            said.append(
                f"face: the {frames} of {store.settings['dataset']}'s {has} frames a window nearest in time are used"
            )
    for name in DIFFER:
        values = [s.settings["prepare"].get(name, s.settings.get(name, "the only one")) for s in stores]
        if values[0] != values[1]:
            said.append(
                f"{name} differs: "
                + ", ".join(f"{v} in {s.settings['dataset']}" for v, s in zip(values, stores, strict=True))
            )
    return said
