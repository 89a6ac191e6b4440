"""Training of a model for use: one network, trained on all windows, in the folder that `predict` and others read.

MODEL/                    model.safetensors, config.json, README.md (checkpoint.py)
MODEL.training/           train.json, history.csv and, until it is finished, last.ckpt: an interrupted training
                          continues. The folder is kept for its history.csv, the losses of each epoch

A model for use is not tested itself: its accuracy is known from cross-validations with the same settings, and these
scores, of protocols that do not leak, are shown on its card.
"""

import csv
import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from ..config import FinalConfig, to_dict, uses_face, uses_signals
from ..errors import BadConfig, BadModel, BadRun
from ..evaluation.chosen_settings import FOLDER
from ..evaluation.labels import has_one_class
from ..evaluation.plan import data_warnings, make_plan_without_folds, require_known
from ..evaluation.splits import train_validation_split
from ..evaluation.targets import resolve, targets_of
from ..io.atomic import remove_stale_temp_files
from ..network.checkpoint.folder import read_config
from ..network.checkpoint.tested_accuracy import AnyScore, ConcordanceScore, CrossvalScore, accuracy_statement, as_notes
from ..network.devices import is_first
from ..network.pretrained import digest_of
from ..network.training_data import CHECKPOINT, HISTORY
from ..network.training_log import require_logger
from ..progress import ProgressCallback
from ..report.results import Result, read_results
from ..store.joined import training_store
from ..store.window_source import WindowSource
from ..systems.gbvnet import System
from ..text import listed
from .run_folder import config_digest
from .run_group import begin_run_group, call_periodically

log = logging.getLogger(__name__)

FILE, FORMAT = "train.json", 1


def train_model(
    store: WindowSource,
    folder: str | Path,
    config: FinalConfig | None = None,
    runs: Sequence[Path] = (),
    progress: ProgressCallback | None = None,
) -> Path:
    """Train one GBV-Net on all windows that are not excluded, and write its model folder. Returns the folder.

    runs : folders of cross-validations of the same settings on the same store, for the scores on the model's card
    progress : called with epochs done, epochs at most, and what is being done

    A share `config.validation` of the protocol's groups (trials, by default) chooses the epoch, and is not trained on.
    An interrupted training continues at the epoch it had reached. Raises BadConfig if settings and store do not fit,
    BadRun if `runs` are not of these settings, leak, or the folder holds another training, BadModel if the model's
    folder is there already.
    """
    folder, config = Path(folder), resolve(config or FinalConfig(), store)
    require_logger(config.train)
    work = folder.with_name(f"{folder.name}.training")
    if folder.exists() and is_first():
        _remove_checkpoint(folder, work, store, config)
        raise BadModel(folder, "no such folder yet", "one", "Give another name, or delete it.")
    scores = honest_scores(store, config, runs)
    data = _choose_data(store, config)  # settings that cannot be trained are refused before anything is written
    if not is_first():  # one of several processes that train one model: it computes, and writes nothing
        _fit(store, config, data, work, progress=None)
        return folder
    settings = {name: value for name, value in to_dict(config).items() if name not in ("joint", "folds")}
    if config.train.face_weights:
        settings["face_weights"] = digest_of(config.train.face_weights)  # the file's content, not its name
    try:
        begin_run_group(work / FILE, "a training", store, settings, FORMAT)
        with FileLock(work / "lock", timeout=0):
            remove_stale_temp_files(work)
            remove_stale_temp_files(folder.parent, folder.name)
            system, about = _fit(store, config, data, work, progress)
            system.model_metadata |= about | {"scores": dict(s.card_line for s in scores), "tests": as_notes(scores)}
            system.save(folder)
            (work / CHECKPOINT).unlink(missing_ok=True)
    except Timeout:
        raise BadRun(work, "a training that nobody runs", "one locked by another process", "Wait for it.") from None
    except OSError as error:
        remedy = "Finished work is kept; run again."
        raise BadRun(error.filename or work, "a file that can be written", error.strerror or error, remedy) from error
    return folder


def _remove_checkpoint(folder: Path, work: Path, store: WindowSource, config: FinalConfig) -> None:
    """Remove the checkpoint of a training whose process was killed after its model was saved."""
    with suppress(BadModel):
        about = read_config(folder)[1]["about"]
        saved = (about.get("store_digest"), about.get("config"), about.get("excluded"))
        if saved == (store.digest, config_digest(config.crossval()), list(config.exclude)):
            (work / CHECKPOINT).unlink(missing_ok=True)


class _Data(NamedTuple):
    """What a model is trained on."""

    windows: pd.DataFrame  # the store's windows that are not excluded
    y: pd.DataFrame  # number of the class, or the rating, a column a target, by row number of the store
    rows: np.ndarray  # row numbers that it is trained on
    validation: np.ndarray  # row numbers that choose its epoch


def _choose_data(store: WindowSource, config: FinalConfig) -> _Data:
    """Raises BadConfig if there is nothing to train on, or nothing to learn."""
    one = config.crossval()
    plan = make_plan_without_folds(store, one)
    require_known(store, "recording", config.exclude, "exclude")
    windows = plan.windows[~plan.windows["recording"].isin(config.exclude)]
    if windows.empty:
        raise BadConfig(f"{store.path}: all of its windows are excluded")
    rows, validation = train_validation_split(windows, one)
    y = pd.DataFrame(plan.labels)
    for target in y:
        if has_one_class(y[target].loc[rows]):
            raise BadConfig(f"all {len(rows)} training windows have the same {target}: there is nothing to learn")
    return _Data(windows, y, rows, validation)


def _fit(
    store: WindowSource, config: FinalConfig, data: _Data, work: Path, progress: ProgressCallback | None
) -> tuple[System, dict[str, Any]]:
    """Return the trained system, and metadata of the training for its model."""
    one = config.crossval()
    windows, y, rows, validation = data
    targets = targets_of(one, store)
    system = System(one, work=work, label="")
    system.target = targets[0]
    labels = [y.loc[at].to_numpy() for at in (rows, validation)]
    with _progress_reported(work, config.train.epochs, progress):
        system.fit(training_store(store), rows, labels[0], validation=(validation, labels[1]), seed=config.seed)
    kept = _kept_epoch(work, system)
    warnings = list(data_warnings(store, windows, {str(t): y[t].loc[windows.index] for t in y}, one))
    for warning in warnings:
        log.warning("%s", warning)
    subjects, trials = (store.windows.loc[rows, c].nunique() for c in ("subject", "recording"))
    return system, {
        "trials": int(trials),
        "people": int(subjects),
        "excluded": list(config.exclude),
        **({"warnings": warnings} if warnings else {}),
        "validation": {
            "trials": int(store.windows.loc[validation, "recording"].nunique()),
            "windows": len(validation),
            "accuracy": kept,
            "note": "on the groups that chose the epoch: too high, and no score",
        },
        **({"high": {str(t): float(y[t].loc[rows].mean()) for t in y}} if targets[0].task == "binary" else {}),
        "config": config_digest(one),
    }


@contextmanager
def _progress_reported(work: Path, epochs: int, progress: ProgressCallback | None) -> Iterator[None]:
    """Report epochs and losses while a training runs, from the history that it writes; a log line every tenth of it."""
    if progress is None:
        yield
        return
    logged, began, epochs_before = 0, time.monotonic(), len(_history(work))

    def report() -> None:
        nonlocal logged
        history = _history(work)
        done = len(history)
        progress(done, epochs, _losses(history[-1], short=True) if history else "reading windows")
        if done >= logged + max(1, epochs // 10):
            left = (time.monotonic() - began) / max(1, done - epochs_before) * (epochs - done)
            status = f"{_losses(history[-1])}; {_duration(left)} left" + (" at most" if done < epochs else "")
            log.info("epoch %d of at most %d: %s", done, epochs, status)
            logged = done

    with call_periodically(report):
        yield
    done = len(_history(work))
    progress(
        done, done, _losses(_history(work)[-1], short=True) if done else ""
    )  # it may have stopped before the last epoch


def _history(work: Path) -> list[dict[str, str]]:
    """One row per epoch, as the training loop writes them, those before an interruption included."""
    try:
        with (work / HISTORY).open(newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


def _losses(row: dict[str, str], short: bool = False) -> str:
    """Losses and validation accuracy as text. The validation groups choose the epoch, so the accuracy is too high."""
    loss, validation, accuracy = (float(row[name]) for name in ("train_loss", "inner_loss", "inner_accuracy"))
    if math.isnan(validation):
        return f"loss {loss:.3f}"
    if math.isnan(accuracy):  # of ratings
        return f"loss {loss:.3f}, validation loss {validation:.3f} (it chooses the epoch, and is no score)"
    if short:  # beside a bar, in 80 columns
        return f"loss {loss:.3f}, validation {validation:.3f}, {accuracy:.0%}, no score"
    chooses = "it chooses the epoch, and is no score"
    return f"loss {loss:.3f}, validation loss {validation:.3f}, accuracy {accuracy:.0%} ({chooses})"


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def closing_lines(folder: Path) -> list[str]:
    """Return lines for the user: the epoch that was kept, the model's accuracy, its history, and the next commands."""
    saved = read_config(folder)[1]
    about, modality = saved["about"], saved["config"].get("modality", "")
    work = folder.with_name(f"{folder.name}.training")
    kept, validation = about.get("chosen_epoch"), about.get("validation", {})
    accuracy = validation.get("accuracy")
    chosen = (
        ""
        if accuracy is None
        else f", accuracy {accuracy:.1%} on the {validation.get('trials')} trials that chose it (no score)"
    )
    lines = [f"epoch {kept} of {len(_history(work)) or '?'} kept{chosen}", accuracy_statement(about)]
    lines.append(f"{work} keeps history.csv, the losses of each epoch; nothing else needs that folder")
    files = " ".join(["video.mp4"] * uses_face(modality) + ["eeg.bdf"] * uses_signals(modality))
    return [*lines, f"next: gbvnet model show {folder}", f"      gbvnet predict {folder} {files} out"]


def _kept_epoch(work: Path, system: System) -> float | None:
    file = work / HISTORY
    if not file.exists() or system.fitted is None:
        return None
    history = pd.read_csv(file).set_index("epoch")["inner_accuracy"]
    accuracy = float(history.to_dict()[system.fitted.chosen_epoch])
    return None if math.isnan(accuracy) else accuracy  # ratings have none


def honest_scores(store: WindowSource, config: FinalConfig, runs: Sequence[Path]) -> list[AnyScore]:
    """Return the scores of cross-validations with a model's settings, for its card.

    Raises BadRun for runs that leak, are of another store or target, or of other settings.
    """
    if not runs:
        return []
    config = resolve(config, store)
    results, errors = read_results(runs)
    if errors:
        raise errors[0]
    for result in results:
        _require_same(result, store, config)
    return [_score(result) for result in results]


def _score(result: Result) -> AnyScore:
    scores = result.scores
    low, high = (None if math.isnan(limit) else float(limit) for limit in scores.window_interval[scores.main][:2])
    common: dict[str, Any] = {
        "target": result.key("target"),
        "protocol": result.key("protocol"),
        "low": low,
        "high": high,
        "unit": scores.unit,
        "chance": float(scores.chance["window"].upper),
        "status": scores.assessment,
    }
    if scores.task == "regression":
        mae, constant = scores.window["mae"], scores.baseline["window"]["mae"]
        return ConcordanceScore(ccc=float(scores.window["ccc"]), mae=float(mae), constant_mae=float(constant), **common)
    return CrossvalScore(
        accuracy=float(scores.window["accuracy"]),
        majority=float(scores.majority["window"]),
        trials=float(scores.trial["accuracy"]),
        **common,
    )


# Settings of speed and hardware, which do not change what is trained.
_FREE = ("memory_gib", "device", "devices", "compile", "precision", "logger")


def _require_same(result: Result, store: WindowSource, config: FinalConfig) -> None:
    run, remedy = result.run.folder, "Cross-validate with the settings that the model is trained with."
    if result.scores.leaky:
        raise BadRun(run, "a cross-validation that does not leak", f"protocol {result.key('protocol')}", remedy)
    digest = result.run.store.get("digest")
    if digest != store.digest:
        expected = f"a run on {store.path} ({store.title}, digest {store.digest[:12]})"
        title = result.run.store.get("title", "unnamed")
        raise BadRun(run, expected, f"one on another store ({title}, digest {str(digest)[:12]})", remedy)
    if FOLDER in result.run.config:
        expected = "a cross-validation with the model's settings"
        raise BadRun(run, expected, "one that searched for settings in each fold", remedy)
    targets = [target.name for target in targets_of(config, store)]
    if result.key("target") not in targets:
        expected = f"a cross-validation of what the model predicts ({listed(targets)})"
        raise BadRun(run, expected, f"one of {result.key('target')}", remedy)
    of_run, of_model = _compared(result.run.config), _compared(to_dict(config))
    for name, wanted in of_model.items():
        if of_run.get(name) != wanted:
            difference = f"{_option(of_run.get(name))} in the run, {_option(wanted)} for the model"
            raise BadRun(run, f"a cross-validation with the model's {name}", difference, remedy)


def _compared(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that a run must share with a model for its scores to hold for it, by the names of their options."""
    one = {
        name: config.get(name)
        for name in ("system", "modality", "task", "rule", "lag_s", "scope", "subjects", "shuffle_labels", "prune")
    }
    for part in ("model", "train"):
        section = config.get(part)
        one |= {f"{part}.{k}": v for k, v in (section if isinstance(section, dict) else {}).items() if k not in _FREE}
    return one


def _option(value: Any) -> str:
    return "not given" if value is None else ",".join(map(str, value)) if isinstance(value, list) else str(value)
