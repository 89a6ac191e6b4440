"""The synthetic DREAMER: a file as the real one is, whole, the same each time, with an effect in other subjects too."""

import json

import numpy as np
import pytest
import scipy.io
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbvnet.config import PrepareConfig, from_dict
from gbvnet.datasets import open_corpus, synthetic_settings, write_synthetic
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.synthetic.dreamer import Settings
from gbvnet.errors import BadConfig
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SMALL = {"subjects": 2, "trials": 3, "seconds": 4}


def accuracies(tmp_path, **settings):
    """Of windows of subjects that were not trained on, by log power of alpha and fast activity: valence, arousal."""
    write_synthetic("dreamer", tmp_path / "corpus", Settings(subjects=6, trials=6, seconds=6, **settings))
    prepare_store(open_corpus("dreamer", tmp_path / "corpus"), tmp_path / "store", PrepareConfig(faces=False))
    store = open_store(tmp_path / "store")
    power = np.abs(np.fft.rfft(store.read(np.arange(len(store)), faces=False)[2][:, :14].astype(float))) ** 2
    features = np.log(np.concatenate([power[..., 8:13].sum(2), power[..., 18:36].sum(2)], axis=1) + 1e-9)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = []
    for target in ("valence", "arousal"):
        y = (store.windows[target] >= 3).to_numpy()
        p = cross_val_predict(model, features, y, cv=GroupKFold(6), groups=store.windows["subject"])
        scores.append(float((p == y).mean()))
    return scores


@pytest.mark.journey
def test_the_file_has_the_fields_and_shapes_of_the_real_one(tmp_path):
    write_synthetic("dreamer", tmp_path, Settings(**SMALL))
    top = scipy.io.loadmat(tmp_path / "DREAMER.mat")["DREAMER"][0, 0]
    assert set(top.dtype.names) >= {
        "Data", "EEG_SamplingRate", "ECG_SamplingRate", "EEG_Electrodes", "noOfSubjects", "noOfVideoSequences"
    }  # fmt: skip
    assert top["Data"].shape == (1, 2)
    first, second = (top["Data"][0, k][0, 0] for k in range(2))
    assert first["Age"].dtype.kind == "U" and second["Age"].dtype.kind in "fu"
    for field in ("ScoreValence", "ScoreArousal", "ScoreDominance"):
        assert first[field].shape == (3, 1) and set(first[field].ravel()) <= {1, 2, 3, 4, 5}
    eeg, ecg = first["EEG"][0, 0], first["ECG"][0, 0]
    assert eeg["stimuli"].shape == ecg["baseline"].shape == (3, 1)
    assert (eeg["baseline"][0, 0].shape, ecg["baseline"][0, 0].shape) == ((7808, 14), (15616, 2))
    assert [x.shape for x in eeg["stimuli"].ravel()] == [(128 * s, 14) for s in (5, 6, 4)]
    assert [x.shape for x in ecg["stimuli"].ravel()] == [(256 * s, 2) for s in (5, 6, 4)]
    assert 3000 < np.median(eeg["stimuli"][0, 0]) < 5000


@pytest.mark.journey
def test_the_recordings_are_the_truth_and_the_bytes_are_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        write_synthetic("dreamer", tmp_path / name, Settings(**SMALL))
    assert (tmp_path / "a/DREAMER.mat").read_bytes() == (tmp_path / "b/DREAMER.mat").read_bytes()
    truth = {t["recording"]: t for t in json.loads((tmp_path / "a/SYNTHETIC.json").read_text())["truth"]}
    recordings = [r for unit in check_corpus(open_corpus("dreamer", tmp_path / "a")) for r in unit.recordings]
    assert {r.name: r.ratings for r in recordings} == {name: t["ratings"] for name, t in truth.items()}
    assert not any(r.error or r.warnings for r in recordings)
    for t in truth.values():
        assert all((t["ratings"][target] > 3) == (t["signals"][target] > 0) for target in ("valence", "arousal"))


@pytest.mark.journey
def test_what_is_planted_is_there_for_other_subjects_too_and_without_it_nothing(tmp_path):
    assert min(accuracies(tmp_path)) > 0.67
    assert max(abs(score - 0.5) for score in accuracies(tmp_path / "null", effect=0.0)) < 0.15


@pytest.mark.journey
def test_version_7_3_is_written_too(tmp_path):
    pytest.importorskip("h5py")
    for name, mat73 in (("five", False), ("seven", True)):
        write_synthetic("dreamer", tmp_path / name, Settings(**SMALL, mat73=mat73))
    assert (tmp_path / "seven/DREAMER.mat").read_bytes().startswith(b"MATLAB 7.3")
    one, other = (open_corpus("dreamer", tmp_path / name) for name in ("five", "seven"))
    for a, b in zip(one.recordings("s02"), other.recordings("s02"), strict=True):
        assert (a.name, a.ratings, a.scales) == (b.name, b.ratings, b.scales)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"videos": 2}, "videos must be left out or 0, not 2: DREAMER has none"),
        ({"face": 0.5}, r"face must be left out, and is 0\.5"),
        ({"evidence": ("Cz",)}, "evidence: no EEG channel Cz"),
        ({"subjects": 24}, "subjects must be 1 to 23 here, not 24"),
    ],
)
def test_settings_that_this_format_has_not_are_refused(settings, message):
    with pytest.raises(BadConfig, match=message):
        from_dict(synthetic_settings("dreamer"), settings)
