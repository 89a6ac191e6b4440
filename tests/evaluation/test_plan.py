"""Which windows are scored: those that every modality of the store has, and what to ask for where none are left."""

from itertools import product

import pytest

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import BadConfig
from gbvnet.evaluation.plan import choose_windows, make_plan, make_plan_without_folds
from gbvnet.experiments.compare import available_modality
from gbvnet.experiments.reproduction.recipe import PlannedRun
from gbvnet.experiments.reproduction.runtime_estimate import workload_of
from gbvnet.provenance import TRANSDUCTIVE
from gbvnet.store.joined import join

from ..synthetic_store import write_store

ALL = list(product(range(1, 4), range(1, 5)))  # 3 subjects, 4 trials of 5 windows


def store_without(path, part, trials=ALL, **more):
    return write_store(path, subjects=3, trials=4, missing=dict.fromkeys(trials, part), **more)


def planned(store, **settings):
    return make_plan_without_folds(store, CrossvalConfig(**({"target": "valence"} | settings)))


@pytest.mark.journey
@pytest.mark.parametrize(("part", "modalities"), [("face", ("bio", "eeg", "peri")), ("signals", ("face",))])
def test_a_modality_that_no_window_has_is_not_required_of_any(tmp_path, part, modalities):
    store = store_without(tmp_path / "s", part)
    assert store.settings["prepare"]["faces"] and store.settings["prepare"]["signals"]
    for modality in modalities:
        assert len(planned(store, modality=modality).windows) == 60
        assert planned(store, modality=modality).excluded == {}


@pytest.mark.journey
def test_of_a_store_that_has_both_every_modality_is_scored_on_the_same_windows(tmp_path):
    store = store_without(tmp_path / "s", "face", [(1, 1), (2, 3)])
    plans = [planned(store, modality=m) for m in ("facebio", "face", "bio", "eeg", "faceperi")]
    assert {tuple(plan.windows.index) for plan in plans} == {tuple(plans[0].windows.index)}
    assert plans[2].excluded == {"no face": 10} and len(plans[2].windows) == 50
    assert len(planned(store, modality="bio", rows="any").windows) == 60


@pytest.mark.journey
@pytest.mark.parametrize(
    ("part", "settings", "advice"),
    [
        ("face", {}, "no window of .* has one. Add --modality bio"),
        ("face", {"modality": "face"}, "needs faces.*Add --modality bio"),
        ("signals", {"modality": "eeg"}, "needs signals, and no window of .* has any. Add --modality face"),
        ("signals", {}, "Add --modality face"),
    ],
)
def test_the_error_names_the_options_to_give_instead(tmp_path, part, settings, advice):
    with pytest.raises(BadConfig, match=advice + "$"):
        planned(store_without(tmp_path / "s", part), **settings)


@pytest.mark.journey
def test_rows_any_takes_what_there_is_of_a_modality(tmp_path):
    assert len(planned(store_without(tmp_path / "s", "face"), modality="facebio", rows="any").windows) == 60
    assert len(planned(store_without(tmp_path / "f", "signals"), rows="any").windows) == 60
    with pytest.raises(BadConfig, match=r"60 have nothing of modality face. Add --modality bio$"):
        planned(store_without(tmp_path / "g", "face"), modality="face", rows="any")


@pytest.mark.journey
def test_an_absent_rating_is_reported_with_the_one_that_is_there(tmp_path):
    store = store_without(tmp_path / "s", "face")
    store.windows["arousal"] = float("nan")
    with pytest.raises(BadConfig, match=r"Add --target valence --modality bio$"):
        planned(store, target="both")
    with pytest.raises(BadConfig, match=r"60 have no rating of arousal. Add --target valence$"):
        planned(store, target="both", modality="eeg")
    with pytest.raises(BadConfig, match=r"Add --target valence$"):
        planned(store, target="arousal", modality="eeg")
    store.windows["valence"] = float("nan")
    with pytest.raises(BadConfig, match=r"have no rating of valence$"):
        planned(store, modality="eeg")


@pytest.mark.journey
def test_subjects_without_faces_among_others_need_rows_any(tmp_path):
    store = store_without(tmp_path / "s", "face", [(1, t) for t in range(1, 5)])
    with pytest.raises(BadConfig, match=r"20 have no face. Add --rows any$"):
        planned(store, modality="bio", subjects=("s01",))
    with pytest.raises(BadConfig, match=r"has no subject 9, S1; it has s01, s02, s03; did you mean s01\?"):
        planned(store, modality="bio", subjects=("S1", "9"))


@pytest.mark.journey
def test_folds_extents_and_comparisons_follow(tmp_path):
    store = store_without(tmp_path / "s", "face")
    config = CrossvalConfig(modality="eeg", target="valence", folds=2)
    assert sum(len(f.test) for f in make_plan(store, config).folds) == 60
    assert workload_of(PlannedRun("r", config, "modality", "", store)).test == 60
    assert available_modality(store, "gbvnet") == "bio"
    assert available_modality(store_without(tmp_path / "f", "signals"), "gbvnet") == "face"


@pytest.mark.journey
def test_of_two_stores_what_one_lacks_is_required_of_neither(tmp_path):
    first, second = write_store(tmp_path / "a", subjects=3, trials=4), store_without(tmp_path / "b", "face", seed=1)
    joined, _ = join(first, second, faces=False, signals=True)
    windows, excluded = choose_windows(joined, CrossvalConfig(modality="bio", target="valence"))
    assert (len(windows), excluded) == (120, {})
    with pytest.raises(BadConfig, match="needs faces, and no window of"):
        make_plan_without_folds(joined, CrossvalConfig(modality="facebio", target="valence"))


def test_no_name_at_all_is_not_everybody():
    with pytest.raises(BadConfig, match="subjects names no subject: leave it out for all"):
        CrossvalConfig(subjects=())


@pytest.mark.journey
def test_scaling_by_all_windows_of_a_subject_is_a_warning_of_every_run_that_sees_signals(tmp_path):
    store, by_subject = write_store(tmp_path / "s"), TrainConfig(normalise="subject")
    for modality in ("bio", "facebio", "eeg"):
        assert TRANSDUCTIVE in planned(store, modality=modality, train=by_subject).warnings
        assert TRANSDUCTIVE not in planned(store, modality=modality).warnings
    assert TRANSDUCTIVE not in planned(store, modality="face", train=by_subject).warnings
