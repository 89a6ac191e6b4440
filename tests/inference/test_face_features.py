"""Models that read features of faces: the same windows as in training, from a video or from a corpus' own features."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gbvnet.config import (
    CrossvalConfig,
    FinalConfig,
    GBVNetConfig,
    ModelConfig,
    PrepareConfig,
    SynthConfig,
    TrainConfig,
)
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.errors import BadConfig, BadModel
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.train import train_model
from gbvnet.inference.batch import CorpusSource, FileSource, predict_many
from gbvnet.inference.predict import predict_recording
from gbvnet.inference.predictor import Predictor
from gbvnet.inference.streaming.emotion_stream import EmotionStream
from gbvnet.io.landmark_model import landmark_model_path
from gbvnet.io.video import probe, read_frames
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.model import GBVNet
from gbvnet.preprocessing.face_features import EXPRESSIONS, MEDIAPIPE_FEATURES
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from ..store.test_prepared_faces import FEATURES, NAMES, FeatureCorpus

TRAIN = TrainConfig(epochs=1, batch_size=4, device="cpu")
OF_FEATURES = ModelConfig(variant="micro", face_input="features")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A synthetic subject with 8 trials of 2 s, a store of features, one of pictures, and a run on features."""
    try:
        landmark_model_path()
    except BadModel as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("filmed")
    write_synthetic("deap", root / "deap", SynthConfig(subjects=1, trials=8, seconds=2, seed=1))
    config = PrepareConfig(frames_per_window=3, store_faces="features")
    prepare_store(open_corpus("deap", root / "deap"), root / "store", config)
    config = CrossvalConfig(folds=2, stratify=True, target="valence", model=OF_FEATURES, train=TRAIN)
    cross_validate(open_store(root / "store"), root / "run", config)
    return root


@pytest.mark.journey
def test_a_window_of_a_corpus_is_given_what_its_cross_validation_gave_it(filmed, tmp_path):
    reports = pd.read_parquet(filmed / "run/predictions.parquet").query("fold == 1")
    names = tuple(reports["recording"].unique())
    source = CorpusSource("deap", filmed / "deap", recordings=names)
    assert predict_many(filmed / "run/fold01/valence/model", source, tmp_path / "out").bad == 0
    for name in names:
        written = pd.read_csv(tmp_path / "out" / name / "emotions.csv")
        mine = reports[reports["recording"] == name].sort_values("window")
        assert written["valence"].to_numpy() == pytest.approx(mine["p"].to_numpy(), abs=1e-5)
        assert written["gate_face"].to_numpy() == pytest.approx(mine["gate_face"].to_numpy(), abs=1e-5)
        assert (written["face_ok"] == 1).all()
        pictures = re.findall(
            r"data:image/png;base64,[\w+/=]{200,}", (tmp_path / "out" / name / "timeline.html").read_text()
        )
        assert not pictures  # but a blank pixel of the plotting library


@pytest.mark.journey
def test_a_stream_of_frames_gives_what_the_video_gives(filmed, tmp_path):
    model, video = filmed / "run/fold01/valence/model", filmed / "deap/face_video/s01/s01_trial01.avi"
    predict_many(model, FileSource([video]), tmp_path / "out")
    offline = pd.read_csv(tmp_path / "out/emotions.csv")["valence"].to_numpy()
    info, rows = probe(video), []
    with EmotionStream(Predictor(model)) as stream:
        for number, rgb in read_frames(video, np.arange(info.n_frames), info=info):
            rows += stream.frame(rgb, info.time_s(number))
        rows += stream.finish()
    assert [row["valence"] for row in rows] == pytest.approx(offline.tolist(), abs=1e-4)
    assert not any("face" in row["flags"] for row in rows)


def write_model(folder, names, **about):
    torch.manual_seed(0)
    config = GBVNetConfig(
        modality="face", face_input="features", n_face_features=len(names), n_frames=3, variant="micro"
    )
    given = {
        "prepare": {"store_faces": "features"}, "channels": [], "rate_hz": 128.0, "samples_per_window": 128,
        "frames_per_window": 3, "face_side": 0, "baseline_s": 3.0, "targets": ["valence"],
        "face_features": list(names),
    }  # fmt: skip
    save_model(folder, GBVNet(config), given | about)
    return folder


@pytest.mark.journey
def test_a_model_of_the_expression_alone_reads_it_from_a_video(filmed, tmp_path):
    model = write_model(tmp_path / "model", EXPRESSIONS)
    video = filmed / "deap/face_video/s01/s01_trial01.avi"
    assert predict_many(model, FileSource([video]), tmp_path / "out").bad == 0
    store = open_store(filmed / "store")
    rows = store.windows.query("recording == 's01_trial01'").index.to_numpy()
    network = load_model(model)[0]
    wanted = network(torch.from_numpy(store.expression(rows)), None, None).logits.sigmoid()[:, 0].tolist()
    assert pd.read_csv(tmp_path / "out/emotions.csv")["valence"].tolist() == pytest.approx(wanted, abs=1e-4)


def test_features_of_other_software_cannot_be_measured_in_a_video(tmp_path):
    model = Predictor(write_model(tmp_path / "model", NAMES))
    message = r"reads 3 features of a face that other software measured \(AU12_r, AU45_r, pose_Rx, ...\)"
    with pytest.raises(BadConfig, match=message):
        EmotionStream(model)
    corpus = open_corpus_of_video(tmp_path)
    with pytest.raises(BadConfig, match=f"^a: this model {message}, and they cannot be measured in a video here"):
        predict_recording(model, corpus, corpus.recordings("s1")[0])


def open_corpus_of_video(folder):
    """As FeatureCorpus, but with videos and other features."""

    class Filmed(FeatureCorpus):
        face_feature_names = ("smile",)
        has_videos = True

        def recordings(self, unit):
            return [replace(r, video=folder / "a.avi", signals=None) for r in super().recordings(unit)]

    return Filmed(folder)


@pytest.mark.journey
def test_a_corpus_that_brings_the_features_of_the_model_is_predicted(tmp_path):
    for name in ("a.csv", "b.csv", "signals"):
        (tmp_path / name).write_text("as a corpus has it")
    corpus = FeatureCorpus(tmp_path)
    prepare_store(corpus, tmp_path / "store", FEATURES)
    store = open_store(tmp_path / "store")
    model = Predictor(write_model(tmp_path / "model", NAMES, frames_per_window=3))
    prediction = predict_recording(model, corpus, corpus.recordings("s1")[0])
    features, ok = prediction.table["valence"], prediction.table["face_ok"]
    assert features.notna().all() and ok.round(2).tolist() == [1, 0.67, 0.67] and prediction.faces == ()
    assert "valence" in prediction.table and len(store) == 9
    with pytest.raises(BadConfig, match="none: the model uses face: give it face features"):
        predict_recording(model, corpus, corpus.recordings("s1")[2])


@pytest.mark.journey
def test_a_model_whose_names_do_not_fit_its_network_is_refused(tmp_path):
    write_model(tmp_path / "model", NAMES, face_features=["AU12_r"])
    with pytest.raises(BadModel, match="expected 3 face_features, as the network has, found 1"):
        Predictor(tmp_path / "model")
    write_model(tmp_path / "none", NAMES, face_features=[])
    with pytest.raises(BadModel, match="expected 3 face_features, as the network has, found 0"):
        Predictor(tmp_path / "none")


@pytest.mark.journey
def test_a_model_for_use_says_what_it_reads(filmed, tmp_path):
    config = FinalConfig(target="valence", modality="face", model=OF_FEATURES, train=TRAIN)
    train_model(open_store(filmed / "store"), tmp_path / "model", config)
    network, about = load_model(tmp_path / "model")
    assert network.reads_features and about["face_features"] == [*MEDIAPIPE_FEATURES]
    assert about["prepare"]["store_faces"] == "features" and "face_statistics" not in about
    assert "head_pitch" in (tmp_path / "model/README.md").read_text()
