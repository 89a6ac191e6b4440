"""Labels that change in time at a lag: the mean of the trace over each window, some seconds later.

Subjects move a joystick some seconds after what they feel (1 to 6 s: Mariooryad and Busso 2015, IEEE Transactions on
Affective Computing 6). The lags of a search are those of the baseline of AVEC 2018: 0 to 9.6 s in steps of 0.4 s.
"""

import numpy as np
import pandas as pd

from ..config import CrossvalConfig
from ..datasets.label_traces import LEAST_COVERAGE, window_labels
from ..errors import BadConfig
from ..store.window_source import WindowSource
from .targets import target_columns

LAGS_S = tuple(round(0.4 * k, 1) for k in range(25))  # of a search


def lagged_windows(
    store: WindowSource, windows: pd.DataFrame, config: CrossvalConfig, excluded: dict[str, int]
) -> dict[float, pd.DataFrame]:
    """Return the windows with the labels of the target at each lag that the settings name; of `search` at all LAGS_S.

    Windows of which less than 80 % has a label at one of the lags are left out of all, and counted in `excluded`.
    Labels that do not change in time are what they are: then there is one table, of lag 0.
    Raises BadConfig if no window is left.
    """
    columns = [name for name in target_columns(config.target) if store.labels[name].trace]
    if not columns:
        return {0.0: windows}
    lags = LAGS_S if config.lag_s == "search" else (float(config.lag_s),)
    tables = {lag_s: windows.assign(**{c: _at_lag(store, windows, c, lag_s) for c in columns}) for lag_s in lags}
    for column in columns:
        lacks = pd.Series(np.any([table[column].isna() for table in tables.values()], axis=0), windows.index)
        if lacks.any():
            at = f"lags up to {max(lags):g} s" if len(lags) > 1 else f"lag {lags[0]:g} s"
            excluded[f"{column} for less than {LEAST_COVERAGE:.0%} of the window, at {at}"] = int(lacks.sum())
        windows = windows[~lacks.reindex(windows.index)]
        tables = {lag_s: table.loc[windows.index] for lag_s, table in tables.items()}
        if windows.empty:
            raise BadConfig(f"{store.path}: no window has a label of {column} at lag {max(lags):g} s")
    return tables


def _at_lag(store: WindowSource, windows: pd.DataFrame, column: str, lag_s: float) -> pd.Series:
    """The mean of each window's trace at a lag; NaN where the trace covers too little of it."""
    label = pd.Series(np.nan, windows.index)
    window_s = float(store.settings["prepare"]["window_s"])
    for recording, rows in windows.groupby("recording").groups.items():
        trace = store.trace(str(recording), column)
        if trace is not None:
            label.loc[rows] = window_labels(*trace, windows.loc[rows, "start_s"], window_s, lag_s)
    return label
