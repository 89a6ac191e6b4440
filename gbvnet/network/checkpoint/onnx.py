"""A model as one ONNX file, for machines without Python or torch; compared with torch before it is kept.

The file computes the same as the network, window by window, for any number of windows B:

    faces        (B, F, S, S, 3) uint8, as stored        logits     (B, K), above 0: the positive (high) class
    face_ok      (B, F) bool, frames that show a face    gate_face  (B,) mean gate of the face features, 0 to 1
    signals      (B, C, L) float32, as stored            gate_bio   (B,) mean gate of the signal features
    has_signals  (B,) bool

A network that reads features of faces has `face_features` (B, F, D) float32, as stored, in the place of `faces`. A
network of one modality has the inputs of that modality only, and one without gates has no gates. Where the network
would refuse a window, because a modality that it needs is missing, the logits are NaN; where one modality is missing,
the gates are NaN.
"""

import logging
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from ...config import GBVNetConfig, uses_face
from ...errors import BadConfig, BadModel
from ...io.atomic import temporary_path
from ..model import FACE_WIDTH, GBVNet, mean_of_valid, network_faces
from .checkpoint import load_model
from .folder import CONFIG
from .hub import find_model

REQUIRED = ("onnx", "onnxruntime", "onnxscript")  # the extra `onnx`
OPSET = 18
METADATA = "gbvnet"  # the name of config.json in the file's metadata
TOLERANCE = 1e-4  # largest difference from torch, in logits and gates; relative for values above 1
CHECKED = 24  # windows of noise on which torch and the file are compared
BATCH = 64  # windows, for the throughput


class ExportResult(NamedTuple):
    """An export: its file, its difference from torch, and median times on the CPU, in seconds."""

    path: Path
    difference: float  # the largest over all outputs
    torch_one: float
    onnx_one: float
    torch_batch: float
    onnx_batch: float

    @override
    def __str__(self) -> str:
        one = f"one window {1e3 * self.onnx_one:.1f} ms, torch {1e3 * self.torch_one:.1f} ms"
        many = f"{BATCH} windows {1e3 * self.onnx_batch:.0f} ms, torch {1e3 * self.torch_batch:.0f} ms"
        agrees = (
            f"differs from torch by at most {self.difference:.1g} on {CHECKED} windows, some without face or signals"
        )
        return f"{self.path}: {self.path.stat().st_size / 1e6:.1f} MB; {agrees}\non this CPU: {one}; {many}"


def export_onnx(name: str | Path, path: str | Path) -> ExportResult:
    """Write a model folder, or a model of the hub, as one ONNX file; an existing .onnx file is replaced.

    The file holds config.json as metadata `gbvnet`, which describes its inputs. Raises BadConfig if the extra is not
    installed, BadModel for a bad model and for an export that differs from torch by more than TOLERANCE.
    """
    require_onnx("exporting")
    path = Path(path)
    require_onnx_path(path)
    folder = find_model(name)
    network, about = load_model(folder)
    side = face_side_of(network.config, about, folder)
    temporary = temporary_path(path)
    try:
        write_onnx(network, side, temporary, (folder / CONFIG).read_text(encoding="utf-8"))
        session = open_session(temporary)
        difference = _compare(network, session, side, path)
        times = _time(network, session, side)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return ExportResult(path, difference, **times)


def require_onnx(what: str) -> None:
    """Raise BadConfig with the packages that are missing for `what` ("exporting")."""
    missing = [module for module in REQUIRED if find_spec(module) is None]
    if missing:
        raise BadConfig(f"{what} needs {', '.join(missing)}, which is not installed: pip install 'gbvnet[onnx]'")


def require_onnx_path(path: Path) -> None:
    """Raise BadModel unless an ONNX file can be written there without a loss."""
    if path.is_dir() or not path.parent.is_dir():
        actual = "a folder" if path.is_dir() else f"no folder {path.parent}"
        raise BadModel(path, "a file to write, in an existing folder", actual, "Give a name such as model.onnx.")
    if path.exists() and path.suffix.lower() != ".onnx":
        remedy = "It would be replaced: give a name such as model.onnx."
        raise BadModel(path, "no such file yet, or an older export that ends in .onnx", "another file", remedy)


class TraceableNetwork(nn.Module):
    """The network in the form that ONNX needs: the same operations for every window, whichever modality is missing.

    Features of a missing modality are computed and not used. In evaluation mode no window depends on another, so the
    results are those of the network.
    """

    def __init__(self, network: GBVNet):
        super().__init__()
        self.network = network
        config = network.config
        self.both = network.sees_both
        self.needs_both = network.sees_both and config.modality_dropout == 0
        self.gated = network.has_gates

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs, in order."""
        face = [face_name(self.network), "face_ok"] * self.network.sees_face
        return face + ["signals", "has_signals"] * self.network.sees_signals

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs, in order."""
        return ["logits", *(["gate_face", "gate_bio"] if self.gated else [])]

    @override
    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """tensors: the `inputs`, shapes as at the top of this file. Result: the `outputs`."""
        given, net = dict(zip(self.inputs, tensors, strict=True)), self.network
        gates = None
        if net.sees_face:
            faces, face_ok = given[face_name(net)], given["face_ok"]
            f, has_face = self._face(faces, face_ok), face_ok.any(1)  # (B, 128), (B,)
        if net.sees_signals:
            has_signals = given["has_signals"]
            x = torch.where(has_signals[:, None, None], given["signals"], net.signal_mean[:, None])  # keeps NaN out
            b = net.signals((x - net.signal_mean[:, None]) / net.signal_sd[:, None])  # (B, 64)
        if self.both:
            f = torch.where(has_face[:, None], f, net.missing_face)
            b = torch.where(has_signals[:, None], b, net.missing_bio)
            fused, gates = net.fusion(f, b)  # (B, 192)
            enough = has_face & has_signals if self.needs_both else has_face | has_signals
        else:
            fused, enough = (f, has_face) if net.sees_face else (b, has_signals)
        results = [torch.where(enough[:, None], net.head(fused), torch.nan)]
        if gates is not None:
            shares = gates[:, :FACE_WIDTH].mean(1), gates[:, FACE_WIDTH:].mean(1)
            results += [torch.where(has_face & has_signals, share, torch.nan) for share in shares]
        return tuple(results)

    def _face(self, faces: Tensor, ok: Tensor) -> Tensor:
        """faces (B, F, S, S, 3) uint8 or (B, F, D), ok (B, F) bool -> (B, 128)."""
        x = self.network.face(network_faces(faces).flatten(0, 1))  # (N, 128)
        x = x.view(-1, self.network.config.n_frames, FACE_WIDTH)
        x = torch.where(ok[..., None], x, 0)
        return mean_of_valid(x if self.network.time is None else self.network.time(x, ok), ok)


def face_name(network: GBVNet) -> str:
    """Return the name of the input for what the network reads of a face."""
    return "face_features" if network.reads_features else "faces"


def face_side_of(config: GBVNetConfig, about: dict, folder: Path) -> int:
    """Return S in pixels; 32 for a network that reads no pictures, which does not use it. Raises BadModel."""
    pictures = uses_face(config.modality) and config.face_input == "pixels"
    side = about.get("face_side") if pictures else 32
    if not isinstance(side, int) or side < 32:
        raise BadModel(folder / CONFIG, "about.face_side, the side of a face in pixels", repr(side), "Train it again.")
    return side


def noise_windows(config: GBVNetConfig, side: int, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return n windows of noise as stored, and features for a network that reads them; of every eight, one lacks its
    face, one its signals, and one both."""
    rng = np.random.default_rng(seed)
    missing = np.arange(n) % 8
    face_ok = rng.random((n, config.n_frames)) < 0.8
    face_ok[:, 0] = True
    face_ok[(missing == 2) | (missing == 7)] = False
    return {
        "faces": rng.integers(0, 256, (n, config.n_frames, side, side, 3), np.uint8),
        "face_ok": face_ok,
        "face_features": _feature_noise(config, face_ok, seed),
        "signals": rng.standard_normal((n, config.n_channels, config.n_samples), np.float32),
        "has_signals": (missing != 5) & (missing != 7),
    }


def _feature_noise(config: GBVNetConfig, face_ok: np.ndarray, seed: int) -> np.ndarray:
    """Return features (n, F, D) as stored: NaN in frames without a face."""
    features = np.random.default_rng([seed, 1]).standard_normal((*face_ok.shape, config.n_face_features), np.float32)
    features[~face_ok] = np.nan
    return features


def write_onnx(network: GBVNet, side: int, path: Path, config: str) -> None:
    """Trace the network and write it, its config as metadata. side : of a face, pixels

    Raises BadModel if torch exports nothing.
    """
    import onnx

    traceable = TraceableNetwork(network).eval()
    windows = noise_windows(network.config, side, 2)
    batch = torch.export.Dim("B")
    with _silence_exporter():
        program = torch.onnx.export(
            traceable,
            tuple(torch.from_numpy(windows[name]) for name in traceable.inputs),
            input_names=traceable.inputs,
            output_names=traceable.outputs,
            dynamic_shapes=(tuple({0: batch} for _ in traceable.inputs),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise BadModel(path, "an exported program", f"none from torch.onnx.export of torch {torch.__version__}")
    made = program.model_proto
    onnx.helper.set_model_props(made, {METADATA: config})
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """Hide the exporter's log of each step and its warnings about its own code."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def open_session(path: Path, optimised: bool = True) -> Any:
    """Return a session on the CPU. optimised: with all of onnxruntime's changes of the graph, or as it is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as many as torch has, so that times compare
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(session: Any, windows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs of a session for windows, which may have more inputs than it reads."""
    names = [output.name for output in session.get_outputs()]
    inputs = {expected.name: windows[expected.name] for expected in session.get_inputs()}
    return dict(zip(names, session.run(names, inputs), strict=True))


@torch.inference_mode()
def run_torch(network: GBVNet, windows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs of the network for the inputs of an exported one."""
    t = {name: torch.from_numpy(array) for name, array in windows.items()}
    faces = network_faces(t[face_name(network)]) if network.sees_face else None
    signals = t["signals"] if network.sees_signals else None
    output = network(faces, t["face_ok"] if network.sees_face else None, signals, None, t["has_signals"])
    return {name: getattr(output, name).numpy() for name in ("logits", "gate_face", "gate_bio")}


def _compare(network: GBVNet, session: Any, side: int, path: Path) -> float:
    """Return the largest difference between torch and the file. Raises BadModel if it is above TOLERANCE."""
    windows = noise_windows(network.config, side, CHECKED, seed=1)
    has_face, has_signals = windows["face_ok"].any(1), windows["has_signals"]
    config = network.config
    if not network.sees_both:
        usable = has_face if network.sees_face else has_signals
    else:
        usable = has_face & has_signals if config.modality_dropout == 0 else has_face | has_signals
    of_torch = run_torch(network, {name: array[usable] for name, array in windows.items()})
    of_onnx = run_onnx(session, windows)
    worst = 0.0
    for name, result in of_onnx.items():
        expected = of_torch[name]
        no_gate = np.isnan(expected) & np.isnan(result[usable])  # in a window with one modality
        error = np.abs(result[usable] - expected) / np.abs(expected).clip(min=1)
        difference = float(np.where(no_gate, 0, error).max())
        if not difference <= TOLERANCE:  # also if it is NaN
            actual = f"{name} that differ by {difference:.2g}"
            raise BadModel(path, f"an export that agrees with torch to {TOLERANCE:g}", actual, "It was not written.")
        if not np.isnan(result[~usable]).all():
            raise BadModel(path, "NaN for windows that lack a modality", f"other {name}", "It was not written.")
        worst = max(worst, difference)
    return worst


def _time(network: GBVNet, session: Any, side: int) -> dict[str, float]:
    """Return median seconds of one window and of BATCH windows, in onnxruntime and in torch."""
    times: dict[str, float] = {}
    for what, n, repeats in (("one", 1, 15), ("batch", BATCH, 3)):
        windows = noise_windows(network.config, side, n)
        windows["face_ok"][:], windows["has_signals"][:] = True, True
        calls: dict[str, Callable[[], object]] = {
            f"torch_{what}": lambda windows=windows: run_torch(network, windows),  # type: ignore[misc]
            f"onnx_{what}": lambda windows=windows: run_onnx(session, windows),  # type: ignore[misc]
        }
        times |= median_seconds(calls, repeats)
    return times


def median_seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each call, taken alternately after one that is not counted."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in seconds.items()}
