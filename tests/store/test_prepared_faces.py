"""Stores of face features: from videos by MediaPipe, or from a corpus that brings them; and no picture anywhere."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from gbvnet.config import PrepareConfig, SynthConfig, stored_settings
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.label_columns import RATING_COLUMNS
from gbvnet.datasets.recording import Channel, FaceFeatures, Recording, Signals
from gbvnet.errors import BadConfig, BadStore
from gbvnet.preprocessing.face_features import EXPRESSIONS, MEDIAPIPE_FEATURES
from gbvnet.store.prepare import prepare_store
from gbvnet.store.prepared_faces import own_features
from gbvnet.store.reader import open_store
from gbvnet.store.writer import create_store

from .test_prepare import landmarks

NAMES = ("AU12_r", "AU45_r", "pose_Rx")


@dataclass(frozen=True)
class FeatureCorpus:
    """A corpus without video: features at 38 Hz, with a gap, frames without a face, and a recording without any."""

    folder: Path
    dataset = "measured"
    source = ""
    synthetic = True
    rate_hz, baseline_s, frames_per_s = 128.0, 0.0, 5
    channels = (Channel("GSR", "gsr"),)
    labels = RATING_COLUMNS[:2]
    face_feature_names = NAMES
    has_videos = False
    units = ("s1",)

    def notes(self, unit=None):
        return ()

    def recordings(self, unit):
        names = {"a": 3.0, "b": 3.0, "none": 5.0}
        common = {"dataset": "measured", "subject": "s1", "seconds": 3.0, "signals": self.folder / "signals"}
        return [
            Recording(name, trial=name, stimulus=name, ratings={"valence": rating}, **common,
                      face_features=None if name == "none" else self.folder / f"{name}.csv")
            for name, rating in names.items()
        ]  # fmt: skip

    def inspect(self, recording):
        return recording

    def signals(self, recording):
        return Signals(np.ones((1, 3 * 128)), 128.0, 0.0, self.channels)

    def face_features(self, recording):
        times = np.arange(0, 3, 1 / 38)
        values = np.stack([times, 10 * times, np.full_like(times, recording.name == "a")], axis=1)
        values[(times > 1.05) & (times < 1.5)] = np.nan  # no face
        keep = times < 2.25  # then the camera stopped
        return FaceFeatures(times[keep], values[keep])


@pytest.fixture
def corpus(tmp_path):
    for name in ("a.csv", "b.csv", "signals"):
        (tmp_path / name).write_text("as a corpus has it")
    return FeatureCorpus(tmp_path)


FEATURES = PrepareConfig(store_faces="features", filter=False, baseline="none")


@pytest.mark.journey
def test_features_that_a_corpus_brings_are_stored_by_the_nearest_frame(corpus, tmp_path):
    summary = prepare_store(corpus, tmp_path / "store", FEATURES)
    assert (summary.n_prepared, summary.bad) == (3, [])
    store = open_store(tmp_path / "store")
    assert store.face_feature_names == NAMES and not store.has_pixels and store.settings["frames_per_window"] == 5
    rows = store.windows.query("recording == 'a'").index.to_numpy()
    features, ok = store.face_features(rows), store.face_ok(rows)
    wanted = np.arange(3)[:, None] + np.arange(5) / 5
    no_face = (wanted > 1.1) & (wanted < 1.5) | (wanted > 2.3)
    assert np.array_equal(ok, ~no_face) and np.isnan(features[no_face]).all()
    assert np.abs(features[ok][:, 0] - wanted[ok]).max() <= 0.5 / 38 + 1e-6
    assert features[ok][:, 1] == pytest.approx(10 * features[ok][:, 0], rel=1e-6)
    assert store.windows.groupby("recording")["has_face"].all().to_dict() == {"a": True, "b": True, "none": False}
    assert np.isnan(store.expression(rows)).all()  # these are MediaPipe's


@pytest.mark.journey
def test_a_changed_file_of_features_is_noticed(corpus, tmp_path):
    prepare_store(corpus, tmp_path / "store", FEATURES)
    (corpus.folder / "a.csv").write_text("corrected")
    summary = prepare_store(corpus, tmp_path / "store", FEATURES)
    assert (summary.n_prepared, summary.n_reused) == (1, 2)


@pytest.mark.journey
def test_a_recording_in_which_no_frame_shows_a_face_is_refused_alone(corpus, tmp_path, monkeypatch):
    original = FeatureCorpus.face_features

    def no_face_in_b(self, recording):
        times, values = original(self, recording)
        return FaceFeatures(times, values * np.nan if recording.name == "b" else values)

    monkeypatch.setattr(FeatureCorpus, "face_features", no_face_in_b)
    summary = prepare_store(corpus, tmp_path / "store", FEATURES)
    assert summary.n_prepared == 2 and "a face in at least one of 15 frames, found none" in summary.bad[0]


def test_another_number_of_features_than_declared_is_refused(corpus, tmp_path, monkeypatch):
    given = FaceFeatures(np.arange(0, 3, 0.1), np.zeros((30, 4)))
    monkeypatch.setattr(FeatureCorpus, "face_features", lambda self, recording: given)
    summary = prepare_store(corpus, tmp_path / "store", FEATURES)
    assert "expected 3 face features a frame, found 4" in summary.bad[0]


@pytest.mark.journey
def test_pictures_of_a_corpus_that_has_none_are_refused_before_any_work(corpus, tmp_path):
    with pytest.raises(BadConfig, match="measured has no video, but face features"):
        prepare_store(corpus, tmp_path / "store", replace(FEATURES, store_faces="pixels"))
    with pytest.raises(BadConfig, match="brings face features of its own"):
        prepare_store(corpus, tmp_path / "store", replace(FEATURES, store_faces="both"))
    summary = prepare_store(corpus, tmp_path / "store", replace(FEATURES, store_faces="pixels", faces=False))
    assert summary.n_prepared == 3 and not open_store(tmp_path / "store").windows["has_face"].any()


def test_a_reader_that_lacks_a_part_of_the_contract_is_refused(corpus, tmp_path):
    class Half:
        face_feature_names = NAMES

    with pytest.raises(BadConfig, match="Half has face_feature_names, and no has_videos and no face_features"):
        own_features(Half())
    with pytest.raises(BadConfig, match="face_feature_names has AU12_r more than once"):
        own_features(type("Twice", (FeatureCorpus,), {"face_feature_names": (*NAMES, "AU12_r")})(tmp_path))
    assert own_features(corpus) is corpus and own_features(None) is None


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(BadConfig, match="store_faces is features, and faces are switched off"):
        PrepareConfig(store_faces="features", faces=False)
    with pytest.raises(BadConfig, match="store_faces both needs landmarks mediapipe"):
        PrepareConfig(store_faces="both", landmarks="dlib")


# ---------------------------------------------------------------- from videos


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("filmed")
    write_synthetic("deap", root / "deap", SynthConfig(subjects=1, trials=2, seconds=2, videos=1))
    for kept in ("pixels", "features", "both"):
        config = PrepareConfig(face_side=32, frames_per_window=3, store_faces=kept)
        prepare_store(open_corpus("deap", root / "deap"), root / kept, config)
    return root, {kept: open_store(root / kept) for kept in ("pixels", "features", "both")}


@pytest.mark.journey
@landmarks
def test_what_is_kept_of_a_film_is_the_same_in_every_store(stores):
    pixels, features, both = stores[1].values()
    rows = np.arange(len(pixels))
    assert (pixels.has_pixels, features.has_pixels, both.has_pixels) == (True, False, True)
    assert pixels.face_feature_names == EXPRESSIONS
    assert features.face_feature_names == both.face_feature_names == MEDIAPIPE_FEATURES
    assert np.array_equal(pixels.read(rows)[0], both.read(rows)[0])
    assert np.array_equal(features.face_features(rows), both.face_features(rows))
    for store in (features, both):
        assert np.array_equal(store.expression(rows), pixels.expression(rows))
        assert np.array_equal(store.face_ok(rows), pixels.face_ok(rows))
    assert len({store.digest for store in stores[1].values()}) == 3


@pytest.mark.journey
@landmarks
def test_a_store_of_pictures_is_what_it_was_before_there_were_others(stores):
    settings = json.loads((stores[0] / "pixels/store.json").read_text())
    assert "store_faces" not in settings["prepare"] and "face_features" not in settings
    store = stores[1]["pixels"]
    named = {**store.settings, "prepare": {**store.settings["prepare"], "store_faces": "pixels"}}
    before, store.settings = store.digest, named
    assert store.digest == before


@pytest.mark.journey
@landmarks
def test_another_kind_of_faces_is_another_store(stores, tmp_path):
    root = stores[0]
    with pytest.raises(BadStore, match=r'prepare.store_faces = "features", found one made with "pixels"'):
        prepare_store(
            open_corpus("deap", root / "deap"), root / "pixels",
            PrepareConfig(face_side=32, frames_per_window=3, store_faces="features"),
        )  # fmt: skip


@pytest.mark.journey
@landmarks
def test_no_picture_of_a_face_is_in_any_file_of_a_store_of_features(stores):
    root, of_kind = stores
    pictures = of_kind["pixels"].read(np.arange(len(of_kind["pixels"])))[0]
    rows = {pictures[w, f, y, 8:24].tobytes() for w, f, y in np.ndindex(*pictures.shape[:2], 32)}
    rows = {row for row in rows if len(set(row)) > 8}  # 16 neighbouring pixels that are no uniform area
    assert len(rows) > 100

    def pictures_in(folder: Path) -> bool:
        content = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
        return any(row in content for row in rows)

    assert pictures_in(root / "pixels") and pictures_in(root / "both") and not pictures_in(root / "features")


def test_a_store_is_continued_only_with_its_own_number_of_frames_between_landmarks(tmp_path):
    def settings(**prepare):
        return {
            "dataset": "simulated", "synthetic": True, "prepare": stored_settings(PrepareConfig(**prepare)),
            "channels": [["E1", "eeg"]], "rate_hz": 128.0, "samples_per_window": 128, "frames_per_window": 10,
            "face_side": 64, "baseline_s": 3.0, "versions": {"gbvnet": "0"}, "labels": {"valence": {"scale": [1, 9]}},
        }  # fmt: skip

    create_store(tmp_path / "every", settings())
    create_store(tmp_path / "every", settings(landmark_every=1))
    with pytest.raises(BadStore, match=r"prepare.landmark_every = 2, found one made with 1"):
        create_store(tmp_path / "every", settings(landmark_every=2))
    create_store(tmp_path / "second", settings(landmark_every=2))
    with pytest.raises(BadStore, match=r"prepare.landmark_every = 1, found one made with 2"):
        create_store(tmp_path / "second", settings())
