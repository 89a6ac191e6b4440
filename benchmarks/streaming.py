"""How late, how large and how far from the whole recording a stream is.

    python -m benchmarks.streaming MODEL VIDEO [SIGNALS]

MODEL is a folder of a model, VIDEO shows a face. Ten minutes pass faster than real time: the video's frames at 10 a
second, over and over, through the landmarker, and synthetic signals at 512 Hz in chunks of 50 ms. A window's latency is
what the call takes that brings its last frame or sample: what comes faster than real time waits for nobody. With
SIGNALS, a signal file of the video's seconds, the stream is compared with `gbvnet predict` of both files.
"""

import argparse
import json
import os
import threading
import time
from pathlib import Path

import numpy as np

from gbvnet.datasets.formats.signal_file import read_signals, span_s
from gbvnet.datasets.single_recording import open_recording
from gbvnet.inference.predict import predict_recording
from gbvnet.inference.predictor import Predictor
from gbvnet.inference.streaming.causal_filters import delay_s
from gbvnet.inference.streaming.emotion_stream import EmotionStream, StreamSettings
from gbvnet.io.video import probe, read_frames

FPS, RATE_HZ, CHUNK_S = 10, 512, 0.05
AT_HZ = {"eeg": (6, 10, 20, 40), "ecg": (1, 5, 10, 20), "gsr": (0.1, 1, 3), "ppg": (1, 5)}


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(predictor: Predictor, video: Path, seconds: int) -> dict:
    info = probe(video)
    n = min(info.n_frames, int(20 * info.fps))
    step = int(info.fps // FPS)
    pictures = [rgb for _, rgb in read_frames(video, np.arange(0, n, step))]
    rng = np.random.default_rng(0)
    x = 20 * rng.normal(size=(len(predictor.channels), 10 * RATE_HZ))
    took, memory, rows = [], [], 0
    began = time.perf_counter()
    with EmotionStream(predictor, RATE_HZ, [c.name for c in predictor.channels]) as stream:
        chunk = round(CHUNK_S * RATE_HZ)
        sent = 0
        for k in range(seconds * FPS):
            start = time.perf_counter()
            made = stream.frame(pictures[k % len(pictures)], k / FPS)
            took += [time.perf_counter() - start] * len(made)
            rows += len(made)
            while sent / RATE_HZ < (k + 1) / FPS:
                at = sent % (9 * RATE_HZ)
                start = time.perf_counter()
                made = stream.samples(x[:, at : at + chunk])
                took += [time.perf_counter() - start] * len(made)
                rows += len(made)
                sent += chunk
            if k % (60 * FPS) == 60 * FPS - 1:
                memory.append(round(rss_mb(), 1))
    wall = time.perf_counter() - began
    return {
        "seconds": seconds,
        "rows": rows,
        "latency_ms": {q: round(1e3 * float(np.quantile(took, v)), 1) for q, v in
                       (("median", 0.5), ("99 %", 0.99), ("worst", 1.0))},
        "memory_mb_each_minute": memory,
        "times_real_time": round(seconds / wall, 2),
        "load_average": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "threads": threading.active_count(),
    }  # fmt: skip


def compared(predictor: Predictor, video: Path, signals: Path) -> dict:
    """The same windows by a stream and by the whole recording: how far apart."""
    model, side = predictor.input, predictor.uses_face
    files = [video, signals] if side else [signals]
    corpus = open_recording(files, predictor.channels, model.rate_hz, model.baseline_s)
    whole = _Keeping(predictor)
    table = predict_recording(whole, corpus, corpus.recording).table.set_index("start_s")  # type: ignore[arg-type]
    begin, end = span_s(signals)
    x, rate_hz = read_signals(signals, begin, end, predictor.channels)[:2]
    info = probe(video)
    streamed = _Keeping(predictor)
    rows = []
    with EmotionStream(
        streamed,  # type: ignore[arg-type]
        rate_hz,
        [c.name for c in predictor.channels],
        faces=side,
        settings=StreamSettings(baseline_start_s=0.0),
    ) as stream:
        if side:
            sent = 0
            for index, rgb in read_frames(video, np.arange(info.n_frames)):
                t = float(index / info.fps)
                rows += stream.frame(rgb, t)
                n = round((t + 1 / float(info.fps)) * rate_hz) - sent
                rows += stream.samples(x[:, sent : sent + n])
                sent += n
        else:
            rows += stream.samples(x)
        rows += stream.finish()
    both = [k for k, row in enumerate(rows) if row["start_s"] in table.index]  # a stream may have one more at the end
    off: dict = {"windows": len(both), "x_by_kind": {}}
    a = np.concatenate(streamed.kept)[both]
    rows = [rows[k] for k in both]
    b = np.concatenate(whole.kept)[[table.index.get_loc(row["start_s"]) for row in rows]]
    kinds = np.array([c.kind for c in predictor.channels])
    for kind in sorted(set(kinds)):
        one, two = a[:, kinds == kind], b[:, kinds == kind]
        off["x_by_kind"][kind] = {
            "rms_of_difference_over_sd": round(float(np.sqrt(((one - two) ** 2).mean()) / two.std()), 3),
            "sd_ratio": round(float(one.std() / two.std()), 3),
        }
    for target in predictor.targets:
        a = np.array([row[target] for row in rows])
        b = table.loc[[row["start_s"] for row in rows], target].to_numpy()
        off[target] = {
            "mean_difference": round(float(np.abs(a - b).mean()), 4),
            "largest": round(float(np.abs(a - b).max()), 4),
            "sd_of_whole": round(float(b.std()), 4),
            "correlation": round(float(np.corrcoef(a, b)[0, 1]), 4),
            "same_side_of_half": round(float(((a >= 0.5) == (b >= 0.5)).mean()), 4),
        }
    return off


class _Keeping:
    """A predictor that keeps the signals it is asked about."""

    def __init__(self, predictor: Predictor):
        self._predictor, self.kept = predictor, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str):
        return getattr(self._predictor, name)

    def predict_windows(self, faces, ok, signals):
        self.kept.append(signals)
        return self._predictor.predict_windows(faces, ok, signals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("signals", type=Path, nargs="?")
    parser.add_argument("--seconds", type=int, default=600)
    args = parser.parse_args()
    predictor = Predictor(args.model, "cpu")
    delays = {kind: {f"{f:g} Hz": round(1e3 * delay_s(kind, RATE_HZ, f)) for f in at} for kind, at in AT_HZ.items()}
    made = {"delay_ms": delays}
    if args.signals:
        made["compared"] = compared(predictor, args.video, args.signals)
    if args.seconds:
        made["soak"] = soak(predictor, args.video, args.seconds)
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
