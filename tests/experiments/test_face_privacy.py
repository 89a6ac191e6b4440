"""From a film to a report and a prediction with features of faces alone: no picture of a face is left on disk.

Pictures are recognised in two ways: by bytes, rows of neighbouring pixels of the aligned faces and of the film itself,
in every file; and by their correlation with the face, in every picture that a page or a folder holds (a face detector
takes the map of a scalp for a face). The same journey with pictures shows that both would notice.
"""

import base64
import io
import re
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.image import imread

from gbvnet.config import (
    CrossvalConfig,
    ExplainConfig,
    FinalConfig,
    ModelConfig,
    PrepareConfig,
    SynthConfig,
    TrainConfig,
)
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.errors import BadModel
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.explain import explain_run
from gbvnet.experiments.train import train_model
from gbvnet.inference.batch import FileSource, predict_many
from gbvnet.io.landmark_model import landmark_model_path
from gbvnet.io.video import probe, read_frames
from gbvnet.report.report import write_report
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

pytestmark = [pytest.mark.journey, pytest.mark.usefixtures("one_core")]
SIDE = 64


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    try:
        landmark_model_path()
    except BadModel as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("film") / "deap"
    write_synthetic("deap", root, SynthConfig(subjects=1, trials=8, seconds=2))
    return root


def journey(corpus: Path, folder: Path, kept: str) -> Path:
    """Prepare, cross-validate, explain, report, train and predict below a folder, temporary files included."""
    face_input = "features" if kept == "features" else "pixels"
    model = ModelConfig(variant="micro", face_input=face_input)
    train = TrainConfig(epochs=1, batch_size=4, device="cpu")
    prepare_store(
        open_corpus("deap", corpus), folder / "store",
        PrepareConfig(face_side=SIDE, frames_per_window=3, store_faces=kept),
    )  # fmt: skip
    store = open_store(folder / "store")
    common = {"target": "valence", "modality": "facebio", "model": model, "train": train}
    cross_validate(store, folder / "run", CrossvalConfig(folds=2, stratify=True, **common))
    explain_run(store, folder / "run", ExplainConfig(windows=6, grid=2))
    write_report([folder / "run"], folder / "report")
    train_model(store, folder / "model", FinalConfig(**common))
    video = next((corpus / "face_video").rglob("*.avi"))
    assert predict_many(folder / "model", FileSource([video]), folder / "prediction").bad == 0
    return folder


@pytest.fixture(scope="module", params=["pixels", "features"])
def left(request, corpus, tmp_path_factory):
    """What is kept of a face, and the folder of all that a journey wrote."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "temporary").mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder / "temporary")
    try:
        return request.param, journey(corpus, folder, request.param)
    finally:
        tempfile.tempdir = before


def rows_of(pictures: np.ndarray) -> set[bytes]:
    """Runs of 16 neighbouring pixels of pictures (n, H, W, 3) that are no uniform area."""
    _, height, width, _ = pictures.shape
    runs = {
        picture[y, x : x + 16].tobytes()
        for picture in pictures
        for y in range(0, height, 3)
        for x in range(0, width - 16, 16)
    }
    return {run for run in runs if len(set(run)) > 12}


@pytest.fixture(scope="module")
def faces(corpus, tmp_path_factory):
    """The aligned faces of the film, (n, S, S, 3) uint8."""
    folder = tmp_path_factory.mktemp("aligned") / "store"
    prepare_store(open_corpus("deap", corpus), folder, PrepareConfig(face_side=SIDE, frames_per_window=3))
    store = open_store(folder)
    return store.read(np.arange(len(store)))[0].reshape(-1, SIDE, SIDE, 3)


def test_no_row_of_pixels_of_a_face_is_in_any_file(corpus, faces, left):
    kept, folder = left
    video = next((corpus / "face_video").rglob("*.avi"))
    film = np.stack([rgb for _, rgb in read_frames(video, np.arange(0, 100, 25), info=probe(video))])
    runs = [*rows_of(faces), *rows_of(film[:, 100:400, 200:500])]
    assert len(runs) > 1000
    some = [runs[k] for k in np.random.default_rng(0).permutation(len(runs))[:1000]]
    content = b"\0".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())
    assert sum(run in content for run in some) > 100 if kept == "pixels" else not any(run in content for run in some)


def pictures_in(folder: Path):
    """Yield each PNG of a folder, as a file or within a page, as (H, W, 3) uint8."""
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".png":
            yield file.name, rgb_of(file.read_bytes())
        if file.suffix in (".html", ".md"):
            for code in re.findall(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=]+)", file.read_text()):
                yield file.name, rgb_of(base64.b64decode(code))


def rgb_of(content: bytes) -> np.ndarray:
    picture = imread(io.BytesIO(content))
    picture = picture if picture.dtype == np.uint8 else (255 * picture).round().astype(np.uint8)
    picture = np.stack([picture] * 3, axis=-1) if picture.ndim == 2 else picture
    return np.ascontiguousarray(picture[..., :3])


def likeness(picture: np.ndarray, face: np.ndarray) -> float:
    """Return the largest correlation of a face (S, S) with a part of a picture (H, W, 3), over several sizes."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    largest = -1.0
    for side in (40, 52, 64, 80, 100, 128, 160):
        if side <= min(grey.shape):
            here = cv2.matchTemplate(grey, cv2.resize(face, (side, side)), cv2.TM_CCOEFF_NORMED)
            largest = max(largest, float(here[np.isfinite(here)].max(initial=-1)))
    return largest


def test_no_picture_looks_like_the_face(faces, left):
    kept, folder = left
    face = faces.mean(axis=0).astype(np.uint8) @ np.array([0.299, 0.587, 0.114])
    pictures = list(pictures_in(folder))
    assert len(pictures) >= 5
    likenesses: dict[str, float] = {}
    for name, picture in pictures:
        likenesses[name] = max(likenesses.get(name, -1), likeness(picture, face.astype(np.uint8)))
    alike = {name for name, value in likenesses.items() if value > 0.8}
    assert alike >= {"face.png", "timeline.html", "timeline.png"} if kept == "pixels" else not alike


def test_no_file_has_the_name_of_a_picture_of_a_face(left):
    kept, folder = left
    names = {file.name for file in folder.rglob("*")}
    assert ("face.png" in names) == (kept == "pixels") == any("saliency" in name for name in names)
    assert not [*(folder / "temporary").iterdir()]
