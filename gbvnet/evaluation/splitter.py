"""Our folds for other software: a scikit-learn splitter whose folds are those of `gbvnet crossval`.

    windows = ProtocolSplit(store, CrossvalConfig(protocol="subject", target="valence", modality="bio"))
    signals = store.read(windows.rows, faces=False)[2]                      # X, one row for each of windows.rows
    cross_val_score(estimator, features(signals), windows.y, cv=windows)

Shapes: n windows that are scored, in the order of the store.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..config import CrossvalConfig
from ..errors import BadConfig
from ..store.window_source import WindowSource
from .plan import make_plan
from .splits import UNITS, check_fold, group_names


class ProtocolSplit:
    """A cross-validation splitter in the manner of scikit-learn, over the windows that a run scores.

    store, config : as of a cross-validation; protocol, scope, folds, seed, fixed, stratify, subjects, target, rule and
        rows are used, and the modality for which windows there are

    Its training side has the training and the validation rows of a fold, as estimators of scikit-learn have no
    validation side. Protocol `window` leaks, here as everywhere; every other one is checked, fold by fold, and refused
    if a group is on both sides. Raises BadConfig or LeakySplit.

    >>> from gbvnet.testing import SyntheticStore
    >>> store = SyntheticStore()  # 4 subjects
    >>> folds = ProtocolSplit(store, CrossvalConfig(protocol="subject", target="valence", folds=4))
    >>> [store.windows.loc[folds.rows[test], "subject"].unique().tolist() for _, test in folds.split()]
    [['s03'], ['s01'], ['s02'], ['s04']]
    """

    def __init__(self, store: WindowSource, config: CrossvalConfig | None = None):
        self.config = config or CrossvalConfig(target="valence")
        self._plan = make_plan(store, self.config)
        if len(self._plan.targets) > 1:
            raise BadConfig(f"a splitter has one target: give target {' or '.join(self._plan.targets)}")
        self._store = store
        self.rows = self._plan.windows.index.to_numpy()

    @property
    def y(self) -> np.ndarray:
        """The labels (n,) of the target: 0 and 1, numbers of classes, or ratings."""
        return next(iter(self._plan.labels.values())).to_numpy()

    @property
    def groups(self) -> np.ndarray:
        """The group (n,) that the protocol keeps on one side, for splitters inside of a training side (GroupKFold).

        Of subject+stimulus these are subjects. Raises BadConfig for protocol window, which keeps nothing together.
        """
        units = UNITS[self.config.protocol]
        if self.config.protocol == "window":
            raise BadConfig("protocol window keeps no windows together: it has no groups, and leaks")
        return group_names(self._plan.windows, units[0]).to_numpy(str)

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the places of training and test windows of each fold, int arrays of places in `rows`.

        X : (n, ...), one row for each of `rows`; None if only the folds are wanted. y, groups : are not used
        Raises BadConfig if X has another number of rows.
        """
        n = len(self.rows) if X is None else X.shape[0] if hasattr(X, "shape") else len(X)
        if n != len(self.rows):
            raise BadConfig(
                f"X has {n} rows, and the splitter {len(self.rows)} windows: take the rows of splitter.rows"
            )
        for fold in self._plan.folds:
            check_fold(self._store.windows, fold, self.config.protocol)
            train = np.sort(np.concatenate([fold.train, fold.validation]))
            yield np.searchsorted(self.rows, train), np.searchsorted(self.rows, fold.test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return len(self._plan.folds)
