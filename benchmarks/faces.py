"""Preparing face videos as DEAP's are, against a loop of plain library calls, and memory as videos grow."""

import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from gbvnet.config import PrepareConfig, SynthConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.synthetic import write_deap
from gbvnet.parallel import cores
from gbvnet.prepare import prepare_store
from gbvnet.weights import landmark_model

TRIALS, SECONDS = 4, 60


def measure():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "deap"
        write_deap(root, SynthConfig(subjects=1, trials=TRIALS, seconds=SECONDS), cores())
        corpus = open_corpus("deap", root)
        videos = sorted(root.glob("face_video/*/*.avi"))
        plain = [plain_loop(video) for video in videos[:2]]
        rates = {}
        for jobs in (1, 2):
            begin = time.perf_counter()
            prepare_store(corpus, Path(folder) / f"store{jobs}", PrepareConfig(signals=False, face_side=112), jobs)
            rates[jobs] = TRIALS * SECONDS / (time.perf_counter() - begin)
        memory = {n: peak_memory(root, videos[0], n) for n in (10, 60)}
    loop = SECONDS * len(plain) / sum(plain)
    yield {"what": "a loop of plain calls, one process", "value": loop, "unit": "x real time"}
    yield {"what": "prepare, 1 process", "value": rates[1], "unit": "x real time"}
    yield {"what": "prepare, 2 processes", "value": rates[2], "unit": "x real time", "aim": "at least 14 on 2 cores"}
    yield {"what": "prepare, 2 processes / the loop", "value": rates[2] / loop, "unit": "x"}
    growth = memory[60] - memory[10]
    yield {"what": "peak memory for a video of 60 s less that of 10 s", "value": growth, "unit": "MB", "aim": "flat"}


def plain_loop(video: Path) -> float:
    """Seconds that a first script takes: decode all to RGB, look at every fifth frame, warp."""
    import av
    import cv2
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(landmark_model())),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
    )
    begin = time.perf_counter()
    with vision.FaceLandmarker.create_from_options(options) as landmarker, av.open(str(video)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            rgb = frame.to_ndarray(format="rgb24")
            if i % 5:
                continue
            found = landmarker.detect_for_video(mp.Image(mp.ImageFormat.SRGB, rgb), i * 20)
            if found.face_landmarks:
                eyes = [(found.face_landmarks[0][k].x * 720, found.face_landmarks[0][k].y * 576) for k in (33, 263, 1)]
                transform = cv2.getAffineTransform(np.float32(eyes), np.float32([[34, 40], [78, 40], [56, 66]]))
                cv2.warpAffine(rgb, transform, (112, 112))
    return time.perf_counter() - begin


def peak_memory(root: Path, video: Path, seconds: int) -> float:
    """Megabytes of a fresh process that prepares the first seconds of a video."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (video, seconds))


def _peak(video: Path, seconds: int) -> float:
    from gbvnet.faces import track_faces

    track_faces(video, np.arange(0, seconds * 50, 5), 64)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
