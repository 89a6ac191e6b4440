"""A cross-validation writes an honest run folder, goes on after anything, and refuses to mix two runs."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadRun, GbvnetError, LeakySplit
from gbvnet.evaluation import predictions
from gbvnet.evaluation.metrics import auc
from gbvnet.evaluation.plan import make_plan
from gbvnet.experiments import crossval, explain
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.run_folder import config_digest
from gbvnet.report.results import read_run
from gbvnet.store.reader import open_store
from gbvnet.systems import SystemOutput

from ..synthetic_store import write_store
from ..test_config import as_version_0

CONFIG = CrossvalConfig(
    target="valence",
    modality="bio",
    folds=3,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=3, batch_size=16, device="cpu"),
)


class LogPower:
    """A system of three lines: logistic regression on the log power of each channel."""

    learner = staticmethod(lambda: LogisticRegression(max_iter=1000))
    fitted = 0
    fail_on: tuple[int, ...] = ()  # which calls of fit fail

    @classmethod
    def import_for_training(cls):
        pass

    def __init__(self, config, work=None, label=""):
        self.config, self.label = config, label

    def fit(self, store, rows, y, *, validation=None, seed=0):
        LogPower.fitted += 1
        if LogPower.fitted in LogPower.fail_on:
            raise GbvnetError(f"{self.label}out of luck")
        rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        self.model = self.learner().fit(self._features(store, rows), y)
        return self

    def predict(self, store, rows):
        return SystemOutput(self.model.predict_proba(self._features(store, rows))[:, 1])

    def save(self, folder):
        folder.mkdir()

    about = {"n_parameters": 6, "chosen_epoch": None, "device": "cpu"}  # noqa: RUF012

    def _features(self, store, rows):
        return np.log(store.read(rows, faces=False)[2].std(axis=2))


@pytest.fixture
def log_power(monkeypatch):
    monkeypatch.setattr(crossval, "system", lambda name: LogPower)
    monkeypatch.setattr(LogPower, "fitted", 0)
    return LogPower


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr("gbvnet.parallel.tasks.available_cores", lambda: 1)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store", effect=1.0)


@pytest.fixture(scope="module")
def bait(tmp_path_factory):
    """No effect, but every trial is marked: nothing can be learnt except by leaking."""
    return write_store(tmp_path_factory.mktemp("bait") / "store", trials=8, windows=8, effect=0.0, fingerprint=1.0)


def result(path):
    table = predictions.read(path)
    return auc(table["y"].to_numpy(), table["p"].to_numpy())


# What is scored, and as what


@pytest.mark.journey
def test_complete_scores_only_windows_with_everything_and_any_those_the_system_can_use(tmp_path):
    held = write_store(tmp_path / "s", missing={(1, 1): "face", (2, 2): "signals", (3, 3): "face"}.items())

    def plan(rows, modality):
        return make_plan(held, replace(CONFIG, rows=rows, modality=modality))

    assert len(held) == 120  # 4 subjects, 6 trials, 5 windows
    for modality in ("face", "bio", "facebio"):
        complete = plan("complete", modality)
        assert len(complete.windows) == 105
        assert complete.excluded == {"no face": 10, "no signals": 5}
    assert len(plan("any", "face").windows) == 110
    assert plan("any", "bio").excluded == {"nothing of modality bio": 5}
    assert len(plan("any", "facebio").windows) == 120


@pytest.mark.journey
def test_windows_without_a_rating_are_left_out_and_counted(tmp_path):
    ratings = np.full((4, 6), 3.0)
    ratings[:, ::2] = 7.0
    ratings[1, 4] = np.nan
    plan = make_plan(write_store(tmp_path / "s", ratings=ratings), CONFIG)
    assert plan.excluded == {"no rating of valence": 5}
    assert len(plan.windows) == 115


def test_a_store_that_cannot_be_scored_is_refused_with_the_reasons(tmp_path):
    held = write_store(tmp_path / "s", subjects=2, trials=2, faces=False, ratings=np.full((2, 2), np.nan))
    with pytest.raises(BadConfig, match="none of its 20 windows can be scored: 20 have no rating of valence"):
        make_plan(held, CONFIG)
    with pytest.raises(BadConfig, match=r"modality facebio needs faces, and .* was prepared without"):
        make_plan(held, replace(CONFIG, modality="facebio"))


# The run folder


@pytest.mark.journey
def test_the_run_folder_holds_what_the_design_promises(tmp_path, planted, log_power):
    path = cross_validate(planted, tmp_path / "run", CONFIG)
    assert path == tmp_path / "run" / "predictions.parquet"
    table = predictions.read(path)
    assert len(table) == 120  # each window once
    assert set(table["dataset"]) == {"deap (synthetic data)"}
    assert set(table["config"]) == {config_digest(CONFIG)}
    assert table["gate_face"].isna().all()
    held = planted.windows.sort_values(["recording", "window"]).reset_index(drop=True)
    mine = table.sort_values(["recording", "window"]).reset_index(drop=True)
    for column in ("recording", "subject", "trial", "stimulus", "window", "start_s"):
        assert mine[column].tolist() == held[column].tolist()
    assert mine["rating"].tolist() == held["valence"].tolist()
    assert mine["y"].tolist() == (held["valence"] >= 5).astype(int).tolist()
    environment = json.loads((path.parent / "environment.json").read_text())
    assert environment["data"]["classes"] == {"valence": {"high": 60, "low": 60}}
    assert environment["data"]["labels"] == "high: rating >= 5"
    assert environment["data"]["high"] == {"valence": 0.5}
    assert environment["store"]["digest"] == planted.digest
    assert environment["store"]["synthetic"] is True
    assert environment["format"] == predictions.RUN_FORMAT
    assert environment["n_parameters"] == 6
    assert environment["threads"] == 1
    assert environment["seconds"] > 0
    assert yaml.safe_load((path.parent / "config.yaml").read_text())["train"]["epochs"] == 3


@pytest.mark.journey
def test_the_folds_of_the_table_are_those_of_splits_json(tmp_path, planted, log_power):
    path = cross_validate(planted, tmp_path / "run", CONFIG)
    table, split = predictions.read(path), json.loads((path.parent / "splits.json").read_text())
    assert {k: split[k] for k in ("protocol", "unit", "stratified")} == {
        "protocol": "trial",
        "unit": "trial",
        "stratified": False,
    }
    for fold in split["folds"]:
        rows = table[table["fold"] == fold["fold"]]
        assert sorted(set(rows["subject"] + "/" + rows["trial"])) == fold["test"]
        assert not set(fold["test"]) & set(fold["train"] + fold["inner"])
        trained_on = [
            f"{s}/{t}" in {*fold["train"], *fold["inner"]}
            for s, t in zip(table["subject"], table["trial"], strict=True)
        ]
        assert set(rows["prior"]) == {table.loc[trained_on, "y"].mean()}


@pytest.mark.journey
def test_two_targets_are_two_trainings_a_fold(tmp_path, planted, log_power):
    path = cross_validate(planted, tmp_path / "run", replace(CONFIG, target="both"))
    table = predictions.read(path)
    assert log_power.fitted == 6
    assert table["target"].value_counts().to_dict() == {"valence": 120, "arousal": 120}
    assert (path.parent / "fold02" / "arousal" / "predictions.parquet").exists()


@pytest.mark.journey
def test_per_subject_scope_trains_within_each_subject(tmp_path, planted, log_power):
    table = predictions.read(cross_validate(planted, tmp_path / "run", replace(CONFIG, scope="per-subject")))
    assert table["fold"].nunique() == 12  # 4 subjects, 3 folds
    assert (table.groupby("fold")["subject"].nunique() == 1).all()
    assert len(table) == 120


@pytest.mark.journey
def test_a_window_run_is_called_leaky_in_every_log_line(tmp_path, planted, log_power, caplog):
    with caplog.at_level(logging.INFO, logger="gbvnet"):
        cross_validate(planted, tmp_path / "run", replace(CONFIG, protocol="window"))
    assert len(caplog.messages) == 3
    assert all(m.startswith("LEAKY (protocol window): fold") for m in caplog.messages)


@pytest.mark.journey
def test_a_training_side_of_one_class_predicts_its_share_with_a_warning(tmp_path, log_power, caplog):
    ratings = np.full((3, 4), 7.0)
    ratings[0] = 3.0  # only the first subject rates low
    held = write_store(tmp_path / "s", subjects=3, trials=4, ratings=ratings)
    path = cross_validate(held, tmp_path / "run", replace(CONFIG, protocol="subject", validation=0.5))
    table = predictions.read(path)
    warnings = json.loads((path.parent / "environment.json").read_text())["findings"]
    confound, *of_folds = warnings
    assert confound.startswith("confound: every window of class low in valence comes from subject s01")
    assert of_folds and all("a model cannot learn from them" in f for f in of_folds)
    assert warnings[0] in caplog.text
    for number in {int(f.split()[1].rstrip(":")) for f in of_folds}:
        rows = table[table["fold"] == number]
        assert (rows["p"] == rows["prior"]).all()
    assert log_power.fitted == 3 - len(of_folds)


@pytest.mark.journey
def test_training_itself_refuses_a_split_that_leaks(tmp_path, planted, log_power, monkeypatch):
    def leaky(windows, split, labels=None):
        fold = honest(windows, split, labels)[0]
        return [replace(fold, train=np.append(fold.train, fold.test[:1]))]

    honest = crossval.splits.make_folds
    monkeypatch.setattr(crossval.splits, "make_folds", leaky)
    with pytest.raises(GbvnetError, match="fold 1 breaks protocol trial: trial s0"):
        cross_validate(planted, tmp_path / "run", CONFIG)
    assert log_power.fitted == 0


# Going on, and refusing


@pytest.mark.journey
def test_a_finished_run_is_left_as_it_is(tmp_path, planted, log_power):
    path = cross_validate(planted, tmp_path / "run", CONFIG)
    before = {f: f.stat().st_mtime_ns for f in path.parent.rglob("*.parquet")}
    assert cross_validate(planted, tmp_path / "run", CONFIG) == path
    assert {f: f.stat().st_mtime_ns for f in path.parent.rglob("*.parquet")} == before
    assert log_power.fitted == 3


@pytest.mark.journey
def test_a_failed_training_does_not_stop_the_others_and_is_tried_again(tmp_path, planted, log_power, monkeypatch):
    whole = cross_validate(planted, tmp_path / "whole", CONFIG).read_bytes()
    monkeypatch.setattr(LogPower, "fail_on", (5,))  # the second of the next run
    with pytest.raises(GbvnetError, match=r"1 of 3 trainings failed, the first fold 2, valence: .*out of luck"):
        cross_validate(planted, tmp_path / "run", CONFIG)
    with pytest.raises(BadRun, match="a finished run"):
        predictions.read_run(tmp_path / "run")
    assert cross_validate(planted, tmp_path / "run", CONFIG).read_bytes() == whole
    assert log_power.fitted == 7


@pytest.mark.journey
def test_the_exit_code_says_whether_all_some_or_no_trainings_failed(tmp_path, planted, log_power, monkeypatch, capsys):
    command = ["crossval", str(planted.path), str(tmp_path / "run"), "--folds", "3", "--modality", "bio", "--jobs", "1"]
    expected = (
        ((1, 2, 3), 2, r"3 of 3 trainings failed, .* out of luck Run the same command to try these again\.$"),
        ((5,), 1, r"1 of 3 trainings failed, .* The others are kept; run the same command to try these again\.$"),
        ((), 0, r"^$"),
    )
    for fail_on, code, message in expected:
        monkeypatch.setattr(LogPower, "fail_on", fail_on)
        assert main([*command, "--target", "valence"]) == code
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gbvnet crossval: ")]
        assert re.search(message, "".join(lines))
    assert log_power.fitted == 7


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"a run with seed = 1, found one with 0"),
        ({"protocol": "stimulus"}, "a run with protocol = stimulus, found one with trial"),
        ({"train": replace(CONFIG.train, epochs=4)}, r"a run with train\.epochs = 4, found one with 3"),
    ],
)
def test_a_run_made_with_other_settings_is_refused(tmp_path, planted, log_power, change, message):
    cross_validate(planted, tmp_path / "run", CONFIG)
    with pytest.raises(BadRun, match=message):
        cross_validate(planted, tmp_path / "run", replace(CONFIG, **change))


@pytest.mark.journey
def test_a_run_of_the_first_versions_is_continued_and_reported(tmp_path, planted, log_power, monkeypatch):
    whole = cross_validate(planted, tmp_path / "whole", CONFIG).read_bytes()
    monkeypatch.setattr(LogPower, "fail_on", (6,))
    with pytest.raises(GbvnetError, match="1 of 3 trainings failed"):
        cross_validate(planted, tmp_path / "run", CONFIG)
    file = tmp_path / "run/config.yaml"
    file.write_text(yaml.safe_dump(as_version_0(yaml.safe_load(file.read_text()))))
    with pytest.raises(BadRun, match=r"a run with validation = 0\.3, found one with 0\.2"):
        cross_validate(planted, tmp_path / "run", replace(CONFIG, validation=0.3))
    assert cross_validate(planted, tmp_path / "run", CONFIG).read_bytes() == whole
    file.write_text(yaml.safe_dump(as_version_0(yaml.safe_load(file.read_text()))))
    assert read_run(tmp_path / "run", "run").config["train"]["select"] == "validation"
    assert explain._read_config(file).train.select == "validation"


@pytest.mark.journey
def test_a_run_that_goes_on_under_other_software_says_so(tmp_path, planted, log_power, monkeypatch, caplog):
    file = tmp_path / "run/environment.json"
    monkeypatch.setattr(LogPower, "fail_on", (2,))
    with pytest.raises(GbvnetError, match="1 of 3 trainings failed"):
        cross_validate(planted, tmp_path / "run", CONFIG)
    now = json.loads(file.read_text())
    then = now | {"gbvnet": "0.0.9", "packages": now["packages"] | {"numpy": "1.2"}}
    file.write_text(json.dumps(then))
    cross_validate(planted, tmp_path / "run", CONFIG)
    numpy_now = now["packages"]["numpy"]
    warning = f"begun with gbvnet 0.0.9, numpy 1.2, continued with gbvnet {now['gbvnet']}, numpy {numpy_now}"
    (reported,) = [text for text in json.loads(file.read_text())["findings"] if text.startswith("begun")]
    assert reported.startswith(warning) and reported in caplog.text
    file.write_text(json.dumps(then))
    cross_validate(planted, tmp_path / "run", CONFIG)  # finished: nothing is trained by other software
    assert json.loads(file.read_text())["findings"] == then["findings"]


@pytest.mark.journey
def test_how_much_memory_is_used_is_no_other_run(tmp_path, planted, log_power):
    path = cross_validate(planted, tmp_path / "run", CONFIG)
    assert (
        cross_validate(planted, tmp_path / "run", replace(CONFIG, train=replace(CONFIG.train, memory_gib=1.0))) == path
    )


@pytest.mark.journey
def test_a_run_on_another_store_is_refused(tmp_path, planted, bait, log_power):
    cross_validate(planted, tmp_path / "run", CONFIG)
    with pytest.raises(BadRun, match=f"{bait.digest}.*another store .{planted.digest}"):
        cross_validate(bait, tmp_path / "run", CONFIG)


@pytest.mark.journey
def test_a_folder_with_other_things_is_left_alone(tmp_path, planted):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(BadRun, match="a folder with other things in it"):
        cross_validate(planted, tmp_path, CONFIG)
    with pytest.raises(BadRun, match="a folder for the run, found a file"):
        cross_validate(planted, tmp_path / "thesis.tex", CONFIG)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.journey
def test_what_a_training_imports_is_not_its_memory(planted, tmp_path):
    """The first training of a process imports Lightning, of some 150 MB."""
    options = "--system eegnet --modality eeg --target valence --folds 2 --train.epochs 1 --train.device cpu --jobs 1"
    words = ["crossval", planted.path, tmp_path / "run", *options.split()]
    subprocess.run([sys.executable, "-m", "gbvnet", *map(str, words)], check=True, capture_output=True)
    first, second = (json.loads(f.read_text()) for f in sorted((tmp_path / "run").glob("fold*/valence/fit.json")))
    if first["memory_mb"] is not None:  # only Linux counts it
        assert abs(first["memory_mb"] - second["memory_mb"]) < 60


def test_two_commands_do_not_write_one_run(tmp_path, planted):
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / "run.lock"), pytest.raises(BadRun, match="locked by another process"):
        cross_validate(planted, tmp_path / "run", CONFIG)


def test_an_unknown_system_is_reported_before_anything_is_written(tmp_path, planted):
    with pytest.raises(BadConfig, match="no system gbvnett; did you mean gbvnet"):
        cross_validate(planted, tmp_path / "run", replace(CONFIG, system="gbvnett"))
    assert not (tmp_path / "run").exists()


def test_too_many_folds_leave_no_folder_behind(tmp_path, planted):
    with pytest.raises(LeakySplit, match="10 folds need at least 10 subjects"):
        cross_validate(planted, tmp_path / "run", replace(CONFIG, protocol="subject", folds=10))
    assert not (tmp_path / "run").exists()


# Leaking, and learning with the real network


@pytest.mark.journey
def test_without_an_effect_only_the_window_protocol_scores(tmp_path, bait, log_power, monkeypatch):
    """The bait marks each trial, as real recordings do: a nearest neighbour finds the trial, and with it the label."""
    monkeypatch.setattr(LogPower, "learner", staticmethod(lambda: KNeighborsClassifier(1)))
    aucs = {
        protocol: result(cross_validate(bait, tmp_path / protocol, replace(CONFIG, protocol=protocol, folds=4)))
        for protocol in ("window", "trial", "stimulus", "subject")
    }
    assert aucs.pop("window") > 0.95
    assert max(aucs.values()) < 0.65


@pytest.mark.journey
def test_a_planted_effect_is_learned_under_the_trial_protocol(tmp_path, planted):
    config = replace(CONFIG, train=replace(CONFIG.train, epochs=12))
    assert result(cross_validate(planted, tmp_path / "run", config)) > 0.9


@pytest.mark.journey
def test_two_targets_at_once_are_one_training_with_gates(tmp_path, planted):
    config = replace(CONFIG, target="both", joint=True, modality="facebio", folds=2)
    path = cross_validate(planted, tmp_path / "run", config)
    table = predictions.read(path)
    assert sorted(p.parent.name for p in path.parent.glob("fold*/*/predictions.parquet")) == ["both", "both"]
    assert table["target"].value_counts().to_dict() == {"valence": 120, "arousal": 120}
    assert table["gate_face"].between(0, 1).all()
    assert table["gate_bio"].between(0, 1).all()


@pytest.mark.journey
def test_predictions_do_not_depend_on_jobs_and_are_the_same_twice(tmp_path, planted):
    one = cross_validate(planted, tmp_path / "one", CONFIG).read_bytes()
    assert cross_validate(planted, tmp_path / "again", CONFIG).read_bytes() == one
    reported = []
    two = cross_validate(planted, tmp_path / "two", CONFIG, jobs=2, progress=lambda *a: reported.append(a))
    assert two.read_bytes() == one
    assert reported[-1][:2] == (9, 9)  # 3 folds of 3 epochs


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import gbvnet.parallel.tasks
import gbvnet.network.lightning_module
gbvnet.parallel.tasks.available_cores = lambda: 1
gbvnet.network.lightning_module.SAVE_EVERY_S = 0
from gbvnet.experiments.crossval import cross_validate
from gbvnet.store.reader import open_store
from tests.experiments.test_crossval import SLOW
if __name__ == "__main__":
    cross_validate(open_store(sys.argv[1]), sys.argv[2], SLOW)
"""
SLOW = replace(CONFIG, train=replace(CONFIG.train, epochs=12, patience=12))


@pytest.mark.journey
def test_a_run_killed_in_an_epoch_ends_like_an_undisturbed_one(tmp_path, planted):
    script = tmp_path / "run.py"
    script.write_text(PROGRAM)
    root, run_dir = Path(__file__).parents[2], tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, script, planted.path, run_dir, root], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    history = run_dir / "fold02" / "valence" / "history.csv"
    deadline = time.monotonic() + 120
    while not (history.exists() and len(history.read_text().splitlines()) > 3):  # the second fold, some epochs in
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (run_dir / "fold01" / "valence" / "predictions.parquet").exists()
    assert not (run_dir / "fold02" / "valence" / "predictions.parquet").exists()
    begun = history.read_text().splitlines()
    killed = cross_validate(open_store(planted.path), run_dir, SLOW)
    assert history.read_text().splitlines()[: len(begun)] == begun  # those epochs were not done again
    assert killed.read_bytes() == cross_validate(planted, tmp_path / "whole", SLOW).read_bytes()
    assert not list(run_dir.rglob("*.ckpt")) + list(run_dir.rglob("*.part"))


# Some subjects only, and the epoch that the test chose


@pytest.mark.journey
def test_a_run_of_chosen_subjects_uses_these_alone(tmp_path, planted, log_power):
    config = replace(CONFIG, subjects=("s02", "s04"), protocol="trial")
    table = predictions.read(cross_validate(planted, tmp_path / "run", config))
    assert set(table["subject"]) == {"s02", "s04"}
    left_out = json.loads((tmp_path / "run/environment.json").read_text())["data"]["excluded"]
    assert left_out == {"another subject than those chosen": 60}
    with pytest.raises(BadConfig, match="has no subject s09; it has s01, s02, s03, s04"):
        cross_validate(planted, tmp_path / "other", replace(CONFIG, subjects=("s09",)))


@pytest.mark.journey
def test_the_test_chooses_the_epoch_in_leaky_recipes_only(tmp_path, planted, monkeypatch):
    chosen = replace(CONFIG.train, select="test")
    for wrong in ({}, {"protocol": "window"}, {"recipe": "deap-lineage"}):
        with pytest.raises(BadConfig, match="only recipes stamped leaky may"):
            replace(CONFIG, train=chosen, **wrong)
    rows_of = {}

    class Watched(LogPower):
        def fit(self, store, rows, y, *, validation=None, seed=0):
            rows_of["train"], rows_of["validation"] = set(rows.tolist()), set(validation[0].tolist())
            return super().fit(store, rows, y, validation=(rows[:0], y[:0]), seed=seed)

        def predict(self, store, rows):
            assert rows_of["validation"] == set(rows.tolist())
            assert rows_of["train"] | rows_of["validation"] == set(range(len(store)))
            return super().predict(store, rows)

    monkeypatch.setattr(crossval, "system", lambda name: Watched)
    cross_validate(planted, tmp_path / "run", replace(CONFIG, train=chosen, protocol="window", recipe="deap-lineage"))
    assert rows_of


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {},
            "50 of 60 windows are scored: 10 have no face; --rows any takes windows that have any part of the modality",
        ),
        ({"subjects": ("s01", "s02")}, "30 of 60 windows are scored: 10 have no face; --rows any takes"),
        ({"rows": "any", "subjects": ("s01", "s02")}, None),
    ],
)
def test_windows_that_are_not_scored_are_reported_when_a_run_begins(tmp_path, caplog, change, message):
    made = write_store(tmp_path / "store", subjects=3, trials=4, missing={(1, 1): "face", (1, 2): "face"})
    config = CrossvalConfig(**({"system": "majority", "modality": "bio", "target": "valence", "folds": 2} | change))
    with caplog.at_level("WARNING", "gbvnet"):
        cross_validate(made, tmp_path / "run", config)
    messages = [line for line in caplog.messages if "are scored" in line]
    assert messages == [] if message is None else messages[0].startswith(message)
