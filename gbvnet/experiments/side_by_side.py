"""Models side by side: what each scores on subjects that it has not seen, and what it costs.

Each model is a folder, run by torch, or an ONNX file that `gbvnet model export` wrote, run by onnxruntime, on the
CPU with equally many threads. They are timed in turn, run by run, and the memory of each is that of a process of its
own.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..config import GBVNetConfig
from ..errors import BadModel
from ..evaluation.regression_sums import concordance
from ..evaluation.targets import Target
from ..io.safe_load import from_json
from ..network.checkpoint.checkpoint import load_model
from ..network.checkpoint.folder import TENSORS, build_config, read_config
from ..network.checkpoint.hub import find_model
from ..network.checkpoint.onnx import (
    BATCH,
    METADATA,
    face_side_of,
    median_seconds,
    noise_windows,
    open_session,
    require_onnx,
    run_onnx,
    run_torch,
)
from ..network.checkpoint.trained_on import TrainedOn, trained_on
from ..network.objectives import scaled_ratings
from ..parallel.peak_memory import PeakMemory
from ..provenance import model_stamps
from ..store.window_source import WindowSource

RUNS = {1: 31, BATCH: 5}  # windows at once: runs of which the median is taken
Windows = dict[str, np.ndarray]


class Model(NamedTuple):
    """A model folder, or an exported file."""

    name: str
    path: Path
    config: GBVNetConfig
    about: dict[str, Any]

    @property
    def is_onnx(self) -> bool:
        """Whether it is an exported file."""
        return self.path.is_file()

    @property
    def bytes(self) -> int:
        """The size of its numbers: of the tensors, or of the file."""
        return (self.path if self.is_onnx else self.path / TENSORS).stat().st_size


@dataclass(frozen=True)
class Row:
    """One model of a comparison."""

    model: str
    runtime: str
    score: float | None
    """on subjects that no model of the comparison has seen; None if there are none"""
    size_mb: float
    """of the tensors or the ONNX file, 10^6 bytes"""
    latency_ms: float
    """of one window, median"""
    windows_per_s: float
    """in batches of 64"""
    memory_mb: float | None
    """how much the process grew at its peak from before the model was opened until 64 windows were done, 10^6 bytes;
    None where the system does not count it"""


class Comparison(NamedTuple):
    """Models side by side."""

    rows: list[Row]
    measure: str  # what the score is
    on: str  # what the score is of, or why there is none
    threads: int
    stamps: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """The table in lines."""
        head = ["", "runtime", self.measure, "MB", "ms a window", "windows/s", "memory, MB"]
        cells = [head, *([row.model, row.runtime, *_numbers(row)] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
        table = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return [
            *self.stamps,
            *table,
            f"{self.measure}: {self.on}",
            f"on the CPU of this machine, {self.threads} threads",
        ]

    @property
    def record(self) -> dict[str, Any]:
        """The table as data for the config.json of a model."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "measure": self.measure,
            "on": self.on,
            "threads": self.threads,
        }


def _numbers(row: Row) -> list[str]:
    score = "none" if row.score is None else f"{row.score:.3f}"
    memory = "not counted" if row.memory_mb is None else f"{row.memory_mb:.0f}"
    return [score, f"{row.size_mb:.2f}", f"{row.latency_ms:.2f}", f"{row.windows_per_s:.0f}", memory]


def compare_models(names: Sequence[str | Path], store: WindowSource | None = None, seed: int = 0) -> Comparison:
    """Measure models side by side.

    names : model folders, models of the hub, or ONNX files
    store : where the models were trained, for the score on its other subjects; without it there is none
    Raises BadModel and BadConfig for what is no such model, and for a store that is not of these models.
    """
    models = [_open(name) for name in names]
    measure, on, scores = _scores(models, store)
    seconds, rows = {n: _alternately(models, n) for n in RUNS}, []
    for i, (model, score) in enumerate(zip(models, scores, strict=True)):
        memory = _in_own_process(partial(measure_memory, model.path, torch.get_num_threads()))
        runtime, time = "onnxruntime" if model.is_onnx else "torch", {n: seconds[n][i] for n in RUNS}
        rows.append(Row(model.name, runtime, score, model.bytes / 1e6, 1e3 * time[1], BATCH / time[BATCH], memory))
    stamps = tuple(dict.fromkeys(stamp for model in models for stamp in model_stamps(model.about)))
    return Comparison(rows, measure, on, torch.get_num_threads(), stamps)


def _open(name: str | Path) -> Model:
    path = Path(name)
    if path.suffix.lower() == ".onnx":
        require_onnx("comparing an ONNX file")
        content = _onnx_config(path)
        return Model(path.name, path, build_config(path, content["config"]), content["about"])
    folder = find_model(name)
    _, content = read_config(folder)
    return Model(str(name), folder, build_config(folder, content["config"]), content["about"])


def _onnx_config(path: Path) -> dict[str, Any]:
    """The config.json inside an exported file."""
    try:
        text = open_session(path).get_modelmeta().custom_metadata_map[METADATA]
        content = from_json(text)
    except Exception as error:  # onnxruntime's errors have no public base
        actual = "no such file" if not path.exists() else f"another file ({str(error).splitlines()[0][:80]})"
        raise BadModel(path, "a file that `gbvnet model export` wrote", actual, "Give another name.") from None
    return content


# --- scores ---


def _scores(models: list[Model], store: WindowSource | None) -> tuple[str, str, list[float | None]]:
    """The measure, what it is of, and the score of each model."""
    none: list[float | None] = [None] * len(models)
    if store is None:
        return "score", "none: no store was given", none
    data = [trained_on(model.config, model.about, store, model.path) for model in models]
    first = data[0]
    if any(each.targets != first.targets for each in data):
        return "score", "none: the models predict different targets", none
    why = next((each.why_none for each in data if each.why_none), "")
    rows = sorted(set.intersection(*(set(each.held_out.tolist()) for each in data)))
    if why or not rows:
        return "score", why or "none: no subject is new to all of the models", none
    regression = first.targets[0].task == "regression"
    measure = "CCC" if regression else "accuracy"
    subjects = store.windows.loc[rows, "subject"].nunique()
    on = f"of {len(rows)} windows of {subjects} subject{'s' * (subjects > 1)} that no model was trained on"
    if not regression:
        share = np.mean([_majority(first.labels[t.name].loc[rows].to_numpy()) for t in first.targets])
        on += f"; the majority class {share:.3f}"
    return measure, on, [_score(m, each, np.array(rows)) for m, each in zip(models, data, strict=True)]


def _majority(y: np.ndarray) -> float:
    return float(np.unique(y, return_counts=True)[1].max() / len(y))


def _score(model: Model, data: TrainedOn, rows: np.ndarray) -> float | None:
    """The accuracy, or the CCC, of a model on rows; the mean over targets. None where ratings are constant."""
    run = runner(model.path)
    order, outputs = zip(*((part, run(windows)["logits"]) for part, windows in data.arrays(rows, BATCH)), strict=True)
    at, logits = np.concatenate(order), np.concatenate(outputs).astype(np.float64)
    if data.targets[0].task == "multiclass":
        return float((logits.argmax(1) == data.labels[data.targets[0].name].loc[at]).mean())
    each = [_one(data, t, data.labels[t.name].loc[at].to_numpy(), logits[:, k]) for k, t in enumerate(data.targets)]
    mean = float(np.mean(each))
    return None if np.isnan(mean) else mean


def _one(data: TrainedOn, target: Target, y: np.ndarray, output: np.ndarray) -> float:
    if target.task == "regression":
        return concordance(scaled_ratings(y, target.scale), output)
    return float(((output > 0) == y.astype(bool)).mean())


# --- cost ---


def runner(path: Path) -> Callable[[Windows], Windows]:
    """Return the function from windows, the inputs (B, ...) of an exported model by name, to the outputs of a model."""
    if path.is_file():
        return partial(run_onnx, open_session(path))
    return partial(run_torch, load_model(path)[0])


def _alternately(models: list[Model], n: int) -> list[float]:
    """Median seconds of n windows of each model: one run of each in turn, so that other programs slow all alike."""
    calls = {
        str(i): partial(runner(model.path), _noise(model.path, model.config, model.about, n))
        for i, model in enumerate(models)
    }
    return list(median_seconds(calls, RUNS[n]).values())  # type: ignore[arg-type]


def _noise(path: Path, config: GBVNetConfig, about: dict[str, Any], n: int) -> Windows:
    """Return n windows of noise with all modalities."""
    windows = noise_windows(config, face_side_of(config, about, path), n)
    windows["face_ok"][:], windows["has_signals"][:] = True, True
    np.nan_to_num(windows["face_features"], copy=False)
    return windows


def measure_memory(path: Path, threads: int) -> float | None:
    """Return by how many MB this process grows at its peak, until a model was opened and 64 windows are done."""
    torch.set_num_threads(threads)
    content = _onnx_config(path) if path.is_file() else read_config(path)[1]
    windows = _noise(path, build_config(path, content["config"]), content["about"], BATCH)
    with PeakMemory() as peak:
        runner(path)(windows)
    return peak.mb


def _in_own_process(measure: Callable[[], float | None]) -> float | None:
    """Call it in a process that has done nothing else, so that its memory is the model's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure).result()
