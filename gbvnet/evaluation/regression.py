"""The metrics of a number: a rating y and its prediction y_hat, both in the rating's own units.

The concordance correlation coefficient (Lin 1989, Biometrics 45, eq. 1) is 2 cov / (var_y + var_y_hat + (mean_y -
mean_y_hat)^2) with variances of the population. It is undefined where y is constant, and 0 where y_hat is.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from typing_extensions import override

from .predictions import TRIAL
from .regression_sums import NumberPermutations, has_constant_trials, is_constant, split_sums, sum_numbers
from .score_properties import SCORE_PROPERTIES, TOLERANCE
from .task_metrics import LabelPermutations, TaskMetrics


class RegressionMetrics(TaskMetrics):
    """Numbers. Rows have y, y_hat and prior, the mean of y over the training windows of their fold.

    `ccc_recordings` is the mean of the CCC within each recording in which it is defined: where labels change in time.
    """

    task = "regression"
    main = "ccc"
    window_scores = ("ccc", "ccc_recordings", "pearson", "rmse", "mae")
    trial_scores = ("ccc", "pearson", "rmse", "mae")
    fold_scores = ("ccc", "pearson", "rmse", "mae")
    resampled_scores = window_scores

    @override
    def compute(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        sums = self.sums(rows, np.zeros(len(rows), int))[0]
        return {name: float(value) for name, value in self.scores_of_sums(sums, names).items()}

    @override
    def aggregate_trials(self, result: pd.DataFrame) -> pd.DataFrame:
        """Return one row a trial and fold: the means of y, y_hat and prior over the trial's windows in that fold."""
        return result.groupby(["fold", *TRIAL], as_index=False).agg(
            stimulus=("stimulus", "first"),
            y=("y", "mean"),
            prior=("prior", "mean"),
            windows=("y", "size"),
            y_hat=("y_hat", "mean"),
        )

    @override
    def baseline(self, rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        scores = self.compute(rows.assign(y_hat=rows["prior"]), names)
        no_agreement = {"ccc": 0.0, "ccc_recordings": 0.0, "pearson": np.nan}
        return {name: no_agreement.get(name, v) if not np.isnan(v) else v for name, v in scores.items()}

    @override
    def sums(self, rows: pd.DataFrame, units: np.ndarray) -> np.ndarray:
        recordings = rows["recording"].to_numpy() if "recording" in rows else None
        return sum_numbers(rows["y"].to_numpy(float), rows["y_hat"].to_numpy(float), units, recordings)

    @override
    def scores_of_sums(self, sums: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        s = split_sums(sums)
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.clip(s.covariance / np.sqrt(s.variance_y * s.variance_y_hat), -1, 1)
            values = {
                "ccc": s.ccc,
                "ccc_recordings": s.ccc_of_recordings / s.recordings,
                "pearson": np.where(s.constant_y | s.constant_y_hat, np.nan, r),
                "rmse": np.sqrt(s.squared_error),
                "mae": s.absolute_error,
            }
        return {name: values[name] for name in names}

    @override
    def permutations(self, result: pd.DataFrame, labelled: pd.DataFrame | None = None) -> LabelPermutations:
        return NumberPermutations(result, labelled=labelled)

    @override
    def describe_group(self, rows: pd.DataFrame, trials: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
        constant = self.baseline(rows, ("rmse", "mae"))
        return (
            {"windows": len(rows), "trials": len(trials), "mean_y": float(rows["y"].mean())}
            | self.compute(rows, names)
            | {"trial_ccc": self.compute(trials, ("ccc",))["ccc"]}
            | {f"constant_{name}": value for name, value in constant.items()}
        )

    @override
    def counts(self, result: pd.DataFrame) -> dict[str, int]:
        """Return the number of recordings, and of those whose labels are constant, so that their CCC is undefined."""
        constant = result.groupby("recording")["y"].nunique() < 2
        return {"recordings": len(constant), "recordings_constant": int(constant.sum())}

    @override
    def warnings(self, result: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[str]:
        if is_constant(result["y"].to_numpy(float)):
            yield f"All labels are {result['y'].iloc[0]:g}: CCC and Pearson r are undefined, and nothing can be learnt."
        for rows, what in ((folds, "test folds"), (subjects, "subjects")):
            undefined = int(rows["ccc"].isna().sum())
            if undefined:
                yield (
                    f"{undefined} of {len(rows)} {what} have constant labels: CCC and Pearson r are undefined there, "
                    "and left out of means."
                )
        yield from _warnings_of_time(result)
        constant = result.groupby("fold")["y_hat"].nunique() < 2
        if is_constant(result["y_hat"].to_numpy(float)):
            yield f"Every window is predicted {result['y_hat'].iloc[0]:g}: Pearson r is undefined."
        elif constant.any():
            yield f"{constant.sum()} of {len(constant)} folds predict the same number for every window."

    @override
    def without_skill(self, window: dict[str, float], baseline: dict[str, float]) -> str:
        if window["rmse"] < baseline["rmse"] - TOLERANCE:
            return ""
        return f"{SCORE_PROPERTIES['rmse'].label} not below that of the constant mean"


def _warnings_of_time(result: pd.DataFrame) -> Iterator[str]:
    """What follows for chance and for recordings from labels that are constant within trials, or change."""
    if has_constant_trials(result):
        if (result.groupby("subject")["y"].nunique() < 2).all():
            yield "No subject has different labels, so permuting them changes nothing: no score can be above chance."
        return
    constant = result.groupby("recording")["y"].nunique() < 2
    if constant.any():
        yield (
            f"{constant.sum()} of {len(constant)} recordings have constant labels: their CCC is undefined, and left "
            "out of the mean over recordings."
        )
