"""A search for settings sees the training side alone, goes on after anything, and finds nothing in noise."""

import importlib.metadata
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from gbvnet.config import CrossvalConfig, ExplainConfig, FinalConfig, TuneConfig
from gbvnet.errors import BadConfig, BadRun, GbvnetError, LeakySplit
from gbvnet.evaluation import predictions, splits
from gbvnet.evaluation.chosen_settings import read_chosen
from gbvnet.evaluation.plan import make_plan
from gbvnet.experiments import candidates, fold_search
from gbvnet.experiments.crossval import cross_validate, tasks_of
from gbvnet.experiments.explain import explain_run
from gbvnet.experiments.fold_search import SearchFold, make_search
from gbvnet.experiments.run_folder import config_digest
from gbvnet.experiments.search_space import make_space
from gbvnet.experiments.train import honest_scores
from gbvnet.experiments.tune import tune
from gbvnet.store.window_source import DerivedSource
from gbvnet.systems import validate_config

from ..synthetic_store import write_store
from . import drawn_system
from .noise_runs import noise_runs

CONFIG = TuneConfig(system=drawn_system.NAME, target="valence", modality="bio", folds=3, trials=8, tuning_folds=3)
SPACE = {"options.draw": {"low": 0, "high": 50}}
LINEAR = {"options.draw": [0, 1, 2]}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr("gbvnet.parallel.tasks.available_cores", lambda: 1)


@pytest.fixture
def drawn(monkeypatch):
    return drawn_system.install(monkeypatch)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("planted") / "store", windows=3, faces=False)


def tried(run_dir, fold, target="valence"):
    """The candidates of a fold, without the seconds that they took."""
    lines = (run_dir / f"tuning/fold{fold:02d}/{target}/candidates.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


def chosen(run_dir, fold, target="valence"):
    return read_chosen(run_dir / f"tuning/fold{fold:02d}/{target}")


def search_of(store, config, number, run_dir, space=SPACE):
    """The search for one fold, and what runs it."""
    base = validate_config(config.crossval(), store)
    plan = make_plan(store, base)
    task = next(task for task in tasks_of(plan, base) if task.fold.number == number)
    return (
        make_search(plan, task, config),
        SearchFold(store, base, make_space(space, base), config.trials, run_dir, 1, 1),
        task.fold,
    )


# The run folder


@pytest.mark.journey
def test_a_tuned_run_is_a_run_folder_with_its_search(tmp_path, store, drawn):
    path = tune(store, tmp_path / "run", CONFIG, SPACE)
    table, config = predictions.read(path), yaml.safe_load((path.parent / "config.yaml").read_text())
    assert len(table) == len(store) and table["fold"].nunique() == 3
    assert config["tuning"] == {
        "space": {"options.draw": {"low": 0, "high": 50}}, "trials": 8, "tuning_folds": 3,
    }  # fmt: skip
    assert config["options"] == {"draw": 0, "scale": 1.0}
    for fold in (1, 2, 3):
        of_fold, one = tried(path.parent, fold), chosen(path.parent, fold)
        assert [each["number"] for each in of_fold] == list(range(1, 9))
        assert one.score == max(each["score"] for each in of_fold) == of_fold[one.number - 1]["score"]
        assert one.values == of_fold[one.number - 1]["values"]
        assert one.score == pytest.approx(np.mean(one.fold_scores)) and len(one.fold_scores) == 3
    assert {f.name for f in (path.parent / "tuning/fold01/valence").iterdir()} == {"candidates.jsonl", "chosen.json"}


@pytest.mark.journey
def test_each_fold_is_trained_with_what_it_chose(tmp_path, store, drawn):
    run = tune(store, tmp_path / "run", CONFIG, SPACE).parent
    table = predictions.read(run / predictions.FILE)
    for fold in (1, 2, 3):
        own = replace(CONFIG.crossval(), options=dict(draw=chosen(run, fold).values["options.draw"]))
        given = predictions.read(cross_validate(store, tmp_path / f"given{fold}", own))
        columns = [name for name in table if name != "config"]
        pd.testing.assert_frame_equal(
            table.loc[table["fold"] == fold, columns].reset_index(drop=True),
            given.loc[given["fold"] == fold, columns].reset_index(drop=True),
        )


@pytest.mark.journey
def test_the_digest_is_of_the_search_too_and_that_of_untuned_runs_stays(tmp_path, store, drawn):
    def digest(name, config, space):
        (value,) = set(predictions.read(tune(store, tmp_path / name, config, space))["config"])
        return value

    plain = cross_validate(store, tmp_path / "plain", CONFIG.crossval())
    digests = {
        config_digest(validate_config(CONFIG.crossval(), store)), digest("a", CONFIG, LINEAR),
        digest("b", CONFIG, {"options.draw": [0, 1]}), digest("c", replace(CONFIG, trials=9), LINEAR),
        digest("d", replace(CONFIG, tuning_folds=2), LINEAR),
    }  # fmt: skip
    assert len(digests) == 5 and set(predictions.read(plain)["config"]) <= digests
    assert config_digest(CrossvalConfig(target="valence", modality="bio")) == "b08cb741e5e6"  # as of before
    reordered = {"options.scale": [1.0], "options.draw": [0, 1, 2]}
    assert digest("e", CONFIG, reordered) == digest("f", CONFIG, dict(reversed(reordered.items())))


@pytest.mark.journey
def test_another_search_does_not_continue_a_run(tmp_path, store, drawn):
    tune(store, tmp_path / "run", CONFIG, LINEAR)
    tune(store, tmp_path / "run", CONFIG, LINEAR)  # a finished run is left as it is
    with pytest.raises(BadRun, match=r"tuning.trials = 9, found one with 8"):
        tune(store, tmp_path / "run", replace(CONFIG, trials=9), LINEAR)
    with pytest.raises(BadRun, match=r"tuning.space.options.draw = \[0, 1\]"):
        tune(store, tmp_path / "run", CONFIG, {"options.draw": [0, 1]})
    with pytest.raises(BadRun, match="found one with"):
        cross_validate(store, tmp_path / "run", CONFIG.crossval())


@pytest.mark.journey
def test_another_optuna_is_reported(tmp_path, store, drawn, monkeypatch, caplog):
    run = tune(store, tmp_path / "run", CONFIG, LINEAR).parent
    version = importlib.metadata.version("optuna")
    assert json.loads((run / "environment.json").read_text())["packages"]["optuna"] == version
    assert "optuna" not in caplog.text
    there = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1" if name == "optuna" else there(name))
    tune(store, tmp_path / "run", CONFIG, LINEAR)
    assert f"was begun with optuna {version} and continues with 0.1" in caplog.text


# What a search sees


class Guarded(DerivedSource):
    """A store that must not be read at some rows."""

    def __init__(self, source, forbidden):
        super().__init__(source)
        self.forbidden = set(np.asarray(forbidden).tolist())

    def read(self, rows, faces=True, signals=True):
        assert not self.forbidden & set(np.asarray(rows).tolist()), "a row of the test side was read"
        return super().read(rows, faces, signals)


@pytest.mark.journey
@pytest.mark.parametrize("protocol", ["window", "trial", "stimulus", "subject", "subject+stimulus"])
def test_a_search_reads_no_row_of_the_test_side_and_sees_no_label_of_it(tmp_path, drawn, monkeypatch, protocol):
    store = write_store(tmp_path / "store", subjects=9, trials=9, windows=2, faces=False)
    config = replace(CONFIG, protocol=protocol, tuning_folds=2, trials=3)
    for number in (1, 2, 3):
        search, search_fold, fold = search_of(store, config, number, tmp_path / f"run{number}")
        read_rows = set()

        def spy(source, rows, fold=fold, read_rows=read_rows):
            assert source.windows.loc[fold.test, ["valence", "arousal"]].isna().all(axis=None)
            read_rows.update(rows.tolist())

        monkeypatch.setattr(drawn, "spy", spy)
        search_fold = replace(search_fold, store=Guarded(store, fold.test))
        assert search_fold(search).score is not None
        assert read_rows <= set(search.rows.tolist()) and len(search.rows) > 10
        if protocol != "subject+stimulus":
            assert set(search.rows.tolist()) == {*fold.train.tolist(), *fold.validation.tolist()}
        assert not set(search.plan.windows.index) & set(fold.test.tolist())
        for of_rows in (*search.plan.labels.values(), *search.plan.rating.values()):
            assert of_rows.index.equals(search.plan.windows.index)


@pytest.mark.journey
@pytest.mark.parametrize("protocol", ["trial", "stimulus", "subject", "subject+stimulus"])
def test_tuning_folds_obey_the_protocol_of_the_run(tmp_path, drawn, protocol):
    store = write_store(tmp_path / "store", subjects=9, trials=9, windows=2, faces=False)
    config = replace(CONFIG, protocol=protocol, tuning_folds=2)
    for number in (1, 2, 3):
        search, _, outer = search_of(store, config, number, tmp_path)
        for unit in splits.UNITS[protocol]:
            names = splits.group_names(store.windows, unit)
            tested = set(names.loc[outer.test])
            for fold in search.plan.folds:
                sides = [set(names.loc[rows]) for rows in fold.sides.values()]
                assert not any(side & tested for side in sides)
                assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


@pytest.mark.journey
def test_a_system_that_reads_another_row_fails_with_the_reason(tmp_path, store, drawn, monkeypatch):
    def greedy(source, rows):
        source.read(np.arange(len(source)), faces=False)

    monkeypatch.setattr(drawn, "spy", greedy)
    with pytest.raises(GbvnetError, match=r"all 3 candidates failed, the first one: .*row \d+ \(recording s01_trial0"):
        tune(store, tmp_path / "run", CONFIG, LINEAR)


class Poisoned(DerivedSource):
    """A store whose signals are not numbers at one row."""

    def __init__(self, source, row):
        super().__init__(source)
        self.row = row

    @property
    def digest(self):
        return self.source.digest

    def read(self, rows, faces=True, signals=True):
        faces, ok, x = super().read(rows, faces, signals)
        x = x.copy()
        x[np.asarray(rows) == self.row] = np.nan
        return faces, ok, x


@pytest.mark.journey
def test_a_test_row_that_is_not_a_number_changes_nothing_of_the_search(tmp_path, store, drawn):
    search, search_fold, fold = search_of(store, CONFIG, 1, tmp_path / "clean")
    clean = search_fold(search)
    for row in fold.test[:3]:
        run_dir = tmp_path / f"row{row}"
        poisoned = replace(search_fold, store=Poisoned(store, row), run_dir=run_dir)
        assert poisoned(search) == clean
        assert tried(run_dir, 1) == tried(tmp_path / "clean", 1)
    run_dir = tmp_path / "train"  # and a row of the training side does change it
    with pytest.raises(GbvnetError, match="not all finite numbers"):
        replace(search_fold, store=Poisoned(store, fold.train[0]), run_dir=run_dir)(search)


@pytest.mark.journey
def test_too_few_groups_for_tuning_folds_are_reported_before_anything_is_trained(tmp_path, store, drawn):
    with pytest.raises(LeakySplit, match="the tuning folds within the training side of fold 1: 5 folds need at least"):
        tune(store, tmp_path / "run", replace(CONFIG, protocol="subject", tuning_folds=5), LINEAR)
    assert not (tmp_path / "run").exists()


# Interruption, number of jobs


@pytest.mark.journey
def test_a_search_that_was_stopped_ends_as_one_that_was_not(tmp_path, store, drawn, monkeypatch):
    config, space = replace(CONFIG, trials=14), {"options.draw": {"low": 0, "high": 50}, "options.scale": [1.0, 2.0]}
    whole = tune(store, tmp_path / "whole", config, space).parent
    left = [3]
    write = candidates.write_candidates

    def stopping(folder, all_tried):
        write(folder, all_tried)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(fold_search, "write_candidates", stopping)
    stops = 0
    while not (tmp_path / "stopped" / predictions.FILE).exists():
        left[0] = 3 + stops % 4
        try:
            tune(store, tmp_path / "stopped", config, space)
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 8
    for fold in (1, 2, 3):
        assert tried(tmp_path / "stopped", fold) == tried(whole, fold)
        assert chosen(tmp_path / "stopped", fold) == chosen(whole, fold)
    a, b = (predictions.read(run / predictions.FILE) for run in (whole, tmp_path / "stopped"))
    pd.testing.assert_frame_equal(a, b)
    assert len({each["values"]["options.draw"] for each in tried(whole, 1)}) > 5  # not one candidate again and again


@pytest.mark.journey
def test_a_damaged_file_of_candidates_is_named(tmp_path, store, drawn):
    run = tune(store, tmp_path / "run", CONFIG, LINEAR).parent
    (run / predictions.FILE).unlink()
    folder = run / "tuning/fold02/valence"
    (folder / "chosen.json").unlink()
    (folder / "candidates.jsonl").write_text('{"number": 1, "values": {"options.draw": 0}, "score": "high"}\n')
    with pytest.raises(GbvnetError, match=r"fold 2, valence.*candidates.jsonl: expected one line a candidate.*score"):
        tune(store, run, CONFIG, LINEAR)


@pytest.mark.journey
def test_the_number_of_jobs_changes_nothing(tmp_path, store):
    config = replace(CONFIG, system="yuvaraj-like", modality="eeg", trials=4, tuning_folds=2)
    space = {"options.feature_set": ["statistical", "hjorth"], "options.classifier": ["cart", "svm"]}
    runs = [tune(store, tmp_path / f"jobs{jobs}", config, space, jobs).parent for jobs in (1, 2)]
    assert all(tried(runs[0], fold) == tried(runs[1], fold) for fold in (1, 2, 3))
    pd.testing.assert_frame_equal(*(predictions.read(run / predictions.FILE) for run in runs))


@pytest.mark.journey
def test_progress_ends_at_its_total(tmp_path, store, drawn):
    calls = []
    tune(store, tmp_path / "run", CONFIG, LINEAR, progress=lambda *call: calls.append(call[:2]))
    assert calls[-1] == (30, 30)  # 3 folds, 3 candidates in 3 tuning folds, and 3 trainings after
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


# Candidates


@pytest.mark.journey
def test_a_small_space_is_tried_whole_and_the_first_of_equal_candidates_is_chosen(tmp_path, store, drawn):
    space = {"options.draw": [4, 0], "options.scale": [2.0, 1.0]}
    run = tune(store, tmp_path / "run", CONFIG, space).parent
    assert [each["values"] for each in tried(run, 1)] == [
        {"options.draw": draw, "options.scale": scale} for draw in (4, 0) for scale in (2.0, 1.0)
    ]
    assert all(chosen(run, fold).number % 2 == 1 for fold in (1, 2, 3))  # scale has no effect


@pytest.mark.journey
def test_a_candidate_that_comes_again_is_not_trained_again(tmp_path, store, drawn):
    run = tune(store, tmp_path / "run", replace(CONFIG, trials=19), {"options.draw": {"low": 1, "high": 20}}).parent
    again = [each for each in tried(run, 1) if each["same_as"]]
    assert again and chosen(run, 1).repeated == len(again)
    for each in again:
        first = tried(run, 1)[each["same_as"] - 1]
        assert first["same_as"] is None and (first["values"], first["score"]) == (each["values"], each["score"])


@pytest.mark.journey
def test_the_search_is_drawn_to_better_candidates():
    space = make_space({"train.learning_rate": {"low": 1e-5, "high": 1.0, "log": True}}, CrossvalConfig())
    for seed in range(3):
        source, all_tried = candidates.Proposals(space, seed, "test"), []
        for number in range(1, 41):
            values = source.next(all_tried, exhaustive=False)
            score = -abs(np.log10(values["train.learning_rate"]) + 3)  # the best is 1e-3
            all_tried.append(candidates.Candidate(number, values, score))
        distance = [-one.score for one in all_tried]
        assert min(distance) < 0.1 and np.mean(distance[25:]) < 0.9  # of random ones the mean is 1.3


@pytest.mark.journey
def test_a_training_that_fails_is_recorded_and_the_search_goes_on(tmp_path, store, drawn, monkeypatch):
    monkeypatch.setattr(drawn, "failing", (0, 2))
    run = tune(store, tmp_path / "run", CONFIG, LINEAR).parent
    assert [each["error"] for each in tried(run, 1)] == ["draw 0 is out of luck", "", "draw 2 is out of luck"]
    assert (chosen(run, 1).number, chosen(run, 1).failed, chosen(run, 1).candidates) == (2, 2, 3)


@pytest.mark.journey
def test_if_all_candidates_fail_the_reason_is_given(tmp_path, store, drawn, monkeypatch):
    monkeypatch.setattr(drawn, "failing", (0, 1, 2))
    with pytest.raises(GbvnetError, match=r"3 of 3 searches failed.*all 3 candidates failed, the first one: draw 0 is"):
        tune(store, tmp_path / "run", CONFIG, LINEAR)
    monkeypatch.setattr(drawn, "failing", ())
    shutil.rmtree(tmp_path / "run/tuning")
    tune(store, tmp_path / "run", CONFIG, LINEAR)


@pytest.mark.journey
def test_predictions_that_are_no_numbers_are_a_failure(tmp_path, store, drawn, monkeypatch):
    output = drawn.output
    monkeypatch.setattr(drawn, "output", lambda self, p, x: output(self, p, x) * (np.nan, 1)[self.options.draw > 0])
    run = tune(store, tmp_path / "run", CONFIG, LINEAR).parent
    assert tried(run, 1)[0]["error"] == "its predictions are not all finite numbers"
    assert chosen(run, 1).values["options.draw"] > 0


# Scopes, targets and tasks


@pytest.mark.journey
def test_within_each_subject_and_where_labels_do_not_suffice_nothing_is_changed(tmp_path, drawn):
    ratings = np.tile([3.0, 7.0], (3, 6))
    ratings[1] = 3.0  # one class
    ratings[2, 1:] = 3.0
    ratings[2, 0] = 7.0  # one trial of the other class: it cannot be on two sides
    store = write_store(tmp_path / "store", subjects=3, trials=12, windows=2, faces=False, ratings=ratings)
    run = tune(store, tmp_path / "run", replace(CONFIG, scope="per-subject", tuning_folds=2), LINEAR).parent
    assert all(chosen(run, fold).score is not None for fold in (1, 2, 3))
    for fold in range(4, 10):
        assert chosen(run, fold).values == {} and "too few, or all alike" in chosen(run, fold).note
    assert predictions.read(run / predictions.FILE)["fold"].nunique() == 9


@pytest.mark.journey
def test_a_tuning_fold_without_a_score_is_left_out_of_the_mean(tmp_path, drawn):
    ratings = np.full((4, 6), 3.0)
    ratings[:2] = 7.0  # two subjects of each class
    store = write_store(tmp_path / "store", windows=3, faces=False, ratings=ratings)
    config = replace(CONFIG, protocol="subject", folds=2, tuning_folds=2, validation=0.5)
    base = validate_config(config.crossval(), store)
    plan = make_plan(store, base)
    for task in tasks_of(plan, base):
        try:
            search = make_search(plan, task, config)
        except LeakySplit:
            continue
        defined = [search.is_comparable(fold) for fold in search.plan.folds]
        assert not all(defined)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("settings", "score", "values"),
    [
        ({"task": "regression"}, "ccc", (-1, 1)),
        ({"rule": "3.5,6.5"}, "balanced_accuracy", (0, 1)),
        ({"target": "both", "joint": True}, "balanced_accuracy", (0, 1)),
        ({"stratify": True}, "balanced_accuracy", (0, 1)),
        ({"shuffle_labels": 1}, "balanced_accuracy", (0, 1)),
    ],
)
def test_every_task_has_a_score_to_choose_by(tmp_path, drawn, settings, score, values):
    store = write_store(tmp_path / "store", trials=12, windows=3, faces=False, levels=3)
    run = tune(store, tmp_path / "run", replace(CONFIG, **settings), LINEAR).parent
    one = chosen(run, 1, "both" if settings.get("joint") else "valence")
    assert one.score_name == score and values[0] <= one.score <= values[1]
    if "shuffle_labels" not in settings:
        assert one.values == {"options.draw": 0}  # every channel, the informative one too


@pytest.mark.journey
def test_two_targets_have_searches_of_their_own(tmp_path, store, drawn):
    run = tune(store, tmp_path / "run", replace(CONFIG, target="both"), LINEAR).parent
    assert len(list(run.glob("tuning/fold*/*/chosen.json"))) == 6


def test_the_lag_of_labels_is_not_searched_for_together_with_settings():
    with pytest.raises(BadConfig, match="give lag_s in seconds"):
        replace(CONFIG, lag_s="search")


def test_without_optuna_one_line_says_how_to_get_it(tmp_path, store, drawn, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BadConfig, match=r"tune needs Optuna: pip install 'gbvnet\[tune\]'"):
        tune(store, tmp_path / "run", CONFIG, LINEAR)


# What else reads a run


@pytest.mark.journey
def test_a_tuned_run_is_explained_with_the_settings_of_each_fold(tmp_path, store):
    config = replace(CONFIG, system="yuvaraj-like", modality="eeg", tuning_folds=2, folds=2)
    path = tune(store, tmp_path / "run", config, {"options.feature_set": ["statistical", "hjorth"]})
    explanation = explain_run(store, path.parent, ExplainConfig(windows=20))
    assert explanation.left_out == [] and (explanation.folder / "channels.csv").exists()


@pytest.mark.journey
def test_the_scores_of_a_tuned_run_do_not_go_on_the_card_of_a_model(tmp_path, store, drawn):
    run = tune(store, tmp_path / "run", CONFIG, LINEAR).parent
    with pytest.raises(BadRun, match="one that searched for settings in each fold"):
        honest_scores(store, FinalConfig(target="valence", modality="bio"), [run])


# Noise


@pytest.mark.journey
def test_in_noise_a_search_is_within_chance_and_one_that_sees_the_test_side_is_above(tmp_path, drawn):
    runs = list(noise_runs(tmp_path, range(20)))
    assert sum(run.within for run in runs) >= 18
    assert sum(run.leaky_above for run in runs) >= 18
