"""A model as one ONNX file, for machines without Python or torch; compared with torch before it is kept.

The file answers what the network answers, window by window, for any number of windows B:

    faces        (B, F, S, S, 3) uint8, as stored        logits     (B, K), above 0 means high
    face_ok      (B, F) bool, frames that show a face    gate_face  (B,) mean gate of the face's features, 0 to 1
    signals      (B, C, L) float32, as stored            gate_bio   (B,) of the signals'
    has_signals  (B,) bool

A network of one modality has that one's inputs alone, and one without gates no gates. A window that the network would
refuse, as it lacks what it cannot do without, gets NaN for an answer; a window of one modality gets NaN for its gates.
"""

import logging
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...config import GBVNetConfig
from ...errors import BadConfig, BadModel
from ...io.atomic import temporary_path
from ..model import FACE_WIDTH, GBVNet, mean_of_good, pixels
from .checkpoint import load_model
from .folder import CONFIG
from .hub import find_model

NEEDED = ("onnx", "onnxruntime", "onnxscript")  # the extra `onnx`
OPSET = 18
TOLERANCE = 1e-4  # largest difference from torch, in logits and gates; of a logit beyond 1 as a share of it
CHECKED = 24  # windows of noise that torch and the file are compared on
BATCH = 64  # windows, for the time of many


class Exported(NamedTuple):
    """What became of an export. Times are medians in seconds, each taken in turn, on the CPU."""

    path: Path
    difference: float  # the largest of any output
    torch_one: float
    onnx_one: float
    torch_batch: float
    onnx_batch: float

    def __str__(self) -> str:
        one = f"one window {1e3 * self.onnx_one:.1f} ms, torch {1e3 * self.torch_one:.1f} ms"
        many = f"{BATCH} windows {1e3 * self.onnx_batch:.0f} ms, torch {1e3 * self.torch_batch:.0f} ms"
        agrees = f"agrees with torch to {self.difference:.1g} on {CHECKED} windows, some without face or signals"
        return f"{self.path}: {self.path.stat().st_size / 1e6:.1f} MB; {agrees}\non this CPU: {one}; {many}"


def export_onnx(name: str | Path, path: str | Path) -> Exported:
    """Write a model folder, or a model of the hub, as one ONNX file; an .onnx file that is there is replaced.

    The whole config.json goes along as metadata `gbvnet`, so that the file says what it expects. Raises BadConfig if
    the extra is not installed, BadModel for a bad model and for an export that does not answer as torch does.
    """
    lacking = [module for module in NEEDED if find_spec(module) is None]
    if lacking:
        raise BadConfig(f"exporting needs {', '.join(lacking)}, not installed here: pip install 'gbvnet[onnx]'")
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        found = "a folder" if path.is_dir() else f"no folder {path.parent}"
        raise BadModel(path, "a file to write, in a folder that is there", found, "Give a name such as model.onnx.")
    if path.exists() and path.suffix.lower() != ".onnx":
        remedy = "It would be replaced: give a name such as model.onnx."
        raise BadModel(path, "no such file yet, or an older export that ends in .onnx", "another file", remedy)
    folder = find_model(name)
    network, about = load_model(folder)
    side = _face_side(network, about, folder)
    temporary = temporary_path(path)
    try:
        _write(network, side, temporary, (folder / CONFIG).read_text(encoding="utf-8"))
        session = _session(temporary)
        difference = _compare(network, session, side, path)
        times = _time(network, session, side)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return Exported(path, difference, **times)


class Whole(nn.Module):
    """The network as ONNX needs it: the same path for every window, whatever it lacks; features of what is missing are
    computed and then not used. In evaluation mode no window depends on another, so the numbers are the network's own.
    """

    def __init__(self, network: GBVNet):
        super().__init__()
        self.network = network
        config = network.config
        self.both = network.sees_both
        self.needs_both = network.sees_both and config.modality_dropout == 0
        self.gated = network.sees_both and config.fusion in ("gate", "literal")

    @property
    def inputs(self) -> list[str]:
        return ["faces", "face_ok"] * self.network.sees_face + ["signals", "has_signals"] * self.network.sees_signals

    @property
    def outputs(self) -> list[str]:
        return ["logits", *(["gate_face", "gate_bio"] if self.gated else [])]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """given: the `inputs`, shapes as at the top of this file. Result: the `outputs`."""
        got, net = dict(zip(self.inputs, given, strict=True)), self.network
        gates = None
        if net.sees_face:
            f, has_face = self._face(got["faces"], got["face_ok"]), got["face_ok"].any(1)  # (B, 128), (B,)
        if net.sees_signals:
            has_signals = got["has_signals"]
            x = torch.where(has_signals[:, None, None], got["signals"], net.signal_mean[:, None])  # no NaN gets in
            b = net.signals((x - net.signal_mean[:, None]) / net.signal_sd[:, None])  # (B, 64)
        if self.both:
            f = torch.where(has_face[:, None], f, net.missing_face)
            b = torch.where(has_signals[:, None], b, net.missing_bio)
            fused, gates = net.fusion(f, b)  # (B, 192)
            enough = has_face & has_signals if self.needs_both else has_face | has_signals
        else:
            fused, enough = (f, has_face) if net.sees_face else (b, has_signals)
        answers = [torch.where(enough[:, None], net.head(fused), torch.nan)]
        if gates is not None:
            shares = gates[:, :FACE_WIDTH].mean(1), gates[:, FACE_WIDTH:].mean(1)
            answers += [torch.where(has_face & has_signals, share, torch.nan) for share in shares]
        return tuple(answers)

    def _face(self, faces: Tensor, ok: Tensor) -> Tensor:
        """faces (B, F, S, S, 3) uint8, ok (B, F) bool -> (B, 128)."""
        x = self.network.face(pixels(faces).flatten(0, 1))  # (N, 128)
        x = x.view(-1, self.network.config.n_frames, FACE_WIDTH)
        x = torch.where(ok[..., None], x, 0)
        return mean_of_good(x if self.network.time is None else self.network.time(x, ok), ok)


def _face_side(network: GBVNet, about: dict, folder: Path) -> int:
    """S, pixels; 32 for a network without a face, where nobody looks at it."""
    side = about.get("face_side") if network.sees_face else 32
    if not isinstance(side, int) or side < 32:
        raise BadModel(folder / CONFIG, "about.face_side, the side of a face in pixels", repr(side), "Train it again.")
    return side


def _windows(config: GBVNetConfig, side: int, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """n windows of noise as they are stored; of every eight one lacks its face, one its signals, and one both."""
    draw = np.random.default_rng(seed)
    missing = np.arange(n) % 8
    face_ok = draw.random((n, config.n_frames)) < 0.8
    face_ok[:, 0] = True
    face_ok[(missing == 2) | (missing == 7)] = False
    return {
        "faces": draw.integers(0, 256, (n, config.n_frames, side, side, 3), np.uint8),
        "face_ok": face_ok,
        "signals": draw.standard_normal((n, config.n_channels, config.n_samples), np.float32),
        "has_signals": (missing != 5) & (missing != 7),
    }


def _write(network: GBVNet, side: int, path: Path, config: str) -> None:
    """Trace the network and write it, its config as metadata."""
    import onnx

    whole = Whole(network).eval()
    windows = _windows(network.config, side, 2)
    batch = torch.export.Dim("B")
    with _quiet():
        program = torch.onnx.export(
            whole,
            tuple(torch.from_numpy(windows[name]) for name in whole.inputs),
            input_names=whole.inputs,
            output_names=whole.outputs,
            dynamic_shapes=(tuple({0: batch} for _ in whole.inputs),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    made = program.model_proto
    onnx.helper.set_model_props(made, {"gbvnet": config})
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own insides, and logs each step."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as many as torch has, so that times compare
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _ask_onnx(session: Any, windows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    given = {wanted.name: windows[wanted.name] for wanted in session.get_inputs()}
    return dict(zip(names, session.run(names, given), strict=True))


@torch.inference_mode()
def _ask_torch(network: GBVNet, windows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    t = {name: torch.from_numpy(held) for name, held in windows.items()}
    faces = pixels(t["faces"]) if network.sees_face else None
    signals = t["signals"] if network.sees_signals else None
    said = network(faces, t["face_ok"] if network.sees_face else None, signals, None, t["has_signals"])
    return {name: getattr(said, name).numpy() for name in ("logits", "gate_face", "gate_bio")}


def _compare(network: GBVNet, session: Any, side: int, path: Path) -> float:
    """The largest difference between torch and the file. Raises BadModel if it is above TOLERANCE."""
    windows = _windows(network.config, side, CHECKED, seed=1)
    has_face, has_signals = windows["face_ok"].any(1), windows["has_signals"]
    config = network.config
    if not network.sees_both:
        fit = has_face if network.sees_face else has_signals
    else:
        fit = has_face & has_signals if config.modality_dropout == 0 else has_face | has_signals
    ours = _ask_torch(network, {name: held[fit] for name, held in windows.items()})
    theirs = _ask_onnx(session, windows)
    worst = 0.0
    for name, held in theirs.items():
        none = np.isnan(ours[name]) & np.isnan(held[fit])  # gates of a window that has one modality
        difference = float(np.where(none, 0, np.abs(held[fit] - ours[name]) / np.abs(ours[name]).clip(min=1)).max())
        if not difference <= TOLERANCE:  # NaN is not
            found = f"{name} that differ by {difference:.2g}"
            raise BadModel(path, f"an export that agrees with torch to {TOLERANCE:g}", found, "It was not written.")
        if not np.isnan(held[~fit]).all():
            raise BadModel(path, "NaN for windows that lack a modality", f"{name} for them", "It was not written.")
        worst = max(worst, difference)
    return worst


def _time(network: GBVNet, session: Any, side: int) -> dict[str, float]:
    """Median seconds of one window and of many, which lack nothing, in onnxruntime and in torch."""
    times: dict[str, float] = {}
    for what, n, repeats in (("one", 1, 15), ("batch", BATCH, 3)):
        windows = _windows(network.config, side, n)
        windows["face_ok"][:], windows["has_signals"][:] = True, True
        asked: dict[str, Callable[[], object]] = {
            f"torch_{what}": lambda windows=windows: _ask_torch(network, windows),  # type: ignore[misc]
            f"onnx_{what}": lambda windows=windows: _ask_onnx(session, windows),  # type: ignore[misc]
        }
        times |= _in_turn(asked, repeats)
    return times


def _in_turn(asked: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, after one call that is not counted."""
    for ask in asked.values():
        ask()
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(repeats):
        for name, ask in asked.items():
            begin = time.perf_counter()
            ask()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(took) for name, took in seconds.items()}
