"""Preparing face videos as DEAP's are, against loops of plain library calls in equally many processes; and memory."""

import itertools
import multiprocessing
import resource
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from gbvnet.config import PrepareConfig, SynthConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.io.landmark_model import landmark_model_path
from gbvnet.io.video import probe, read_frames
from gbvnet.parallel.tasks import available_cores, limit_threads
from gbvnet.preprocessing.face_windows import FaceSettings, FaceWindows
from gbvnet.preprocessing.landmarks import open_landmarker
from gbvnet.store.prepare import prepare_store
from gbvnet.store.writer import write_recording

TRIALS, SECONDS, ROUNDS = 4, 60, 5


def measure():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "deap"
        write_synthetic("deap", root, SynthConfig(subjects=1, trials=TRIALS, seconds=SECONDS), available_cores())
        corpus = open_corpus("deap", root)
        videos = sorted(root.glob("face_video/*/*.avi"))
        for jobs in (1, 2):  # side by side: all of one number of processes, one after the other
            begin = time.perf_counter()
            prepare_store(corpus, Path(folder) / f"store{jobs}", PrepareConfig(signals=False, face_side=112), jobs)
            rate = TRIALS * SECONDS / (time.perf_counter() - begin)
            yield from against_loops(videos, rate, jobs)
        memory = {n: peak_memory(root, videos[0], n) for n in (10, SECONDS)}
        yield from in_cpu_time(videos[0])
    growth = memory[SECONDS] - memory[10]
    yield {
        "what": f"peak memory for a video of {SECONDS} s less that of 10 s",
        "value": growth,
        "unit": "MB",
        "aim": "flat",
    }


def against_loops(videos: list[Path], rate: float, jobs: int):
    """`prepare` at this rate (x real time), loops over the same videos, and the least, all in so many processes."""
    processes = f"{jobs} process" + "es" * (jobs > 1)
    aim = {"aim": "at least 14 on 2 cores"} if jobs == 2 else {}
    yield {"what": f"prepare, {processes}", "value": rate, "unit": "x real time"} | aim
    loops = {
        "a loop of PyAV and FaceLandmarker": with_av,
        "a loop of OpenCV that writes PNGs": with_cv2,
        "starting, decoding, RGB and landmarks alone": floor,
    }
    for name, loop in loops.items():
        begin = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            pool.map(loop, videos, chunksize=1)
        plain = SECONDS * len(videos) / (time.perf_counter() - begin)
        yield {"what": f"{name}, {processes}", "value": plain, "unit": "x real time"}
        yield {"what": f"prepare / {name}, {processes} each", "value": rate / plain, "unit": "x"}


def in_cpu_time(video: Path):
    """CPU seconds of whole processes with one video each, in turn: they are the same however busy the machine is."""
    things = {
        "loop": with_cv2,
        "1": prepare_one,
        "2": partial(prepare_one, every=2),
        "3": partial(prepare_one, every=3),
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*things, "floor")}
    for _ in range(ROUNDS):
        for name, thing in {**things, "floor": floor}.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            process = multiprocessing.get_context("spawn").Process(target=thing, args=(video,))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{name} ended with {process.exitcode}: its time means nothing")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    middle = {name: sorted(s)[ROUNDS // 2] for name, s in seconds.items()}
    loop = "a loop of OpenCV that writes PNGs"
    yield {"what": f"CPU of {loop}, a video of {SECONDS} s", "value": middle["loop"], "unit": "s"}
    for every in ("1", "2", "3"):
        aim = {"aim": "at least 1.5"} if every != "1" else {}
        ratio = middle["loop"] / middle[every]
        yield {"what": f"{loop} / prepare --landmark_every {every}, CPU", "value": ratio, "unit": "x"} | aim
    what = f"{loop} / starting, decoding, RGB and landmarks alone, CPU"
    yield {"what": what, "value": middle["loop"] / middle["floor"], "unit": "x"}


def prepare_one(video: Path, every: int = 1) -> None:
    """What a worker of `gbvnet prepare` does with a video: windows of faces of 112 pixels, one recording's file."""
    limit_threads(1)
    seconds = np.arange(SECONDS, dtype=float)
    parts = list(FaceWindows(video, seconds, FaceSettings(1.0, 10, 112, landmark_every=every)))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").mkdir()
        write_recording(Path(folder), "s01", {"faces": np.concatenate([p.faces for p in parts])}, {})


def floor(video: Path) -> None:
    """No more than decoding, the sampled frames in RGB, and their landmarks."""
    limit_threads(1)
    info = probe(video)
    with open_landmarker("mediapipe") as landmarker:
        for number, rgb in read_frames(video, np.arange(0, info.n_frames, 5), info=info):
            landmarker.find(rgb, info.time_s(number))


def with_av(video: Path) -> None:
    """What a first script does: decode all to RGB, look at every fifth frame, warp."""
    import av
    import cv2

    with landmarker() as find, av.open(str(video)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            rgb = frame.to_ndarray(format="rgb24")
            points = None if i % 5 else find(rgb, i * 20)
            if points is not None:
                cv2.warpAffine(rgb, cv2.getAffineTransform(points, CORNERS), (112, 112))


def with_cv2(video: Path) -> None:
    """The simplest script: OpenCV decodes, every fifth frame is looked at, and each face is written as a PNG file."""
    import cv2

    film = cv2.VideoCapture(str(video))
    with landmarker() as find, tempfile.TemporaryDirectory() as folder:
        for i in itertools.count():
            there, picture = film.read()
            if not there:
                break
            points = None if i % 5 else find(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), i * 20)
            if points is not None:
                face = cv2.warpAffine(picture, cv2.getAffineTransform(points, CORNERS), (112, 112))
                cv2.imwrite(f"{folder}/{i}.png", face)


CORNERS = np.float32([[34, 40], [78, 40], [56, 66]])  # where the eyes and the nose go in a face of 112 pixels


@contextmanager
def landmarker():
    """A function (RGB picture, milliseconds) -> the eyes and the nose in pixels, (3, 2); None where no face is."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(landmark_model_path())),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
    )

    def find(rgb, at_ms):
        faces = made.detect_for_video(mp.Image(mp.ImageFormat.SRGB, rgb), at_ms).face_landmarks
        size = rgb.shape[1], rgb.shape[0]
        return np.float32([(faces[0][k].x * size[0], faces[0][k].y * size[1]) for k in (33, 263, 1)]) if faces else None

    with vision.FaceLandmarker.create_from_options(options) as made:
        yield find


def peak_memory(root: Path, video: Path, seconds: int) -> float:
    """Megabytes of a fresh process that prepares the first seconds of a video."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (video, seconds))


def _peak(video: Path, seconds: int) -> float:
    for _ in FaceWindows(video, np.arange(seconds, dtype=float), FaceSettings(1.0, 10, 64)):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
