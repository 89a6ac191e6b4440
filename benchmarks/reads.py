"""Random batches of 256 windows out of a store of 200 recordings, against other ways to hold the same windows."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open

from gbvnet.config import PrepareConfig, to_dict
from gbvnet.store.format import data_file
from gbvnet.store.reader import open_store
from gbvnet.store.writer import create_store, finish_store, write_recording

from .clock import in_turn

RECORDINGS, WINDOWS, BATCH = 200, 30, 256
F, S, C, L = 10, 64, 40, 128


def measure():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        faces, signals = build(path)
        store = open_store(path)
        rng = np.random.default_rng(1)
        batches = [rng.integers(0, len(store), BATCH) for _ in range(8)]
        names = store.windows["recording"].to_numpy()

        def each(read):
            return lambda: [read(rows) for rows in batches]

        def slow(rows):
            for row in rows:
                with safe_open(data_file(path, names[row]), "np") as f:
                    f.get_slice("faces")[row % WINDOWS]
                    f.get_slice("signals")[row % WINDOWS]

        seconds = in_turn(
            7,
            facebio=each(store.read),
            copy=each(lambda rows: (faces[rows], signals[rows])),
            signals=each(lambda rows: store.read(rows, faces=False)),
            copy_signals=each(lambda rows: signals[rows]),
            safe_open=each(slow),
        )
        archive = pngs(faces[:32])
        png = in_turn(2, png=lambda: [decode(archive, i) for i in range(32)])["png"] / 32
    rate = {k: len(batches) * BATCH / s for k, s in seconds.items()}
    yield {"what": "faces and signals", "value": rate["facebio"], "unit": "windows/s"}
    yield {
        "what": "faces and signals / copying them in memory",
        "value": rate["facebio"] / rate["copy"],
        "unit": "x",
        "aim": "at least 0.5",
    }
    yield {"what": "signals alone", "value": rate["signals"], "unit": "windows/s", "aim": "at least 100,000"}
    yield {
        "what": "signals alone / copying them in memory",
        "value": rate["signals"] / rate["copy_signals"],
        "unit": "x",
    }
    yield {
        "what": "faces and signals / opening the file for each window",
        "value": rate["facebio"] / rate["safe_open"],
        "unit": "x",
    }
    yield {"what": "faces / the same faces as PNG files in a zip archive", "value": png * rate["facebio"], "unit": "x"}


def build(path: Path, recordings: int = RECORDINGS):
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (recordings * WINDOWS, F, S, S, 3), dtype=np.uint8)
    signals = rng.standard_normal((recordings * WINDOWS, C, L), dtype=np.float32)
    create_store(
        path,
        {
            "dataset": "deap",
            "synthetic": True,
            "prepare": to_dict(PrepareConfig(face_side=S, frames_per_window=F)),
            "channels": [[f"c{i}", "eeg"] for i in range(C)],
            "rate_hz": 128.0,
            "samples_per_window": L,
            "frames_per_window": F,
            "face_side": S,
            "baseline_s": 3.0,
            "labels": {"valence": {"scale": [1, 9]}},
        },
    )
    made = []
    for r in range(recordings):
        own = slice(r * WINDOWS, (r + 1) * WINDOWS)
        about = {
            "recording": f"s{r // 40 + 1:02d}_trial{r % 40 + 1:02d}",
            "subject": f"s{r // 40 + 1:02d}",
            "trial": f"{r % 40 + 1:02d}",
            "stimulus": "01",
            "verdict": "ok",
            "ratings": {"valence": float(1 + 8 * (r % 2))},
            "start_s": list(range(WINDOWS)),
            "has_face": [True] * WINDOWS,
            "has_signals": True,
        }
        ok = np.ones((WINDOWS, F), bool)
        arrays = {"faces": faces[own], "face_ok": ok, "signals": signals[own]}
        made.append(write_recording(path, about["recording"], arrays, about))
    finish_store(path, made)
    return faces, signals


def pngs(windows: np.ndarray) -> zipfile.ZipFile:
    """As older code keeps faces: a PNG a frame, in a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, window in enumerate(windows):
            for j, face in enumerate(window):
                picture = io.BytesIO()
                Image.fromarray(face).save(picture, "png")
                archive.writestr(f"{i}/{j}.png", picture.getvalue())
    return zipfile.ZipFile(buffer)


def decode(archive: zipfile.ZipFile, i: int) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(archive.read(f"{i}/{j}.png")))) for j in range(F)])
