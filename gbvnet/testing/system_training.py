"""The checks of how a system trains and predicts. Each yields the outcomes of some promises for a case.

Shapes: n windows, K classes or targets.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..config import uses_face, uses_signals
from ..errors import BadConfig, GbvnetError
from ..evaluation.metrics import auc
from .results import Outcome, describe
from .synthetic_store import SyntheticStore
from .system_case import SystemCase, current_states, random_states, temporary_folder
from .watched_sources import AlteredSource, ObservedSource

CLOSE = dict(rtol=1e-4, atol=1e-5)  # a product of matrices has other last digits for another number of rows
LEAST_AUC, LEAST_BALANCED_ACCURACY, LEAST_CORRELATION = 0.75, 0.5, 0.4
SAME_SEED = "the same seed gives the same"
# A promise; what is changed to check it: the other rows, the global random states, the folder for work.
CAUSES = (
    ("fit learns from its own rows only", "with other signals, faces and labels in the other rows", True, 1, False),
    ("global random states have no effect", "with other global random states", False, 2, False),
    ("a folder for work changes nothing", "with a folder for work", False, 1, True),
)
MISSING = (((1, 1), "face"), ((2, 2), "signals"))


def check_fit(case: SystemCase) -> Iterator[Outcome]:
    """Train the system of a case, and look at what it reads and changes."""
    store, made = ObservedSource(case.store), case.make()
    given = [case.train.copy(), case.y[case.train], case.validation.copy(), case.y[case.validation]]
    before = [array.copy() for array in given]
    with random_states(1):
        fitted = made.fit(store, given[0], given[1], validation=(given[2], given[3]), seed=3)
        case.states["fit"] = current_states()
    case.fitted = made
    yield "fit returns the system", None if fitted is made else f"it returned {fitted!r:.100}"
    others = store.rows_besides(np.concatenate([case.train, case.validation]))
    n_test = len(set(others) & set(case.test.tolist()))
    yield (
        "fit reads its own rows only",
        f"it read {len(others)} other rows, {n_test} of them test rows, the first is row {others[0]}"
        if others
        else None,
    )
    yield (
        "inputs stay as they are",
        _changed(["rows", "y", "validation rows", "validation y"], before, given, store, "fit"),
    )


def _changed(names: list[str], before: list, after: list, store: ObservedSource, by: str) -> str | None:
    """Return which inputs a call changed, or None."""
    changed = [name for name, a, b in zip(names, before, after, strict=True) if not np.array_equal(a, b)]
    changed += store.changes()
    return f"{by} changed {', '.join(changed)}" if changed else None


def check_predictions(case: SystemCase) -> Iterator[Outcome]:
    """Predict the test rows, and look at the form of the predictions."""
    store, rows = ObservedSource(case.store), case.test.copy()
    with random_states(1):
        predicted = case.fitted.predict_proba(store, rows)
        case.states["predict_proba"] = current_states()
    case.predicted = predicted
    case.has_predictions = isinstance(predicted, np.ndarray) and predicted.shape[:1] == rows.shape
    yield "output", output_error(case, predicted, len(rows))
    yield "inputs stay as they are", _changed(["rows"], [case.test], [rows], store, "predict_proba")
    if case.has_predictions:
        yield "predict agrees with predict_proba", _gates_error(case, predicted)


def output_error(case: SystemCase, predicted: Any, n: int, n_columns: int | None = None) -> str | None:
    """Return what is wrong with predictions of n windows, or None. n_columns : of several binary targets"""
    task, k = case.target.task, n_columns or (len(case.target.classes) if case.target.task == "multiclass" else 0)
    shape = (n, k) if k else (n,)
    if not isinstance(predicted, np.ndarray):
        return f"expected an array of shape {shape}, found {type(predicted).__name__}"
    if predicted.shape != shape:
        return f"expected shape {shape}, found {predicted.shape}"
    if predicted.dtype != np.float64:
        return f"expected float64, found {predicted.dtype}"
    if not np.isfinite(predicted).all():
        return f"{int((~np.isfinite(predicted)).sum())} of {predicted.size} values are NaN or infinite"
    low, high = case.target.scale if task == "regression" else (0.0, 1.0)
    if predicted.min() < low or predicted.max() > high:
        return f"expected values from {low:g} to {high:g}, found {predicted.min():g} to {predicted.max():g}"
    if task == "multiclass" and not np.allclose(sums := predicted.sum(axis=1), 1, atol=1e-6):
        return f"expected probabilities that sum to 1, found sums from {sums.min():g} to {sums.max():g}"
    return None


def _gates_error(case: SystemCase, predicted: np.ndarray) -> str | None:
    output = case.fitted.predict(ObservedSource(case.store), case.test.copy())
    if differs := difference(predicted, output.predicted, exact=False):
        return f"`predicted` of predict differs: {differs}"
    for name in ("gate_face", "gate_bio"):
        gate = getattr(output, name)
        if gate is None:
            continue
        known = np.asarray(gate, np.float64)
        if known.shape != case.test.shape:
            return f"{name} has shape {known.shape}, expected {case.test.shape}"
        known = known[~np.isnan(known)]
        if known.size and (known.min() < 0 or known.max() > 1):
            return f"{name} is from {known.min():g} to {known.max():g}"
    return None


def difference(first: Any, second: Any, exact: bool = True) -> str | None:
    """Return how two predictions of the same windows differ, or None if they do not. exact : to the last digit"""
    if np.shape(first) != np.shape(second):
        return f"shape {np.shape(first)} and {np.shape(second)}"
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    same = np.isclose(first, second, equal_nan=True, **({"rtol": 0.0, "atol": 0.0} if exact else CLOSE))
    if same.all():
        return None
    windows = int((~same.reshape(len(same), -1).all(axis=1)).sum())
    most = np.nanmax(np.abs(np.where(same, 0.0, first - second)))
    return f"{windows} of {len(same)} windows differ, by up to {most:.2g}"


def check_other_windows(case: SystemCase) -> Iterator[Outcome]:
    """Predict the test rows in two parts, in reverse, and one alone."""
    promise, rows, p = "windows are predicted one by one", case.test, case.predicted
    half = len(rows) // 2 + 1
    parts = [case.predict(case.fitted, part) for part in (rows[:half], rows[half:])]
    joined = np.concatenate(parts) if all(np.ndim(part) == p.ndim for part in parts) else parts
    differs = difference(p, joined, exact=False)
    yield promise, f"predicted in two parts, {differs}" if differs else None
    differs = difference(p, case.predict(case.fitted, rows[::-1])[::-1], exact=False)
    yield promise, f"predicted in reverse order, {differs}" if differs else None
    differs = difference(p[:1], case.predict(case.fitted, rows[:1]), exact=False)
    yield promise, f"predicted alone, {differs}" if differs else None


def check_labels(case: SystemCase) -> Iterator[Outcome]:
    """Predict where all labels are others."""
    store = AlteredSource(case.store, range(len(case.store)), arrays=False)
    differs = difference(case.predicted, case.predict(case.fitted, store=store))
    yield "predictions know no labels", f"with other labels in store.windows, {differs}" if differs else None


def check_repetition(case: SystemCase) -> Iterator[Outcome]:
    """Train again with everything else changed that must have no effect; and only if that has one, look for which."""
    given = np.concatenate([case.train, case.validation])
    altered = AlteredSource(case.store, np.setdiff1d(np.arange(len(case.store)), given))
    repeated, states = _repeated(case, altered, 2, True)
    yield "global random states are not set", _set_states_error(case, states)
    if difference(case.predicted, repeated) is None:
        yield from ((promise, None) for promise in (SAME_SEED, *(cause[0] for cause in CAUSES)))
        return
    differs = difference(case.predicted, _repeated(case, None, 1, False)[0])
    yield SAME_SEED, f"trained a second time, {differs}" if differs else None
    case.is_repeatable = differs is None
    if differs:
        return
    for promise, how, is_altered, state, work in CAUSES:
        differs = difference(case.predicted, _repeated(case, altered if is_altered else None, state, work)[0])
        yield promise, f"{how}, {differs}" if differs else None


def _repeated(
    case: SystemCase, store: AlteredSource | None, state: int, work: bool
) -> tuple[Any, dict[str, dict[str, Any]]]:
    """Return the predictions of a new system, trained with these global random states, with or without a folder; and
    the states after each call."""
    states = {}
    with temporary_folder() as folder:
        with random_states(state):
            fitted = case.train_system(case.make(work=folder if work else None), store)
            states["fit"] = current_states()
        with random_states(state):
            predicted = case.predict(fitted)
            states["predict_proba"] = current_states()
    return predicted, states


def _set_states_error(case: SystemCase, states: dict[str, dict[str, Any]]) -> str | None:
    """Return which global random states are the same after a call whatever they were before, or None."""
    fixed = [
        f"{call} sets that of {name}"
        for call, after in states.items()
        for name, state in after.items()
        if case.states[call].get(name) == state
    ]
    return ", ".join(fixed) or None


def check_refit(case: SystemCase) -> Iterator[Outcome]:
    """Train one object on other labels, and then on the right ones."""
    if not case.is_repeatable:
        return
    made = case.make()
    y = case.y[case.train][::-1].copy()
    validation = case.validation.copy(), case.y[case.validation]
    made.fit(ObservedSource(case.store), case.train.copy(), y, validation=validation, seed=4)
    with random_states(1):
        differs = difference(case.predicted, case.predict(case.train_system(made)))
    yield "training again forgets", f"trained on other labels before, {differs}" if differs else None


def check_without_validation(case: SystemCase) -> Iterator[Outcome]:
    """Train without validation rows."""
    made = case.make()
    made.fit(ObservedSource(case.store), case.train.copy(), case.y[case.train], seed=3)
    yield "validation is optional", output_error(case, case.predict(made), len(case.test))


def check_several_targets(case: SystemCase) -> Iterator[Outcome]:
    """Train two binary targets at once."""
    if case.target.task != "binary":
        return
    y, made = np.stack([case.y, 1 - case.y], axis=1), case.make()
    validation = case.validation.copy(), y[case.validation]
    try:
        made.fit(ObservedSource(case.store), case.train.copy(), y[case.train], validation=validation, seed=3)
    except BadConfig:
        yield "several targets", None
        return
    yield "several targets", output_error(case, case.predict(made), len(case.test), n_columns=2)


def check_absent_class(case: SystemCase) -> Iterator[Outcome]:
    """Train without the first and without the last class."""
    if case.target.task != "multiclass":
        return
    for absent in (0, len(case.target.classes) - 1):
        made = case.make()
        train, validation = (rows[case.y[rows] != absent] for rows in (case.train, case.validation))
        made.fit(ObservedSource(case.store), train, case.y[train], validation=(validation, case.y[validation]), seed=3)
        error = output_error(case, case.predict(made), len(case.test))
        yield "a class that does not occur", f"without class {absent}: {error}" if error else None


def check_untrained(case: SystemCase) -> Iterator[Outcome]:
    """Predict by a system that was not trained."""
    try:
        predicted = case.predict(case.make())
    except BadConfig:
        happened = None
    except Exception as error:  # another error does not say what to do
        happened = f"it raised {type(error).__name__}: {error}"
    else:
        happened = f"it returned {predicted!r:.100}"
    yield "untrained systems say so", happened


def check_missing_modalities(case: SystemCase) -> Iterator[Outcome]:
    """Predict windows of which some lack a face and some lack signals."""
    promise = "missing modalities"
    store, other = (SyntheticStore(replace(case.content, missing=MISSING, fill=fill)) for fill in (0, 99))
    lacking = ~store.windows[["has_face", "has_signals"]].all(axis=1).to_numpy()
    keep = np.isin(np.arange(len(store)), case.validation)
    train, validation = np.flatnonzero(~lacking & ~keep), np.flatnonzero(~lacking & keep)
    made, rows = case.make(), np.flatnonzero(lacking)
    made.fit(store, train, case.y[train], validation=(validation, case.y[validation]), seed=3)
    try:
        predicted = case.predict(made, rows, store)
    except GbvnetError:
        yield promise, None
        return
    yield promise, output_error(case, predicted, len(rows))
    differs = difference(predicted, case.predict(made, rows, other))
    yield promise, f"with other values in place of the zeros of what is missing, {differs}" if differs else None


def check_absent_modalities(case: SystemCase) -> Iterator[Outcome]:
    """Train on stores that have no faces, or no signals, of those that the modality has."""
    modality, promise = case.config.modality, "missing modalities"
    if not (case.content.frames and case.content.channels):
        return  # nothing would be left
    without: list[dict[str, Any]] = [{"frames": 0}] * uses_face(modality) + [{"channels": ()}] * uses_signals(modality)
    for absent in without:
        store, made = SyntheticStore(replace(case.content, **absent)), case.make()
        try:
            predicted = case.predict(case.train_system(made, store), store=store)
        except GbvnetError:
            yield promise, None
            continue
        except Exception as error:
            yield promise, f"of a store without {'faces' if 'frames' in absent else 'signals'}: {describe(error)}"
            continue
        yield promise, output_error(case, predicted, len(case.test))


def check_learning(case: SystemCase) -> Iterator[Outcome]:
    """Train with all epochs, and score the test rows."""
    p, y = case.predict(case.train_system(case.make(case.config))), case.y[case.test]
    if error := output_error(case, p, len(y)):
        yield "output", error
        return
    if case.target.task == "binary":
        name, score, least = "the AUC", auc(y, p), LEAST_AUC
    elif case.target.task == "multiclass":
        right = p.argmax(axis=1) == y
        score = float(np.mean([right[y == k].mean() for k in np.unique(y)]))
        name, least = "the balanced accuracy", LEAST_BALANCED_ACCURACY
    else:
        score = float(np.corrcoef(p, y)[0, 1]) if p.std() else 0.0
        name, least = "the correlation with the rating", LEAST_CORRELATION
    low = score < least
    yield "learns", f"{name} of {len(y)} test windows is {score:.2f}, expected at least {least}" if low else None
