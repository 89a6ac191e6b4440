"""Files of predictions of other programs: what is read, what is added from where, and what is refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gbvnet.errors import BadInput, BadRun
from gbvnet.evaluation import outside_predictions
from gbvnet.evaluation.outside_labels import Reference, complete
from gbvnet.evaluation.outside_predictions import read_outside
from gbvnet.evaluation.split_check import check_splits

from .. import fake_runs

NEEDED = ["recording", "window", "fold", "p"]
LABELS = ["dataset", "target", "subject", "trial", "y"]


@pytest.fixture(scope="module")
def run():
    """A run's table: 6 subjects, 10 trials of 5 windows each, five folds by trial; each trial has a stimulus."""
    return fake_runs.table()


def save(folder, rows, name="theirs.csv", **how):
    path = folder / name
    rows.to_csv(path, index=False, **how)
    return path


def completed(path, *tables):
    (result,) = complete(read_outside(path), [Reference(f"run{k}", table) for k, table in enumerate(tables)])
    return result


# --- what is taken from a run ---


@pytest.mark.journey
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_labels_are_those_of_the_run_in_every_format(tmp_path, run, kind):
    rows = run[NEEDED].sample(frac=1, random_state=0)
    path = tmp_path / f"theirs.{kind}"
    if kind == "parquet":
        rows.to_parquet(path)
    else:
        rows.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    result = completed(path, run)
    keys = ["recording", "window"]
    mine, theirs = (t.sort_values(keys).reset_index(drop=True) for t in (run, result.table))
    same = ["dataset", "target", "scope", "seed", "fold", "recording", "subject", "trial", "stimulus", "window",
            "start_s", "rating", "y", "p", "protocol"]  # fmt: skip
    pd.testing.assert_frame_equal(theirs[same], mine[same])
    assert set(result.table["system"]) == {"theirs (outside)"}
    assert set(result.table["modality"]) == {"modality not given"}
    assert result.reference == 0
    assert result.origin.labels == "run `run0`"
    assert result.origin.protocol == "its folds are those of run `run0`"


@pytest.mark.journey
def test_the_prior_is_the_share_of_high_in_the_windows_of_the_other_folds(tmp_path, run):
    result = completed(save(tmp_path, run[NEEDED]), run)
    for fold, rows in result.table.groupby("fold"):
        assert rows["prior"].unique() == pytest.approx([run.loc[run["fold"] != fold, "y"].mean()])
    assert result.origin.prior == "from the windows of the other folds"
    given = completed(save(tmp_path, run[NEEDED].assign(prior=0.25)), run)
    assert set(given.table["prior"]) == {0.25}
    assert given.origin.prior == "as the file gives it"


@pytest.mark.journey
@pytest.mark.parametrize(
    "names",
    [
        {"recording": "Recording_ID", "window": "segment", "fold": "fold_id"},
        {"subject": "participant", "trial": "trial_id", "window": "sample"},
    ],
)
def test_other_names_of_columns_are_understood(tmp_path, run, names):
    rows = run[[*(set(names) - {"fold"}), "fold", "p"]].rename(columns=names)
    table = completed(save(tmp_path, rows), run).table
    assert (table["y"].to_numpy() == run["y"].to_numpy()).all()


@pytest.mark.journey
def test_leading_zeros_of_names_make_no_difference(tmp_path, run):
    rows = run.assign(trial=run["trial"].astype(int).astype(float))[["subject", "trial", "window", "fold", "p"]]
    assert (completed(save(tmp_path, rows), run).table["recording"] == run["recording"]).all()
    two = run.assign(trial=run["trial"].replace({"10": "1"}), recording=run["recording"].str.replace("_10", "_1"))
    rows = two.assign(trial=two["trial"].replace({"1": "0001"}))[["subject", "trial", "window", "fold", "p"]]
    with pytest.raises(BadInput, match="recordings and windows of run"):  # 0001 could be 01 or 1
        completed(save(tmp_path, rows), two)


@pytest.mark.journey
def test_several_systems_targets_and_seeds_in_one_file_are_several_results(tmp_path, run):
    arousal = fake_runs.table(target="arousal", labels=3)
    rows = pd.concat([t[[*NEEDED, "target"]].assign(system=s, seed=k) for t in (run, arousal)
                      for s in ("a", "gbvnet") for k in (1, 2)])  # fmt: skip
    results = complete(read_outside(save(tmp_path, rows)), [Reference("v", run), Reference("a", arousal)])
    assert len(results) == 8
    assert {r.table["system"].iloc[0] for r in results} == {"a (outside)", "gbvnet (outside)"}
    for result in results:
        of_run = run if result.reference == 0 else arousal
        assert (result.table["y"].to_numpy() == of_run["y"].to_numpy()).all()
    with pytest.raises(BadInput, match=r"expected a column target, found none, and runs of arousal and valence"):
        completed(save(tmp_path, run[NEEDED]), run, arousal)


@pytest.mark.journey
def test_a_run_on_shuffled_labels_gives_no_labels(tmp_path, run):
    probe = run.assign(system="gbvnet on shuffled labels", y=1 - run["y"])
    assert completed(save(tmp_path, run[NEEDED]), probe, run).reference == 1


@pytest.mark.journey
def test_two_runs_with_other_labels_need_the_files_own_to_choose(tmp_path, run):
    other = run.assign(y=1 - run["y"])
    with pytest.raises(BadInput, match="runs with one set of labels beside it, found runs `run0` and `run1`"):
        completed(save(tmp_path, run[NEEDED]), run, other)
    assert completed(save(tmp_path, other[[*NEEDED, "y"]]), run, other).reference == 1


@pytest.mark.journey
def test_classes_and_numbers(tmp_path):
    classes, ratings = fake_runs.class_table(), fake_runs.rating_table()
    result = completed(save(tmp_path, classes[["recording", "window", "fold", "p_0", "p_1", "p_2"]]), classes)
    fold = result.table[result.table["fold"] == 1].iloc[0]
    others = classes.loc[classes["fold"] != 1, "y"]
    assert [fold[f"prior_{k}"] for k in range(3)] == pytest.approx([(others == k).mean() for k in range(3)])
    result = completed(save(tmp_path, ratings[["recording", "window", "fold", "y_hat"]]), ratings)
    fold = result.table[result.table["fold"] == 1].iloc[0]
    assert fold["prior"] == pytest.approx(ratings.loc[ratings["fold"] != 1, "y"].mean())
    assert (result.table["y"] == ratings["y"]).all()


@pytest.mark.journey
def test_rounded_probabilities_of_classes_get_a_sum_of_one(tmp_path):
    classes = fake_runs.class_table()
    names = ["p_0", "p_1", "p_2"]
    rows = classes[["recording", "window", "fold", *names]].round(4)
    table = completed(save(tmp_path, rows), classes).table
    np.testing.assert_allclose(table[names].sum(axis=1), 1, atol=1e-12)
    rows["p_0"] += 0.1
    with pytest.raises(BadInput, match=r"(p_0 … p_2 with a sum of 1|between 0 and 1)"):
        read_outside(save(tmp_path, rows))


@pytest.mark.journey
def test_two_columns_of_a_classifier_are_the_probability_of_the_second(tmp_path, run):
    rows = run.assign(p_0=1 - run["p"], p_1=run["p"])[["recording", "window", "fold", "p_0", "p_1"]]
    np.testing.assert_allclose(completed(save(tmp_path, rows), run).table["p"], run["p"])


# --- without a run ---


@pytest.mark.journey
def test_a_file_with_labels_of_its_own_needs_no_run(tmp_path, run):
    result = completed(save(tmp_path, run[[*NEEDED, *LABELS, "stimulus"]]))
    assert result.reference is None
    assert result.origin.labels == "the file's own columns"
    assert set(result.table["protocol"]) == {"stimulus"}
    by_trial = completed(save(tmp_path, run[["window", "fold", "p", *LABELS]]))
    assert set(by_trial.table["protocol"]) == {"trial"}  # nothing is known of stimuli
    assert (by_trial.table["recording"] == run["recording"]).all()


@pytest.mark.journey
@pytest.mark.parametrize("left_out", LABELS[:3] + LABELS[4:])
def test_labels_that_are_missing_are_all_named(tmp_path, run, left_out):
    rows = run[[*NEEDED, *LABELS]].drop(columns=[left_out])
    with pytest.raises(BadInput, match=f"expected the columns {left_out} as well, as no run is beside it") as caught:
        completed(save(tmp_path, rows))
    assert "Give the folder of a run" in caught.value.remedy
    with pytest.raises(BadInput, match="dataset, target, subject, y as well"):
        completed(save(tmp_path, run[NEEDED]))


@pytest.mark.journey
def test_a_run_of_another_target_supplies_nothing_and_the_message_says_so(tmp_path, run):
    with pytest.raises(BadInput, match="no run beside it has binary predictions of arousal"):
        completed(save(tmp_path, run[NEEDED].assign(target="arousal")), run)
    other = completed(save(tmp_path, run[[*NEEDED, *LABELS]].assign(dataset="seed")), run)
    assert other.reference is None


@pytest.mark.journey
def test_the_stamp_of_synthetic_data_is_the_runs(tmp_path, run):
    synthetic = run.assign(dataset="deap (synthetic data)")
    result = completed(save(tmp_path, run[NEEDED].assign(dataset="deap")), synthetic)
    assert set(result.table["dataset"]) == {"deap (synthetic data)"}


@pytest.mark.journey
@pytest.mark.parametrize(("y", "message"), [(2, "a y of 0 or 1"), (0.5, "a y of 0 or 1"), ("", "a y of 0 or 1")])
def test_labels_of_the_file_are_checked(tmp_path, run, y, message):
    rows = run[[*NEEDED, *LABELS]].astype({"y": object})
    rows.loc[7, "y"] = y
    with pytest.raises(BadInput, match=rf"{message}, found row 8 below the head"):
        completed(save(tmp_path, rows))
    rows.loc[7, "y"] = 1 - run.loc[8, "y"]
    with pytest.raises(BadRun, match=r"one y for all windows of a trial.*docs/outside\.md"):
        completed(save(tmp_path, rows))


# --- the protocol is what the folds separate ---


def folds(run, name):
    rng = np.random.default_rng(0)
    subject = run["subject"].str[1:].astype(int)
    trial = run["trial"].astype(int)
    return {
        "window": rng.integers(1, 6, len(run)),
        "trial": 1 + (3 * subject + trial) % 5,
        "stimulus": 1 + trial % 3,
        "subject": 1 + subject % 3,
    }[name]


@pytest.mark.journey
@pytest.mark.parametrize("name", ["window", "trial", "stimulus", "subject"])
@pytest.mark.parametrize("beside", [True, False])
def test_the_protocol_follows_from_the_folds(tmp_path, run, name, beside):
    path = save(tmp_path, run[[*NEEDED, *LABELS, "stimulus"]].assign(fold=folds(run, name)))
    result = completed(path, run) if beside else completed(path)
    assert set(result.table["protocol"]) == {name}
    assert result.origin.protocol == "derived from what its folds separate"
    assert result.origin.warnings == ()
    assert check_splits(path).leaks == (name == "window")


@pytest.mark.journey
def test_neither_subjects_nor_stimuli_shared_is_the_hardest_protocol(tmp_path, run):
    part = run[(folds(run, "subject") == folds(run, "stimulus")).to_numpy()]
    result = completed(save(tmp_path, part[[*NEEDED, *LABELS, "stimulus"]].assign(fold=folds(part, "subject"))))
    assert set(result.table["protocol"]) == {"subject+stimulus"}


@pytest.mark.journey
@pytest.mark.parametrize(
    ("claim", "by", "protocol", "warned"),
    [
        ("trial", "window", "window", "windows of one trial are trained and tested on"),
        ("subject", "trial", "trial", "subjects are on both sides"),
        ("subject+stimulus", "subject", "subject", "subjects or stimuli are on both sides"),
        ("LOSO", "subject", "subject", "'LOSO', which gbvnet does not know"),
        ("trial", "subject", "trial", ""),  # true as well
        ("window", "subject", "window", ""),  # nobody says so of results that do not leak
        ("subject", "subject", "subject", ""),
    ],
)
def test_a_protocol_that_the_file_states_counts_only_if_its_folds_keep_it(tmp_path, run, claim, by, protocol, warned):
    result = completed(save(tmp_path, run[NEEDED].assign(fold=folds(run, by), protocol=claim)), run)
    assert set(result.table["protocol"]) == {protocol}
    assert len(result.origin.warnings) == bool(warned)
    assert all(warned in text and f"reported under protocol {protocol}" in text for text in result.origin.warnings)


def sided(run, train):
    """Rows of each fold's test side, and those that its training used. train : (run, fold) -> rows"""
    parts = []
    for fold in sorted(run["fold"].unique()):
        tested = run[run["fold"] == fold]
        parts += [tested.assign(split="test"), train(run, fold).assign(split="train", fold=fold, p=np.nan)]
    return pd.concat(parts)[[*NEEDED, "split"]]


@pytest.mark.journey
def test_training_rows_of_the_file_count_in_the_place_of_the_other_folds(tmp_path, run):
    by_window = run.assign(fold=folds(run, "window"))
    honest = sided(by_window, lambda rows, k: rows[~rows["recording"].isin(rows.loc[rows["fold"] == k, "recording"])])
    few = honest[honest["fold"] < 3]
    with pytest.raises(BadInput, match="found no prediction of recording"):
        completed(save(tmp_path, few), run)
    by_trial = sided(run, lambda rows, k: rows[(rows["fold"] != k) & (rows["fold"] != k % 5 + 1)])
    result = completed(save(tmp_path, by_trial), run)
    assert set(result.table["protocol"]) == {"trial"}
    assert len(result.table) == len(run)
    prior = result.table.loc[result.table["fold"] == 1, "prior"].iloc[0]
    assert prior == pytest.approx(run.loc[run["fold"].isin([3, 4, 5]), "y"].mean())
    assert result.origin.prior == "from the training rows"
    leaky = sided(run, lambda rows, k: rows[(rows["fold"] != k) | (rows["window"] == 0)])
    assert set(completed(save(tmp_path, leaky), run).table["protocol"]) == {"window"}
    chosen = leaky.assign(split=leaky["split"].replace("train", "val"))  # the test side chose the model
    assert set(completed(save(tmp_path, chosen), run).table["protocol"]) == {"window"}


@pytest.mark.journey
def test_one_fold_needs_to_say_what_it_was_trained_on(tmp_path, run):
    rows = run[[*NEEDED, *LABELS]]
    with pytest.raises(BadInput, match=r"at least two folds, found one, so that nothing is trained on.*column side"):
        completed(save(tmp_path, rows.assign(fold=1)))
    test = run["trial"] > "07"
    side = np.where(test, "test", "train")
    result = completed(save(tmp_path, rows.assign(fold=1, side=side)))
    assert len(result.table) == test.sum()
    assert set(result.table["protocol"]) == {"trial"}
    for more in ({}, {"prior": 0.5}):  # a prior of its own does not make up for training rows
        with pytest.raises(BadInput, match="rows on the train side of each fold"):
            completed(save(tmp_path, rows.assign(fold=1, side="test", **more)))


@pytest.mark.journey
def test_folds_within_each_subject(tmp_path, run):
    fold = run["trial"].astype(int) % 5 + 1
    within = run.assign(scope="per-subject", fold=fold + 5 * (run["subject"].str[1:].astype(int) - 1))
    result = completed(save(tmp_path, within[NEEDED]), within)
    assert set(result.table["scope"]) == {"per-subject"}
    assert set(result.table["protocol"]) == {"trial"}
    one = result.table[(result.table["subject"] == "s02") & (result.table["fold"] == 6)]["prior"].iloc[0]
    assert one == pytest.approx(within.loc[(within["subject"] == "s02") & (within["fold"] != 6), "y"].mean())
    restarted = completed(save(tmp_path, within[[*NEEDED, "scope"]].assign(fold=fold)), within)
    assert restarted.origin.folds.startswith("30, those of run")
    assert set(completed(save(tmp_path, within[NEEDED].assign(fold=fold)), within).table["scope"]) == {"per-subject"}
    own = completed(save(tmp_path, run[[*NEEDED, *LABELS, "stimulus"]].assign(fold=fold, scope="per-subject")))
    assert set(own.table["protocol"]) == {"trial"}  # a subject's stimuli are its trials
    with pytest.raises(BadInput, match="at least two folds of subject s01"):
        completed(save(tmp_path, run[NEEDED].assign(fold=run["subject"], scope="per-subject")), run)
    with pytest.raises(BadInput, match="a scope of pooled and per-subject, found 'all'"):
        completed(save(tmp_path, run[NEEDED].assign(scope="all")), run)


# --- what is refused ---


@pytest.mark.journey
def test_rows_that_the_run_does_not_have_are_refused(tmp_path, run):
    rows = run[NEEDED].copy()
    rows.loc[[11, 12], "window"] = [77, 78]
    with pytest.raises(BadInput, match=r"recordings and windows of run `run0`, found row 12 .*'77'.*of 2 such rows"):
        completed(save(tmp_path, rows), run)
    rows = run[NEEDED].replace({"recording": {"s01_01": "nobody"}})
    with pytest.raises(BadInput, match=r"found row 1 below the head \(recording 'nobody'.*of 5 such rows"):
        completed(save(tmp_path, rows), run)


def test_windows_that_are_missing_are_counted(tmp_path, run):
    with pytest.raises(BadInput, match="no prediction of recording s06_10, window 2, and 3 of 300 missing in all"):
        completed(save(tmp_path, run[NEEDED].iloc[:-3]), run)


def test_windows_twice_are_refused(tmp_path, run):
    rows = pd.concat([run[NEEDED], run[NEEDED].iloc[[3, 4]]])
    with pytest.raises(BadInput, match=r"each window tested once by a system, found row 301 .*'s01_01'.*of 2 such"):
        read_outside(save(tmp_path, rows))
    again = pd.concat([run[NEEDED].assign(seed=k) for k in (0, 1)])
    assert len(list(read_outside(save(tmp_path, again)).results())) == 2


@pytest.mark.parametrize("column", ["y", "rating"])
def test_labels_that_are_not_the_runs_are_refused(tmp_path, run, column):
    rows = run[[*NEEDED, column]].copy()
    rows.loc[[20, 21], column] = 1 - run.loc[[20, 21], column]
    with pytest.raises(BadInput, match=rf"expected {column} as in run `run0` \(.*\), found row 21 .*of 2 such rows"):
        completed(save(tmp_path, rows), run)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("p", "", r"a p that is between 0 and 1, found row 6 below the head \(p 'nan'"),
        ("p", "NaN", r"a p that is between 0 and 1, found row 6 below the head \(p 'nan'"),
        ("p", 1.2, r"a p that is between 0 and 1, found row 6 below the head \(p '1\.2'"),
        ("p", "inf", "a p that is between 0 and 1"),
        ("p", "0,7", r"numbers in column p, found row 6 below the head \(p '0,7'\)"),
        ("p", "high", r"numbers in column p, found row 6 below the head \(p 'high'\)"),
        ("window", 2.5, r"a whole number as window, found row 6 below the head \(window '2\.5'"),
        ("window", "w3", "a whole number as window"),
        ("window", 10**30, "a whole number as window"),
        ("fold", "", "a fold in each row"),
        ("recording", " ", "a recording in each row"),
        ("recording", "a\nb", "(a plain name as recording|as many cells)"),
        ("recording", "r" * 300, "at most 200 characters in column recording"),
        ("system", "$x$", "a plain name as system"),
        ("system", "x" * 100, "at most 60 characters in column system"),
        ("seed", 0.5, "a whole number as seed"),
        ("side", "oops", "a side of train"),
    ],
)
def test_cells_that_are_no_predictions_are_refused_with_the_row(tmp_path, run, column, cell, message):
    rows = run[NEEDED].assign(system="a", seed=0, side="test").astype(object)
    rows.loc[5, column] = cell
    with pytest.raises(BadInput, match=message) as caught:
        read_outside(save(tmp_path, rows))
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"p": "probability"}, "one kind of prediction.*none among the columns recording, window, fold, probability"),
        ({"p": "p_1"}, "p_0, p_1 and so on"),
        ({"fold": "part"}, "expected a column fold, found the columns recording, window, p"),
        ({"recording": "name"}, r"a column recording \(or subject and trial\)"),
        ({"fold": "p_0"}, "one kind of prediction.*found p and p_0"),
        ({"recording": "Window "}, "each column once, found two columns window"),
        ({"recording": "segment", "window": "sample"}, "one column window, found segment and sample"),
    ],
)
def test_columns_that_are_missing_or_could_be_two_are_refused(tmp_path, run, rename, message):
    with pytest.raises(BadInput, match=message):
        read_outside(save(tmp_path, run[NEEDED].rename(columns=rename)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "an empty file"),
        ("a.csv", b"recording,window,fold,p\n", "a head without rows"),
        ("a.csv", b"recording,window,fold,p\nr,0,1\n", "as many cells in each row"),
        ("a.csv", b"recording;window;fold;p\nr;0;1;0,5\n", "columns separated by commas"),
        ("a.tsv", b"recording,window,fold,p\nr,0,1,0.5\n", "columns separated by tabs"),
        ("a.csv", b"recording,window,fold,p\n\xe9,0,1,0.5\n", "text in UTF-8"),
        ("a.csv", "recording,window,fold,p\n".encode("utf-16"), "text in UTF-8"),
        ("a.csv", b"a,b\n1,2\n", "one kind of prediction"),
        (
            "a.xlsx",
            b"PK\x03\x04",
            r"\.csv, \.tsv or \.parquet, found a file that ends in \.xlsx\. Save the table as CSV",
        ),
        ("a.pkl", b"\x80\x04N.", r"found a file that ends in \.pkl"),
        ("a.parquet", b"PAR1", "a Parquet file, found one that does not open"),
        ("a.parquet", b"recording,window\n", "a Parquet file, found one that does not open"),
        ("$a$.csv", b"recording,window,fold,p\nr,0,1,0.5\n", "a column system, or a plain name of the file"),
    ],
)
def test_files_that_are_no_tables_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        read_outside(tmp_path / name)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="no such file"):
        read_outside(tmp_path / "absent.csv")


def test_a_mark_of_the_byte_order_and_empty_lines_make_no_difference(tmp_path, run):
    path = save(tmp_path, run[NEEDED], encoding="utf-8-sig")
    assert len(read_outside(path).rows) == len(run)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert len(read_outside(path).rows) == len(run)


def test_sizes_are_bounded(tmp_path, run, monkeypatch):
    path = save(tmp_path, run[NEEDED])
    many = save(tmp_path, pd.concat([run[NEEDED].assign(seed=k) for k in range(3)]), "many.csv")
    run[NEEDED].to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(outside_predictions, "MAX_RESULTS", 2)
    with pytest.raises(BadInput, match="at most 2 results, found 3 by the columns seed"):
        read_outside(many)
    monkeypatch.setattr(outside_predictions, "MAX_ROWS", 10)
    for file in (path, tmp_path / "a.parquet"):
        with pytest.raises(BadInput, match="at most 10 rows, found 300"):
            read_outside(file)
    monkeypatch.setattr(outside_predictions, "MAX_BYTES", 100)
    with pytest.raises(BadInput, match="at most 0 MiB"):
        read_outside(path)


@pytest.mark.journey
def test_a_long_text_repeated_in_a_small_parquet_file_is_not_expanded(tmp_path):
    n = 200_000
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x" * 1_000_000]))
    table = pa.table({"recording": text, "window": np.arange(n), "fold": np.ones(n, int), "p": np.ones(n)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 5_000_000
    with pytest.raises(BadInput, match="at most 200 characters in column recording"):
        read_outside(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("values", "message"),
    [(pa.array([[0.5], [0.5]]), "numbers in column p, found list"), (pa.array([None, 0.5]), "between 0 and 1")],
)
def test_columns_of_other_types_are_refused(tmp_path, values, message):
    pq.write_table(
        pa.table({"recording": ["a", "b"], "window": [0, 0], "fold": [1, 2], "p": values}), tmp_path / "a.parquet"
    )
    with pytest.raises(BadInput, match=message):
        read_outside(tmp_path / "a.parquet")


# --- the check of splits reads the same file ---


@pytest.mark.journey
def test_a_file_with_several_systems_is_checked_for_each(tmp_path, run):
    rows = pd.concat([
        run[NEEDED].assign(fold=folds(run, "trial"), system="a"),
        run[NEEDED].assign(fold=folds(run, "subject"), system="b"),
    ])  # fmt: skip
    assert not check_splits(save(tmp_path, rows)).leaks  # together, trials would be in two folds
    leaky = pd.concat([rows, run[NEEDED].assign(fold=folds(run, "window"), system="c")])
    assert check_splits(save(tmp_path, leaky)).leaks
