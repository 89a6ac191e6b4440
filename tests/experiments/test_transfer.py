"""From one corpus to another: only what both have is seen, nobody is on both sides, and the run is like any other."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig, ModelConfig, SplitConfig, TrainConfig
from gbvnet.errors import BadConfig, BadRun, BadStore, LeakySplit
from gbvnet.evaluation import predictions, splits
from gbvnet.evaluation.metrics import auc
from gbvnet.evaluation.plan import make_plan_without_folds
from gbvnet.experiments import crossval
from gbvnet.experiments.transfer import transfer
from gbvnet.network.checkpoint.checkpoint import load_model
from gbvnet.report.report import write_report
from gbvnet.store.format import data_file, read_header
from gbvnet.store.joined import join, training_store
from gbvnet.store.reader import open_store
from gbvnet.store.subset import nearest_frames
from gbvnet.store.writer import create_store, finish_store, write_recording

from ..synthetic_store import CHANNELS, write_store
from .test_crossval import LogPower

CONFIG = CrossvalConfig(
    target="valence",
    modality="bio",
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=2, batch_size=16, device="cpu"),
)
# Of the second store: its channels, and which one of the first's each is. Resp has another kind, and Oz is not there.
OTHER = (("Resp", "temp"), ("cz", "eeg"), ("GSR1", "gsr"), ("FZ", "eeg"), ("EXG1", "ecg"))
TAKEN = [4, 1, 3, 0, 2]


def as_other(held, path, frames=3, scale=1.0, **settings):
    """The same recordings as a store of another corpus: other names and order of channels, other frames."""
    prepare = held.settings["prepare"] | {"faces": frames > 0, "frames_per_window": frames or 10}
    prepare |= settings.pop("prepare", {})
    made = held.settings | {"dataset": "mahnob", "channels": [list(c) for c in OTHER], "frames_per_window": frames}
    create_store(path, made | {"prepare": prepare} | settings)
    recordings = []
    for name in held.recordings["recording"]:
        tensors, about, _ = read_header(data_file(held.path, name))
        rows = np.flatnonzero(held.windows["recording"] == name)
        faces, ok, signals = held.read(rows)
        arrays = {}
        if "signals" in tensors:
            arrays["signals"] = scale * signals[:, TAKEN]
            arrays["baseline"] = scale * held.baseline(name)[TAKEN]
        if "faces" in tensors and frames:
            at = np.arange(frames) * faces.shape[1] // frames
            arrays |= {"faces": faces[:, at], "face_ok": ok[:, at]}
            arrays["faces"][:, :, 0, 0, 0] = np.arange(frames)  # each frame tells which one it is
        recordings.append(write_recording(path, name, arrays, about))
    finish_store(path, recordings)
    return open_store(path)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr("gbvnet.parallel.tasks.available_cores", lambda: 1)


@pytest.fixture(scope="module")
def deap(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("a") / "deap.store", seed=1, windows=4)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """What the second store is made of."""
    return write_store(tmp_path_factory.mktemp("raw") / "store", subjects=3, seed=2, windows=4)


@pytest.fixture(scope="module")
def mahnob(raw, tmp_path_factory):
    return as_other(raw, tmp_path_factory.mktemp("b") / "mahnob.store")


@pytest.fixture
def log_power(monkeypatch):
    monkeypatch.setattr(crossval, "system", lambda name: LogPower)
    monkeypatch.setattr(LogPower, "fitted", 0)
    monkeypatch.setattr(LogPower, "fail_on", ())
    return LogPower


# What is seen of two stores


@pytest.mark.journey
def test_channels_are_shared_by_name_and_kind_in_the_first_ones_order_and_tell_the_very_samples(deap, raw, mahnob):
    joined, notes = join(deap, mahnob, faces=True, signals=True)
    assert joined.settings["channels"] == [["Fz", "eeg"], ["Cz", "eeg"], ["GSR1", "gsr"]]
    assert [name for name, _ in joined.second.settings["channels"]] == ["FZ", "cz", "GSR1"]
    assert "channels: 3 of the 5 of deap and the 5 of mahnob are shared: Fz, Cz, GSR1" in notes
    n = len(deap)
    rows = [n + 7, 3, n, 5, n + 8]  # of both, in no order
    signals = joined.read(rows, faces=False)[2]
    for row, samples in zip(rows, signals, strict=True):
        expected = (deap if row < n else raw).read([row % n], faces=False)[2][0]
        assert np.array_equal(samples, expected[[0, 1, 3]])  # raw has the first store's order
    name = joined.windows["recording"][n + 7]
    assert np.array_equal(joined.baseline(name), raw.baseline(name.removeprefix("mahnob."))[[0, 1, 3]])


@pytest.mark.journey
def test_the_store_with_more_frames_gives_those_nearest_in_time(deap, mahnob):
    assert nearest_frames(12, 10).tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]  # 0, 1.2, 2.4, 3.6, ..., 10.8
    assert nearest_frames(3, 2).tolist() == [0, 2]  # 0, 1.5
    for have in range(1, 40):
        for wanted in range(1, have + 1):
            frames = nearest_frames(have, wanted)
            assert frames.max() < have
            assert len(set(frames.tolist())) == wanted
    joined, notes = join(deap, mahnob, faces=True, signals=True)
    n = len(deap)
    faces, ok, _ = joined.read([n, 0])
    assert faces.shape[:2] == ok.shape == (2, 2)
    assert faces[0, :, 0, 0, 0].tolist() == [0, 2]
    assert np.array_equal(faces[1], deap.read([0])[0][0])
    assert "face: the 2 of mahnob's 3 frames a window nearest in time are used" in notes
    assert joined.settings["frames_per_window"] == joined.second.settings["prepare"]["frames_per_window"] == 2


@pytest.mark.journey
def test_a_window_whose_good_frames_are_all_left_out_has_no_face(deap, raw, tmp_path, monkeypatch):
    sound = raw.read

    def only_the_middle(rows, *more):
        faces, ok, signals = sound(rows, *more)
        return faces, np.zeros_like(ok), signals

    monkeypatch.setattr(raw, "read", only_the_middle)
    other = as_other(raw, tmp_path / "other")
    joined, _ = join(deap, other, faces=True, signals=True)
    assert other.windows["has_face"].all()  # as its table says
    assert not joined.windows["has_face"][len(deap) :].any()
    assert joined.windows["has_face"][: len(deap)].all()


@pytest.mark.journey
def test_names_of_two_corpora_stay_separate_also_in_another_process(deap, mahnob):
    joined, _ = join(deap, mahnob, faces=False, signals=True)
    again = pickle.loads(pickle.dumps(joined))
    for held in (joined, again):
        assert set(held.windows["subject"]) == {f"deap.s0{i}" for i in range(1, 5)} | {
            f"mahnob.s0{i}" for i in range(1, 4)
        }
        assert held.title == "deap -> mahnob (synthetic data)"
        assert held.digest == joined.digest
    assert np.array_equal(again.read([0, 100])[2], joined.read([0, 100])[2])
    assert training_store(joined).title == deap.title
    assert training_store(joined).digest == deap.digest
    assert training_store(deap) is deap
    assert join(mahnob, deap, faces=False, signals=True)[0].digest != joined.digest


@pytest.mark.journey
def test_what_is_not_needed_may_differ(deap, raw, tmp_path):
    other = as_other(raw, tmp_path / "other", face_side=64)
    joined, _ = join(deap, other, faces=False, signals=True)
    assert not joined.settings["prepare"]["faces"]
    assert not joined.windows["has_face"].any()
    slow = as_other(raw, tmp_path / "slow", rate_hz=16.0)
    joined, notes = join(deap, slow, faces=True, signals=False)
    assert joined.settings["channels"] == []
    assert not joined.settings["prepare"]["signals"]
    assert not any("shared" in note for note in notes)


@pytest.mark.journey
def test_what_was_prepared_differently_but_fits_is_reported(deap, raw, tmp_path):
    other = as_other(raw, tmp_path / "other", prepare={"baseline": "none"})
    assert "baseline differs: mean in deap, none in mahnob" in join(deap, other, faces=False, signals=True)[1]


@pytest.mark.parametrize(
    ("settings", "needs", "message"),
    [
        ({"face_side": 64}, (True, False), r"face_side 32, .* found 64. .*--face_side 32`, or .* `--face_side 64`"),
        ({"prepare": {"window_s": 2.0}}, (False, True), r"window_s 1.0, .* found 2.0. .*--window_s 1.0`"),
        ({"rate_hz": 16.0}, (False, True), r"rate_hz 32.0, .* found 16.0. No option .* modality face"),
        ({"frames": 0}, (True, False), r"a store with faces, found one without. .*--faces true"),
    ],
)
def test_stores_that_do_not_fit_are_refused_with_the_option_that_makes_them(
    deap, raw, tmp_path, settings, needs, message
):
    with pytest.raises(BadStore, match=message):
        join(deap, as_other(raw, tmp_path / "other", **settings), *needs)


@pytest.mark.journey
def test_a_store_and_itself_or_one_without_a_channel_in_common_are_refused(deap, raw, tmp_path):
    with pytest.raises(BadConfig, match="hold the same windows"):
        join(deap, open_store(deap.path), False, True)
    other = as_other(raw, tmp_path / "other", channels=[[f"x{i}", "eeg"] for i in range(len(CHANNELS))])
    with pytest.raises(BadConfig, match=r"share no channel of the same name and kind: Fz, Cz, .*; x0, x1"):
        join(deap, other, False, True)


# Who is tested


def test_the_fold_keeps_trials_back_and_tests_all_of_the_second_store(deap, mahnob):
    joined, _ = join(deap, mahnob, faces=False, signals=True)
    windows = make_plan_without_folds(joined, CONFIG).windows
    test = windows.index.to_numpy() >= len(deap)
    fold = splits.hold_out(windows, test, SplitConfig(protocol="subject+stimulus", validation=0.25))
    assert fold.test.tolist() == list(range(len(deap), len(joined)))
    assert sorted([*fold.train, *fold.validation]) == list(range(len(deap)))
    trials = splits.group_names(windows, "trial")
    kept, trained = set(trials[fold.validation]), set(trials[fold.train])
    assert len(kept) == 6  # a quarter of 24
    assert kept.isdisjoint(trained)
    named = splits.names(windows, fold, "subject+stimulus")
    assert named["inner"] == sorted(kept)
    assert named["train"][:1] == ["subject deap.s01"]
    assert {name.split(".")[0] for name in named["test"]} == {"subject mahnob", "stimulus mahnob"}
    assert set(named["train"]).isdisjoint(named["test"])


def test_training_refuses_a_fold_whose_sides_share_what_they_must_not(deap, mahnob):
    joined, _ = join(deap, mahnob, faces=False, signals=True)
    windows = joined.windows
    test = windows.index.to_numpy() >= len(deap)
    fold = splits.hold_out(windows, test, SplitConfig(protocol="subject+stimulus"))
    broken = replace(fold, validation=np.append(fold.validation, fold.train[0]))
    with pytest.raises(LeakySplit, match=r"protocol trial: trial deap.s0\d/\d\d on both the training and the valid"):
        splits.check_fold(windows, broken, "subject+stimulus")
    broken = replace(fold, validation=np.append(fold.validation, fold.test[0]))
    with pytest.raises(LeakySplit, match=r"protocol subject\+stimulus: subject mahnob.s01 on both the training and"):
        splits.check_fold(windows, broken, "subject+stimulus")


def test_two_stores_of_one_corpus_share_subjects_and_are_refused(deap, raw, tmp_path):
    with pytest.raises(
        LeakySplit, match=r"of one corpus, deap, .* subjects s01, s02, s03 on both the training and the te"
    ):
        transfer(deap, raw, tmp_path / "run", CONFIG)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "setting", [{"folds": 5}, {"stratify": True}, {"subjects": ("s01",)}, {"protocol": "window"}, {"fixed": "deap-v1"}]
)
def test_settings_of_folds_are_refused(deap, mahnob, tmp_path, setting):
    with pytest.raises(BadConfig, match=f"leave {next(iter(setting))} .* out"):
        transfer(deap, mahnob, tmp_path / "run", replace(CONFIG, **setting))


# The run


@pytest.mark.journey
def test_a_system_trained_on_one_corpus_predicts_the_other(deap, mahnob, tmp_path, log_power):
    """The evidence is in Cz, which is another channel number there."""
    path = transfer(deap, mahnob, tmp_path / "run", CONFIG)
    table = predictions.read(path)
    assert auc(table["y"].to_numpy(), table["p"].to_numpy()) > 0.9
    assert len(table) == len(mahnob)
    assert set(table["dataset"]) == {"deap -> mahnob (synthetic data)"}
    assert set(table["protocol"]) == {"subject+stimulus"}
    assert set(table["fold"]) == {1}
    assert set(table["subject"]) == {"mahnob.s01", "mahnob.s02", "mahnob.s03"}
    assert table["prior"].unique().tolist() == [0.5]  # of the first store's trials, half are high
    assert (table["rating"].to_numpy() == mahnob.windows["valence"].to_numpy()).all()


@pytest.mark.journey
def test_the_run_names_both_stores_and_what_a_reader_must_know(deap, mahnob, tmp_path, log_power):
    run = tmp_path / "run"
    transfer(deap, mahnob, run, CONFIG)
    environment = json.loads((run / "environment.json").read_text())
    stores = environment["store"]["stores"]
    assert {role: (s["path"], s["digest"]) for role, s in stores.items()} == {
        "learnt_from": ("deap.store", deap.digest),
        "tested_on": ("mahnob.store", mahnob.digest),
    }
    assert environment["store"]["synthetic"]
    notes = "\n".join(environment["findings"])
    assert "3 of the 5 of deap and the 5 of mahnob are shared" in notes
    assert "--train.normalise subject scales each subject separately, without labels, and is recommended" in notes
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["protocol"] == "subject+stimulus"
    assert {"folds", "stratify", "fixed", "subjects"}.isdisjoint(config)
    made = json.loads((run / "splits.json").read_text())
    assert [len(made["folds"]), made["unit"]] == [1, "subject+stimulus"]


@pytest.mark.journey
def test_the_system_learns_from_the_first_store_alone_under_its_own_name(
    deap, mahnob, tmp_path, log_power, monkeypatch
):
    fitted = {}

    def fit(self, held, rows, y, *, validation=None, seed=0):
        fitted.update(
            title=held.title, n=len(held), rows=[*rows, *validation[0]], subjects=set(held.windows["subject"])
        )
        return sound(self, held, rows, y, validation=validation, seed=seed)

    sound = LogPower.fit
    monkeypatch.setattr(LogPower, "fit", fit)
    transfer(deap, mahnob, tmp_path / "run", CONFIG)
    assert (fitted["title"], fitted["n"]) == (deap.title, len(deap))
    assert sorted(fitted["rows"]) == list(range(len(deap)))
    assert fitted["subjects"] == {"s01", "s02", "s03", "s04"}


@pytest.mark.journey
def test_a_transfer_that_failed_goes_on_and_another_is_refused(deap, mahnob, tmp_path, log_power, monkeypatch):
    run, config = tmp_path / "run", replace(CONFIG, target="both")
    monkeypatch.setattr(LogPower, "fail_on", (2,))
    with pytest.raises(Exception, match="1 of 2 trainings failed"):
        transfer(deap, mahnob, run, config)
    done = (run / "fold01/valence/predictions.parquet").stat().st_mtime_ns
    path = transfer(deap, mahnob, run, config)
    assert (run / "fold01/valence/predictions.parquet").stat().st_mtime_ns == done
    assert LogPower.fitted == 3
    assert set(predictions.read(path)["target"]) == {"valence", "arousal"}
    with pytest.raises(BadRun, match="a run with seed = 1, found one with 0"):
        transfer(deap, mahnob, run, replace(config, seed=1))
    with pytest.raises(BadRun, match="one on another store"):
        transfer(mahnob, deap, run, config)


@pytest.mark.journey
def test_a_report_reads_it(deap, mahnob, tmp_path, log_power):
    transfer(deap, mahnob, tmp_path / "run", CONFIG)
    report = write_report([tmp_path / "run"], tmp_path / "report")
    assert not report.errors
    page = (tmp_path / "report/report.md").read_text()
    assert "deap -> mahnob (synthetic data)" in page
    assert "channels: 3 of the 5 of deap and the 5 of mahnob are shared" in page


@pytest.mark.journey
def test_the_command_transfers_and_has_no_options_of_folds(deap, mahnob, tmp_path, capsys):
    options = ["--system", "majority", "--modality", "eeg", "--target", "valence"]
    assert main(["transfer", str(deap.path), str(mahnob.path), str(tmp_path / "run"), *options]) == 0
    assert "subject+stimulus" in capsys.readouterr().out.replace("\n", "")
    assert main(["transfer", str(deap.path), str(mahnob.path), str(tmp_path / "other"), "--folds", "5"]) == 2


@pytest.mark.journey
def test_the_network_transfers_between_units_when_each_subject_is_scaled_separately(deap, raw, tmp_path):
    other = as_other(raw, tmp_path / "other", scale=1000.0)
    config = replace(CONFIG, train=replace(CONFIG.train, epochs=8, normalise="subject"))
    run = tmp_path / "run"
    table = predictions.read(transfer(deap, other, run, config))
    assert auc(table["y"].to_numpy(), table["p"].to_numpy()) > 0.8
    assert any(
        note.startswith("transductive") for note in json.loads((run / "environment.json").read_text())["findings"]
    )
    model, about = load_model(run / "fold01/valence/model")
    assert model.config.n_channels == 3
    assert [about["dataset"], about["store_digest"]] == [deap.title, deap.digest]
    assert about["channels"] == [["Fz", "eeg"], ["Cz", "eeg"], ["GSR1", "gsr"]]
    assert about["subjects"] == ["s01", "s02", "s03", "s04"]


@pytest.mark.journey
def test_features_of_the_same_names_are_transferred_and_others_are_refused(tmp_path):
    first = write_store(tmp_path / "a", subjects=3, kept="features")
    second = as_other_corpus(write_store(tmp_path / "b", subjects=3, seed=1, kept="features"))
    config = replace(CONFIG, modality="face", model=ModelConfig(variant="micro", face_input="features"))
    table = predictions.read(transfer(first, second, tmp_path / "run", config))
    assert len(table) == len(second) and auc(table["y"], table["p"]) > 0.8
    with pytest.raises(BadStore, match=r"faces as .*a has: 58 features a frame \(_neutral.*found pictures"):
        join(first, as_other_corpus(write_store(tmp_path / "c", subjects=3, seed=1)), faces=True, signals=False)
    with pytest.raises(BadConfig, match="gbvnet reads pictures of faces, and a -> b has none"):
        transfer(first, second, tmp_path / "other", replace(CONFIG, modality="face"))


def with_pictures(held, path, side=32):
    """The same recordings with pictures beside the features of faces."""
    prepare = held.settings["prepare"] | {"store_faces": "both", "face_side": side}
    create_store(path, held.settings | {"face_side": side, "prepare": prepare})
    recordings = []
    for name in held.recordings["recording"]:
        arrays, about = load_file(data_file(held.path, name)), read_header(data_file(held.path, name))[1]
        faces = np.full((*arrays["face_ok"].shape, side, side, 3), 99, np.uint8)
        recordings.append(write_recording(path, name, arrays | {"faces": faces}, about))
    finish_store(path, recordings)
    return open_store(path)


@pytest.mark.journey
@pytest.mark.parametrize("sides", [(32, None), (None, 32), (32, 48)])
def test_both_sides_read_features_where_pictures_are_not_shared(tmp_path, sides):
    stores = [write_store(tmp_path / name, subjects=3, seed=k, kept="features") for k, name in enumerate("ab")]
    for k, side in enumerate(sides):
        stores[k] = stores[k] if side is None else with_pictures(stores[k], tmp_path / f"pictures-{k}", side)
    first, second = stores[0], as_other_corpus(stores[1])
    joined, _ = join(first, second, faces=True, signals=False)
    assert not joined.has_pixels and not training_store(joined).has_pixels
    assert training_store(pickle.loads(pickle.dumps(joined))).settings["face_side"] == 0
    for rows in ([0], [len(joined) - 1], [0, len(joined) - 1]):
        pictures, ok, _ = joined.read(rows, signals=False)
        assert pictures is None and ok.shape == (len(rows), 2)
    config = replace(CONFIG, modality="face", system="nearest")
    table = predictions.read(transfer(first, second, tmp_path / "run", config))
    assert auc(table["y"], table["p"]) > 0.7


def as_other_corpus(store):
    """The store under the name of another corpus."""
    path = store.path / "store.json"
    path.write_text(path.read_text().replace('"dataset": "deap"', '"dataset": "mahnob"'))
    return open_store(store.path)
