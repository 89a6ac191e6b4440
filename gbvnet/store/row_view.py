"""A view of some rows of a source: what a system may see of a store while it learns or predicts.

Row numbers stay those of the source. Reading another row raises, and so does the baseline or the trace of a recording
of which no row is given. In the table of windows other rows have no face, no signals and no labels, so that what looks
for all windows of a subject, as normalisation by subject does, takes those that are given.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from ..errors import GbvnetError
from .feature_cache import FeatureCache
from .window_source import Arrays, DerivedSource, ModalityArrays, WindowSource, check_rows


class RowNotGiven(GbvnetError):
    """A system read a row that it was not given."""


class RowView(DerivedSource):
    """Some rows of a source.

    rows : the rows that may be read
    labelled : whether the labels of these rows can be seen; a system that predicts sees none
    all_signals : whether the signals of every row may be read, as normalisation by subject needs (it uses no labels)
    """

    def __init__(self, source: WindowSource, rows: ArrayLike, labelled: bool = True, all_signals: bool = False):
        super().__init__(source)
        self._arguments = np.asarray(rows, np.int64), labelled, all_signals
        given = np.zeros(len(source), np.bool_)
        given[check_rows(source, rows)] = True
        self._given, self._with_signals = given, np.ones_like(given) if all_signals else given
        self._recordings = frozenset(source.windows["recording"].to_numpy()[given])
        readable = {"has_face": given, "has_signals": self._with_signals}
        self.windows = _table_of(source, readable, given & labelled)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, *self._arguments)

    @property
    @override
    def digest(self) -> str:
        """That of the whole source."""
        return self.source.digest

    def check(self, rows: ArrayLike, signals_alone: bool = False) -> np.ndarray:
        """Return row numbers as (n,) int64. Raises RowNotGiven for one that is not given, or of which signals alone are
        given unless `signals_alone`."""
        rows = check_rows(self, rows)
        other = rows[~(self._with_signals if signals_alone else self._given)[rows]]
        if len(other):
            recording, window = self.windows.iloc[other[0]][["recording", "window"]]
            raise RowNotGiven(
                f"{self.path}: a system read row {other[0]} (recording {recording}, window {window}), which it was "
                f"not given: {len(other)} of {len(rows)} rows. In fit it may read the training and validation rows, "
                "in predict the rows to predict"
            )
        return rows

    def _check_recording(self, recording: str) -> None:
        if recording not in self._recordings:
            raise RowNotGiven(f"{self.path}: a system read recording {recording}, of which it was given no row")

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        return self.source.read(self.check(rows, signals_alone=not faces), faces, signals)

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        return self.source.expression(self.check(rows))

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        return self.source.face_features(self.check(rows))

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return self.source.face_ok(self.check(rows))

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        return self.source.modality(name, self.check(rows))

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        self._check_recording(recording)
        return self.source.baseline(recording)

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        self._check_recording(recording)
        return self.source.trace(recording, name)


def _table_of(source: WindowSource, readable: dict[str, np.ndarray], labelled: np.ndarray) -> pd.DataFrame:
    """The table of windows with the modalities of readable rows, by their columns, and the labels of labelled ones,
    (n,) bool each."""
    table = source.windows
    parts = {name: table[name].to_numpy(bool) & rows for name, rows in readable.items()}
    labels = {
        name: table[name].where(labelled, "" if column.is_category else np.nan)
        for name, column in source.labels.items()
        if name in table
    }
    return table.assign(**parts, **labels)


def feature_cache_of(source: WindowSource) -> FeatureCache | None:
    """Return the cache of features behind a source or a view of it; None if it has none.

    It computes features of all rows, which is right for a view, too: each depends on its own window alone, and on no
    label. Whoever reads from it checks the rows first.
    """
    while isinstance(source, RowView):
        source = source.source
    return source if isinstance(source, FeatureCache) else None


def readable_rows(source: WindowSource, rows: ArrayLike, signals_alone: bool = False) -> np.ndarray:
    """Return rows, (n,) int64, which may be read, or whose signals may be. Raises GbvnetError for others."""
    return source.check(rows, signals_alone) if isinstance(source, RowView) else check_rows(source, rows)
