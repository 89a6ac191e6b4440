"""Split files: those of gbvnet, and examples in other formats."""

import json

import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold

from gbvnet.cli.main import main
from gbvnet.config import PROTOCOLS, CrossvalConfig
from gbvnet.errors import BadInput
from gbvnet.evaluation.plan import make_plan
from gbvnet.evaluation.split_check import check_splits
from gbvnet.experiments.crossval import cross_validate, run_plan

from ..synthetic_store import write_store

WINDOWS = pd.DataFrame(
    [(f"s{p:02d}", t, f"clip{(t + p) % 6}", w) for p in range(1, 5) for t in range(6) for w in range(5)],
    columns=["subject", "trial", "stimulus", "window"],
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    store = write_store(folder / "store", faces=False)
    for protocol in PROTOCOLS:
        config = CrossvalConfig(system="majority", modality="bio", protocol=protocol, folds=3, target="valence")
        cross_validate(store, folder / protocol, config)
    return folder


@pytest.mark.journey
@pytest.mark.parametrize("file", ["splits.json", "predictions.parquet"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_of_our_own_only_the_window_protocol_leaks(runs, protocol, file):
    checked = check_splits(runs / protocol / file)
    assert checked.leaks == (protocol == "window")
    assert checked.folds == 3
    trial = next((s for s in checked.shared if s.unit == "trial"), None)
    if protocol == "window":
        assert (trial.groups, trial.train) == (24, 24)
        assert "windows of one trial are trained and tested on" in checked.assessment
    else:
        assert checked.assessment.startswith("No leak: no ")
        units = {s.unit: s.train for s in checked.shared}
        assert all(units.get(unit, 0) == 0 for unit in protocol.split("+"))


def third_party(splits):
    return [
        (fold, side, rows)
        for fold, pair in enumerate(splits)
        for side, rows in zip(("train", "test"), pair, strict=True)
    ]


RANDOM = third_party(KFold(5, shuffle=True, random_state=0).split(WINDOWS))
CLEAN = third_party(GroupKFold(4).split(WINDOWS, groups=WINDOWS["subject"] + "_" + WINDOWS["trial"].astype(str)))


@pytest.mark.journey
@pytest.mark.parametrize(("splits", "leaks"), [(RANDOM, True), (CLEAN, False)])
def test_a_table_of_somebody_else(tmp_path, splits, leaks):
    names = {"subject": "participant_id", "trial": "Trial", "stimulus": "video", "window": "segment"}
    table = pd.concat([WINDOWS.iloc[rows].assign(fold=fold, split=side) for fold, side, rows in splits])
    table.rename(columns=names).to_csv(tmp_path / "split.csv", index=False)
    checked = check_splits(tmp_path / "split.csv")
    assert checked.leaks == leaks
    shared = {s.unit: s.train for s in checked.shared}
    assert shared["window"] == 0
    assert shared["trial"] == (24 if leaks else 0)
    assert shared["subject"] == 4  # trials of one subject are on both sides under both
    tested = pd.concat([WINDOWS.iloc[rows].assign(fold=fold) for fold, side, rows in splits if side == "test"])
    tested.to_parquet(tmp_path / "tested.parquet")  # without sides: all other folds train
    assert check_splits(tmp_path / "tested.parquet").leaks == leaks


@pytest.mark.journey
@pytest.mark.parametrize(("splits", "leaks"), [(RANDOM, True), (CLEAN, False)])
@pytest.mark.parametrize("form", ["s{:02}_t{}_w{}", "{:02}/{}/{}", "dict"])
def test_json_of_somebody_else(tmp_path, splits, leaks, form):
    def name(row):
        p, t, w = int(row.subject[1:]), row.trial, row.window
        return {"participant": row.subject, "trial_id": t, "segment": w} if form == "dict" else form.format(p, t, w)

    folds = [{} for _ in range(1 + max(fold for fold, _, _ in splits))]
    for fold, side, rows in splits:
        folds[fold]["training" if side == "train" else "test"] = [name(r) for r in WINDOWS.iloc[rows].itertuples()]
    (tmp_path / "folds.json").write_text(json.dumps({"folds": folds}))
    assert check_splits(tmp_path / "folds.json").leaks == leaks


def test_subjects_on_both_sides_where_nothing_else_is_known(tmp_path):
    (tmp_path / "a.json").write_text('{"unit": "subject", "train": ["s01", "s02"], "test": ["s02"]}')
    checked = check_splits(tmp_path / "a.json")
    assert not checked.leaks
    assert checked.assessment == (
        "No leak is known: subjects are on both sides, and of trials and stimuli the file says nothing."
    )


@pytest.mark.journey
def test_validation_on_the_test_side_is_a_leak(tmp_path):
    fold = {"train": ["1/1", "1/2"], "val": ["1/3"], "test": ["1/3"]}
    (tmp_path / "a.json").write_text(json.dumps([fold]))
    assert "the test chose its own model" in check_splits(tmp_path / "a.json").assessment
    (tmp_path / "b.json").write_text(json.dumps([fold | {"val": ["1/4"]}]))
    assert not check_splits(tmp_path / "b.json").leaks


@pytest.mark.journey
def test_the_command_exits_with_1_for_a_leak(runs, capsys):
    assert main(["audit", "--splits", str(runs / "window/splits.json")]) == 1
    out = capsys.readouterr().out
    assert "24 of 24 tested trials are also trained on, in 3 of 3 folds" in out
    assert "LEAK" in out
    assert main(["audit", "--splits", str(runs / "subject/splits.json")]) == 0
    assert "No leak: no subject is on both sides" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "does not read"),
        ("a.json", '{"folds": [{"train": ["1/1"]}]}', "expected a train and a test side in fold 1"),
        ("a.json", '[{"train": [17], "test": [18]}]', "17, which tells no trial"),
        ("a.json", "[" * 50_000, "nested too deep"),
        ("a.json", '[{"train": 1.5, "test": ["1/1"]}]', "a list of names on the train side of fold 1, found 1.5"),
        ("a.json", '[{"train": "1/1", "test": ["1/1"]}]', "a list of names on the train side"),
        ("a.json", '[{"train": ["\\ud800/1"], "test": ["1/1"]}]', "surrogates not allowed"),
        ("a.json", '[{"train": [], "test": []}]', "expected names of windows, trials, stimuli or subjects, found none"),
        ("a.csv", "subject,trial,fold\n", "expected names of windows, trials, stimuli or subjects, found none"),
        ("a.parquet", "PAR1" * 9, "a file that does not open"),
        ("a.csv", "subject,fold\n1,2\n", "expected a column trial"),
        ("a.csv", "subject,trial,fold,side\n1,2,1,left\n", "found 'left'"),
        ("a.txt", "", "ends in .json"),
    ],
)
def test_a_split_without_usable_names_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        check_splits(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "subject,trial,fold,side\n1,1,1,test\n2,1,1,test\n", "train side of each fold, found none in fold 1"),
        ("a.csv", "subject,trial,fold,side\n1,1,1,train\n1,2,1,test\n1,3,2,test\n", "found none in fold 2"),
        ("a.json", '[{"train": [], "test": ["1/1"]}]', "train side of each fold, found none in fold 1"),
        ("a.json", '[{"train": [], "val": ["1/2"], "test": ["1/1"]}]', "found none in fold 1"),
        ("a.json", '[{"train": ["1/1"], "test": ["1/2"]}, {"train": [], "test": []}]', "names on both sides of fold 2"),
        (
            "a.json",
            '{"protocol": "trial", "scope": "pooled", "unit": "trial", "folds": [{"train": [], "test": ["s1/1"]}]}',
            "train side of each fold, found none in fold 1",
        ),
    ],
)
def test_a_split_that_trains_on_nothing_is_refused_and_not_called_free_of_leaks(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        check_splits(tmp_path / name)


def test_numbers_of_one_trial_may_be_written_in_several_ways(tmp_path):
    table = pd.DataFrame({"subject": ["s01", "s1"], "trial": ["05", "5"], "window": [0, 1], "fold": [1, 2]})
    table.to_csv(tmp_path / "t.csv", index=False)
    assert check_splits(tmp_path / "t.csv").leaks


# --- names in forms that occur in practice ---

ODD = ("sub-01", "s_2", "anna:b", "a,b", "1/x", "Anna Maria", "f\u00fcr")


@pytest.fixture(scope="module")
def odd_runs(tmp_path_factory):
    """Cross-validations of a store whose subjects and stimuli have every separator in their names."""
    folder = tmp_path_factory.mktemp("odd")
    store = write_store(folder / "store", faces=False)
    renamed = dict(zip(sorted(store.windows["subject"].unique()), ODD, strict=False))
    store.windows = store.windows.assign(
        subject=store.windows["subject"].map(renamed), stimulus="film-" + store.windows["stimulus"].astype(str) + "_a"
    )
    for protocol in PROTOCOLS:
        config = CrossvalConfig(system="majority", modality="bio", protocol=protocol, folds=2, target="valence")
        run_plan(store, folder / protocol, config, make_plan(store, config))
    return folder


@pytest.mark.journey
@pytest.mark.parametrize("file", ["splits.json", "predictions.parquet"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_separators_in_names_make_no_leak_of_our_own_and_hide_none(odd_runs, protocol, file):
    checked = check_splits(odd_runs / protocol / file)
    assert checked.leaks == (protocol == "window")
    shared = {s.unit: s.train for s in checked.shared}
    assert all(shared.get(unit, 0) == 0 for unit in protocol.split("+"))
    if file == "splits.json" and protocol != "window":  # the same file with a tested group trained on as well
        held = json.loads((odd_runs / protocol / file).read_text())
        held["folds"][0]["train"].append(held["folds"][0]["test"][0])
        leaky = odd_runs / f"{protocol}.json"
        leaky.write_text(json.dumps(held))
        again = check_splits(leaky)
        assert sum(s.train for s in again.shared if s.unit in protocol.split("+")) == 1
        assert again.leaks == (protocol == "trial")


@pytest.mark.journey
@pytest.mark.parametrize(
    ("train", "test", "leaks"),
    [
        ("s01/film-3", "s01/film-4", False),
        ("s01/film-3", "s01/film-3", True),
        ("s01/film-3/1", "s01/film-3/2", True),
        ("s01/film-3/1", "s01/film-4/1", False),
        ("sub-01/3", "sub-02/3", False),
        ("sub-01_ses-1_run-2", "sub-01_ses-1_run-3", False),
        ("sub-01_ses-1_run-2_win-1", "sub-01_ses-1_run-2_win-7", True),
        ("s_01-5", "s_02-5", False),
        ("s_01-5", "s_01-05", True),
        ("sub-01:film,1", "sub-01:film,2", False),
        ("Anna Maria/film 1/0", "Anna Maria/film 1/1", True),
        ("s01/t05_w12", "s01/t05_w13", True),
        ("s01_t05/w12", "s01_t05/w13", True),
        ("s01_t05/w12", "s01_t06/w12", False),
        ("J\u00fcrgen/1", "Ju\u0308rgen/1", False),
    ],
)
def test_names_of_others_with_separators_in_them(tmp_path, train, test, leaks):
    (tmp_path / "s.json").write_text(json.dumps({"folds": [{"train": [train], "test": [test]}]}))
    checked = check_splits(tmp_path / "s.json")
    assert checked.leaks == leaks
    assert f"{train!r} is read as " in str(checked)


@pytest.mark.journey
def test_ambiguous_names_are_reported(tmp_path):
    def report(train, test):
        (tmp_path / "s.json").write_text(json.dumps({"folds": [{"train": train, "test": test}]}))
        return str(check_splits(tmp_path / "s.json"))

    assert "'s01/film-3' is read as subject s01, trial film-3" in report(["s01/film-3"], ["s01/film-4"])
    assert "1 of 1 tested trials are also trained on: then write subject/trial/window" in report(["a/x-3"], ["a/x-4"])
    for one, other in (("s01", "S-1"), ("Anna", "anna"), ("J\u00fcrgen", "Ju\u0308rgen")):
        assert "may be one subject in several spellings" in report([f"{one}/1"], [f"{other}/1"])
    assert "spellings" not in report(["s01/1", "s1/2"], ["s10/1", "s11/1", "sub-1-1/1", "sub-11/1"])


@pytest.mark.parametrize("names", [["a/b/c/d"], ["s01/1", "s01/1/2"], ["sub-01", "sub-02"], ["s01"]])
def test_names_that_cannot_be_split_into_parts_are_refused(tmp_path, names):
    (tmp_path / "s.json").write_text(json.dumps({"folds": [{"train": names, "test": names}]}))
    with pytest.raises(BadInput, match="which tells no trial"):
        check_splits(tmp_path / "s.json")


def table_of(tmp_path, rows, head="subject,trial,fold,side"):
    file = tmp_path / "split.csv"
    file.write_text("\n".join([head, *rows]) + "\n")
    return file


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (["s1,1,1,train", "s1,,1,test"], "subject,trial,fold,side", "a trial in each row, found none in row 2"),
        (["s1,1,1,train", "s1,1,,test"], "subject,trial,fold,side", "a fold in each row, found none in row 2"),
        (["s1,1,1,train", "s1,2,1,train"], "subject,trial,fold,side", "test side of each fold, found none in fold 1"),
        (["s1,1,1", "s1,2,1"], "subject,trial,fold", "at least two folds, or a column that names the sides"),
    ],
)  # fmt: skip
def test_what_a_table_leaves_out_is_no_clean_split(tmp_path, rows, head, message):
    with pytest.raises(BadInput, match=message):
        check_splits(table_of(tmp_path, rows, head))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("rows", "leaks"),
    [
        (["NA,1,1,train", "null,1,1,test"], False),  # names, and no empty cells
        (["NA,1,1,train", "NA,1,1,test"], True),
        (["s1,1,1.0,train", "s1,1,1,test"], True),  # fold 1 of a column that was once of numbers
        (["s1 , 1,1, train", "s1,1,1,test "], True),
    ],
)
def test_cells_are_names_as_they_are_written(tmp_path, rows, leaks):
    assert check_splits(table_of(tmp_path, rows, "subject, trial ,fold,side")).leaks == leaks


def test_a_trial_is_counted_within_its_session(tmp_path):
    head = "subject,session,trial,fold"
    honest = table_of(tmp_path, ["s1,1,1,1", "s1,2,1,2"], head)
    assert not check_splits(honest).leaks
    assert check_splits(table_of(tmp_path, ["s1,2,1,1", "s1,2,1,2"], head)).leaks


@pytest.mark.parametrize("tested", [[], ["s1/t2/1", "s1/t2/2"]])
def test_an_empty_test_side_is_refused_and_a_shared_validation_side_is_reported(tmp_path, tested):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"folds": [{"train": ["s1/t1/1"], "val": ["s1/t2/3"], "test": tested}]}))
    if not tested:
        with pytest.raises(BadInput, match="names on the test side of each fold, found none in fold 1"):
            check_splits(file)
        return
    checked = check_splits(file)
    assert not checked.leaks
    assert "Windows of tested trials are on the validation side" in checked.assessment


@pytest.mark.parametrize(
    ("train", "test", "leaks"),
    [
        ("P1-film-3", "P1-film-4", False),  # two films, and no two windows of a trial `film`
        ("s01_trial_a", "s01_trial_b", False),
        ("s01_happy_1", "s01_happy_2", True),
        ("s01_seg1_t1", "s01_seg2_t1", True),  # the window before the trial
        ("s01_seg1_t1", "s01_seg1_t2", False),
        ({"subject": 1, "session": 1, "trial": 1}, {"subject": 1, "session": 2, "trial": 1}, False),
        ({"Subject": 1, "Session": 2, "Trial": 1}, {"Subject": 1, "Session": 2, "Trial": 1}, True),
    ],
)
def test_a_trial_is_the_whole_of_its_name(tmp_path, train, test, leaks):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"folds": [{"train": [train], "test": [test]}]}))
    assert check_splits(file).leaks == leaks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"train": [{"subject": "s1", "trial": ""}], "test": [{"subject": "s1", "trial": "2"}]}', "tells no trial"),
        ('{"train": [{"subject": "s1", "trial": null}], "test": [{"subject": "s1", "trial": "2"}]}', "tells no trial"),
        ('{"train": ["s1/1"], "train": ["s1/2"], "test": ["s1/1"]}', "'train' is given twice"),
    ],
)
def test_a_split_with_a_name_missing_or_a_side_twice_is_refused(tmp_path, text, message):
    file = tmp_path / "split.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        check_splits(file)
