"""A model as an ONNX file whose convolutions and matrix products are in int8, compared with float32 before it is kept.

Static quantisation by onnxruntime, in the form of pairs QuantizeLinear and DequantizeLinear (QDQ): weights int8, a
scale for each output channel, with 7 of the 8 bits, as processors without VNNI would overflow with all; activations
uint8, a scale for each tensor, from its smallest and largest value on calibration windows. Everything else, norms,
GELU, softmax and sums, stays in float32.

Calibration windows are drawn from the windows of the model's own training subjects. The difference from float32 is
measured on other windows: of subjects that the model has not seen, where the store has any, else of the same subjects.
In each set every eighth window loses its face and every eighth its signals, if the network can do without.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from ...errors import BadConfig, BadModel
from ...io.atomic import atomic_write, temporary_path
from ...store.window_source import WindowSource
from ..model import GBVNet
from .checkpoint import load_model
from .folder import CONFIG
from .hub import find_model
from .onnx import (
    BATCH,
    METADATA,
    face_side_of,
    median_seconds,
    noise_windows,
    open_session,
    require_onnx,
    require_onnx_path,
    run_onnx,
    write_onnx,
)
from .trained_on import TrainedOn, subjects_in_words, trained_on

CALIBRATION, CHECKED, SEED = 256, 256, 0  # windows of each set, and the seed by which they are drawn
AT_ONCE = 16  # windows
QUANTISED = ("Conv", "MatMul", "Gemm")
# The differences from float32 above which no file is kept: of probabilities, or of shares of a rating's scale.
MEAN_LIMIT, LARGEST_LIMIT = 0.02, 0.15
METADATA_INT8 = "gbvnet_int8"  # the name of `Int8Record` in the file's metadata

Windows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Int8Record:
    """How a file was quantised, and how far its outputs are from float32: metadata of the file, and on its card."""

    calibration_windows: int
    calibrated_on: str
    checked_windows: int
    checked_on: str
    seed: int
    store_digest: str
    mean_difference: float
    """over windows and outputs, of probabilities, or of shares of a rating's scale"""
    largest_difference: float
    changed: float | None
    """share of windows with another class than float32 gives; None for ratings"""
    mean_limit: float = MEAN_LIMIT
    largest_limit: float = LARGEST_LIMIT
    scheme: str = "QDQ; weights int8 per channel with 7 bits, activations uint8 per tensor, min and max"


class Int8Result(NamedTuple):
    """An int8 export: its file, its record, and sizes and median times beside the float32 file, in seconds."""

    path: Path
    record: Int8Record
    bytes: tuple[int, int]  # float32, int8
    one: tuple[float, float]
    batch: tuple[float, float]

    @override
    def __str__(self) -> str:
        r, size = self.record, [f"{b / 1e6:.2f}" for b in self.bytes]
        changed = "" if r.changed is None else f", another class in {r.changed:.1%}"
        one, many = ([1e3 * t for t in times] for times in (self.one, self.batch))
        return "\n".join(
            [
                f"{self.path}: int8, {size[1]} MB, float32 {size[0]} MB",
                f"calibrated on {r.calibration_windows} windows {r.calibrated_on}",
                f"differs from float32 by {r.mean_difference:.4f} on average (limit {r.mean_limit:g}) and "
                f"{r.largest_difference:.4f} at most (limit {r.largest_limit:g}){changed}, "
                f"on {r.checked_windows} windows {r.checked_on}",
                f"on this CPU: one window {one[1]:.1f} ms, float32 {one[0]:.1f} ms; "
                f"{BATCH} windows {many[1]:.0f} ms, float32 {many[0]:.0f} ms",
                f"{card_path(self.path)} has the same",
            ]
        )


def export_int8(name: str | Path, path: str | Path, store: WindowSource) -> Int8Result:
    """Write a model folder, or a model of the hub, as one ONNX file in int8, and its card beside it.

    store : the one that the model was trained on, for the calibration

    Raises BadConfig if the extra is not installed or the store is not of this model, and BadModel for a bad model, and
    for an export whose outputs differ from float32 by more than the limits; it is then not kept.
    """
    require_onnx("exporting")
    path = Path(path)
    require_onnx_path(path)
    folder = find_model(name)
    network, about = load_model(folder)
    data = trained_on(network.config, about, store, folder)
    side = face_side_of(network.config, about, folder)
    calibration, checked, checked_on = choose_windows(data)
    float32, int8 = temporary_path(path), temporary_path(path.with_name(f"int8-{path.name}"))
    try:
        write_onnx(network, side, float32, (folder / CONFIG).read_text(encoding="utf-8"))
        quantise(float32, int8, _batches(data, calibration, network))
        sessions = open_session(float32), open_session(int8)
        differences = _differences(sessions, _batches(data, checked, network), data)
        record = Int8Record(
            len(calibration),
            f"of {subjects_in_words(data.windows)}",
            len(checked),
            checked_on,
            SEED,
            store.digest,
            *differences,
        )
        _refuse_different(path, record)
        _add_metadata(int8, record)
        times = {n: _seconds(sessions, network, side, n) for n in (1, BATCH)}
        sizes = float32.stat().st_size, int8.stat().st_size
        os.replace(int8, path)
    finally:
        for temporary in (float32, int8):
            temporary.unlink(missing_ok=True)
    result = Int8Result(path, record, sizes, times[1], times[BATCH])
    atomic_write(card_path(path), int8_card(result, folder).encode())
    return result


def choose_windows(data: TrainedOn) -> tuple[np.ndarray, np.ndarray, str]:
    """Return row numbers (n,) for the calibration, others (m,) to measure the difference on, and what these are.

    Raises BadConfig if there are fewer than four windows.
    """
    if len(data.rows) < 4:
        raise BadConfig(
            f"{data.store.path}: int8 needs at least 4 windows of the model's subjects, not {len(data.rows)}"
        )
    if len(data.held_out):
        calibration, checked = data.sample(CALIBRATION, SEED), data.sample(CHECKED, SEED, data.held_out)
        return calibration, checked, "of subjects that the model was not trained on"
    half = len(data.rows) // 2
    calibration = data.sample(min(CALIBRATION, half), SEED)
    checked = data.sample(min(CHECKED, half), SEED + 1, np.setdiff1d(data.rows, calibration))
    return calibration, checked, "of the same subjects, not used for the calibration"


def _batches(data: TrainedOn, rows: np.ndarray, network: GBVNet) -> Iterator[Windows]:
    """The windows of these rows, of which some lose a modality if the network can do without."""
    for part, windows in data.arrays(rows, AT_ONCE):
        place = np.searchsorted(rows, part) % 8
        if network.sees_both and network.config.modality_dropout > 0:
            both = windows["face_ok"].any(1) & windows["has_signals"]
            windows["face_ok"][both & (place == 2)] = False
            windows["has_signals"][both & (place == 5)] = False
        yield windows


def quantise(source: Path, path: Path, calibration: Iterator[Windows]) -> None:
    """Write an ONNX file of a model in int8, calibrated on batches of windows: inputs (B, ...) by name."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    expected = [each.name for each in open_session(source).get_inputs()]

    class Reader(CalibrationDataReader):
        @override
        def get_next(self) -> Windows | None:
            windows = next(calibration, None)
            return None if windows is None else {name: windows[name] for name in expected}

    with _silence_advice():
        quantize_static(
            str(source),
            str(path),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


@contextmanager
def _silence_advice() -> Iterator[None]:
    """Hide onnxruntime's advice to optimise the graph first, which it logs without a logger's name."""

    def is_other(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(is_other)
    try:
        yield
    finally:
        root.removeFilter(is_other)


def _differences(
    sessions: tuple[Any, Any], batches: Iterator[Windows], data: TrainedOn
) -> tuple[float, float, float | None]:
    """Return the mean and the largest difference of the outputs, and the share of windows with another class."""
    logits = [[run_onnx(session, windows)["logits"] for session in sessions] for windows in batches]
    whole, int8 = (np.concatenate(each).astype(np.float64) for each in zip(*logits, strict=True))  # (n, K)
    lacks = np.isnan(whole)
    if (lacks != np.isnan(int8)).any():
        return float("nan"), float("nan"), None
    whole, int8 = whole[~lacks.any(1)], int8[~lacks.any(1)]
    task = data.targets[0].task
    a, b = (_outputs(each, task) for each in (whole, int8))
    difference = np.abs(a - b)
    if task == "regression":
        return float(difference.mean()), float(difference.max()), None
    classes = [each.argmax(1) if task == "multiclass" else each > 0 for each in (whole, int8)]
    return float(difference.mean()), float(difference.max()), float((classes[0] != classes[1]).mean())


def _outputs(logits: np.ndarray, task: str) -> np.ndarray:
    """Probabilities, or ratings as shares of their scale, (n, K)."""
    if task == "regression":
        return (logits.clip(-1, 1) + 1) / 2
    if task == "multiclass":
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)
    return 1 / (1 + np.exp(-logits))


def _refuse_different(path: Path, record: Int8Record) -> None:
    mean, largest = record.mean_difference, record.largest_difference
    if mean <= MEAN_LIMIT and largest <= LARGEST_LIMIT:
        return
    actual = f"{mean:.3g} on average and {largest:.3g} at most on {record.checked_windows} windows {record.checked_on}"
    remedy = "It was not written: this network loses too much in int8; export it in float32, without --int8."
    raise BadModel(
        path, f"outputs within {MEAN_LIMIT:g} of float32 on average and {LARGEST_LIMIT:g} at most", actual, remedy
    )


def _add_metadata(path: Path, record: Int8Record) -> None:
    import onnx

    model = onnx.load(path)
    properties = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(model, properties | {METADATA_INT8: json.dumps(asdict(record))})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    if METADATA not in properties:
        raise BadModel(path, f"metadata {METADATA}", "none", "The quantisation lost it.")


def _seconds(sessions: tuple[Any, Any], network: GBVNet, side: int, n: int) -> tuple[float, float]:
    """Median seconds of n windows of noise with all modalities, in float32 and in int8."""
    windows = noise_windows(network.config, side, n)
    windows["face_ok"][:], windows["has_signals"][:] = True, True
    calls = {name: (lambda s=s: run_onnx(s, windows)) for name, s in zip(("float32", "int8"), sessions, strict=True)}
    times = median_seconds(calls, 15 if n == 1 else 3)  # type: ignore[arg-type]
    return times["float32"], times["int8"]


def card_path(path: Path) -> Path:
    """Return where the card of an exported file is: model.onnx.md."""
    return path.with_name(f"{path.name}.md")


def int8_card(result: Int8Result, folder: Path) -> str:
    """Return the card of an int8 file; that of the model it was made of is inside of it, as config.json."""
    record = result.record
    changed = "" if record.changed is None else f"| Windows with another class | {record.changed:.2%} |\n"
    return f"""# {result.path.name}: GBV-Net in int8

Made from the model `{folder.name}`, whose card says what it was trained on and what it is for.

| | |
|---|---|
| Quantisation | {record.scheme} |
| Calibrated on | {record.calibration_windows} windows {record.calibrated_on}, seed {record.seed} |
| Store digest | {record.store_digest} |
| Compared with float32 on | {record.checked_windows} windows {record.checked_on} |
| Difference of the outputs, mean | {record.mean_difference:.4f} (limit {record.mean_limit:g}) |
| Difference of the outputs, largest | {record.largest_difference:.4f} (limit {record.largest_limit:g}) |
{changed}| Size, MB | {result.bytes[1] / 1e6:.2f} (float32 {result.bytes[0] / 1e6:.2f}) |
| One window, ms | {1e3 * result.one[1]:.2f} (float32 {1e3 * result.one[0]:.2f}) |
| Windows/s, {BATCH} at once | {BATCH / result.batch[1]:.0f} (float32 {BATCH / result.batch[0]:.0f}) |

Differences are of probabilities, or of shares of a rating's scale. Times are of the CPU that it was exported on.
"""
