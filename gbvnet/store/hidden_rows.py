"""A source of which only some rows exist for whoever reads it: what a search for settings sees of a store.

Row numbers stay those of the source. In the tables the other rows have no face, no signals and no labels, so that what
looks for all windows of a subject or a trial, as normalisation by subject does, takes those that exist; reading others
raises.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from ..errors import GbvnetError
from .feature_cache import FeatureCache
from .window_source import Arrays, DerivedSource, WindowSource, check_rows


class HiddenRows(DerivedSource):
    """A source in which all rows but the given ones are hidden.

    rows : (n,) int, the rows that stay as they are
    """

    def __init__(self, source: WindowSource, rows: ArrayLike):
        super().__init__(source)
        self._rows = check_rows(source, rows)
        self._shown = np.zeros(len(source), np.bool_)
        self._shown[self._rows] = True
        table = source.windows
        self._recordings = frozenset(table["recording"].to_numpy()[self._rows])
        parts = {name: table[name].to_numpy(bool) & self._shown for name in ("has_face", "has_signals")}
        labels = {
            name: table[name].where(self._shown, "" if column.is_category else np.nan)
            for name, column in source.labels.items()
            if name in table
        }
        self.windows = table.assign(**parts, **labels)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self._rows)

    @property
    @override
    def digest(self) -> str:
        """That of the whole source."""
        return self.source.digest

    def check(self, rows: ArrayLike) -> np.ndarray:
        """Return row numbers as (n,) int64. Raises GbvnetError for rows that are hidden."""
        rows = check_rows(self, rows)
        hidden = rows[~self._shown[rows]]
        if len(hidden):
            name, window = self.windows.iloc[hidden[0]][["recording", "window"]]
            raise GbvnetError(
                f"{self.path}: row {hidden[0]} (recording {name}, window {window}) was read, and it is hidden here: "
                f"{len(hidden)} of {len(rows)} rows are"
            )
        return rows

    def _check_recording(self, recording: str) -> None:
        if recording not in self._recordings:
            raise GbvnetError(f"{self.path}: recording {recording} was read, and all of its windows are hidden here")

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        return self.source.read(self.check(rows), faces, signals)

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        return self.source.expression(self.check(rows))

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return self.source.face_ok(self.check(rows))

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        self._check_recording(recording)
        return self.source.baseline(recording)

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        self._check_recording(recording)
        return self.source.trace(recording, name)


def feature_cache_of(source: WindowSource) -> FeatureCache | None:
    """Return the cache of features behind a source; None if it has none.

    The cache may compute features of hidden rows, too: each is of one window alone, and of no label. Whoever reads from
    it checks the rows first.
    """
    while isinstance(source, HiddenRows):
        source = source.source
    return source if isinstance(source, FeatureCache) else None


def readable_rows(source: WindowSource, rows: ArrayLike) -> np.ndarray:
    """Return row numbers as (n,) int64. Raises GbvnetError for rows that are hidden or do not exist."""
    return source.check(rows) if isinstance(source, HiddenRows) else check_rows(source, rows)
