"""The predictions table: what is written comes back, and what would give a wrong score is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gbvnet.errors import BadRun
from gbvnet.evaluation import predictions
from gbvnet.provenance import LEAKY


def table(protocol="trial", dataset="deap"):
    """Two trials of two windows each, one fold."""
    rows = pd.DataFrame({"trial": ["01", "01", "02", "02"], "window": [0, 1, 0, 1], "y": [1, 1, 0, 0]})
    return rows.assign(
        dataset=dataset, system="gbvnet", modality="facebio", target="valence", protocol=protocol, scope="pooled",
        seed=0, fold=1, recording="s01_" + rows["trial"], subject="s01", stimulus=rows["trial"],
        start_s=1.0 * rows["window"],
        rating=3.0 + 4 * rows["y"], p=[0.9, 0.4, 0.2, 0.5], prior=0.5, gate_face=np.nan, gate_bio=0.25, config="abc",
    )  # fmt: skip


def changed(**columns):
    return table().assign(**columns)


def test_what_is_written_is_read_back(tmp_path):
    predictions.write(table(), tmp_path / "p.parquet")
    back = predictions.read(tmp_path / "p.parquet")
    assert list(back.columns) == predictions.COLUMNS
    assert back["p"].tolist() == [0.9, 0.4, 0.2, 0.5]
    assert back["gate_face"].isna().all()
    assert back["gate_bio"].tolist() == [0.25] * 4
    assert back["trial"].tolist() == ["01", "01", "02", "02"]
    assert back["y"].dtype == np.int8
    assert back["window"].dtype == np.int64


@pytest.mark.journey
def test_the_same_rows_in_any_order_and_width_give_the_same_bytes(tmp_path):
    predictions.write(table(), tmp_path / "a.parquet")
    other = table().iloc[[3, 0, 2, 1]].astype({"y": "int64", "window": "int32", "fold": "int16", "trial": object})
    predictions.write(other[sorted(other.columns)], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_refused_table_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    predictions.write(table(), tmp_path / "p.parquet")
    before = (tmp_path / "p.parquet").read_bytes()
    with pytest.raises(BadRun, match="p between 0 and 1"):
        predictions.write(changed(p=1.5), tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.parquet"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"p": [0.1, 0.2, 1.01, 0.3]}, r"expected p between 0 and 1, found 1 rows.*row 2 \(target valence.*p 1.01"),
        ({"p": [0.1, np.nan, 0.2, 0.3]}, "expected a value in every column but the gates, found 1 rows"),
        ({"prior": -0.1}, "expected prior between 0 and 1, found 4 rows"),
        ({"y": [1, 1, 2, 2]}, "expected y of 0 or 1, found 2 rows"),
        ({"y": [1, 0, 0, 0]}, r"expected one y for all windows of a trial.*recording s01_01"),
        ({"window": 0, "trial": "01", "y": 1, "recording": "s01_01"}, "expected each window tested once in a fold"),
        ({"protocol": "Window"}, "expected a protocol of window, trial, .*protocol Window"),
        ({"scope": "all"}, "expected a scope of pooled or per-subject"),
        ({"subject": None}, "expected a value in every column"),
    ],
)
def test_values_that_would_give_a_wrong_score_are_refused(tmp_path, columns, message):
    path = tmp_path / "p.parquet"
    arrow = predictions.pa.Table.from_pandas(changed(**columns)[predictions.COLUMNS], preserve_index=False)
    if columns.get("subject", "") is None:
        arrow = arrow.set_column(arrow.column_names.index("subject"), "subject", arrow["subject"].cast("string"))
    pq.write_table(arrow, path)
    with pytest.raises(BadRun, match=message):
        predictions.read(path)


def test_a_window_may_be_tested_in_two_folds_but_not_twice_in_one():
    twice = pd.concat([table(), changed(fold=2)], ignore_index=True)
    assert len(predictions.concatenate([twice])) == 8
    with pytest.raises(BadRun, match="each window tested once in a fold, found 4 rows"):
        predictions.concatenate([table(), table()])


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(BadRun, match="a table without prior, gate_bio"):
        predictions.write(table().drop(columns=["prior", "gate_bio"]), tmp_path / "p.parquet")
    pq.write_table(predictions.pa.Table.from_pandas(table().drop(columns="y")), tmp_path / "q.parquet")
    with pytest.raises(BadRun, match=r"q\.parquet: .*a table without y\."):
        predictions.read(tmp_path / "q.parquet")


def test_a_column_of_the_wrong_type_is_named(tmp_path):
    pq.write_table(predictions.pa.Table.from_pandas(changed(subject=1)), tmp_path / "p.parquet")
    with pytest.raises(BadRun, match="expected column subject to hold text, found int64"):
        predictions.read(tmp_path / "p.parquet")
    with pytest.raises(BadRun, match="columns of the types"):
        predictions.write(changed(p="high"), tmp_path / "q.parquet")


def test_values_that_do_not_fit_their_columns_are_refused(tmp_path):
    pq.write_table(predictions.pa.Table.from_pandas(changed(y=300)), tmp_path / "p.parquet")
    with pytest.raises(BadRun, match="values that fit their columns, found others"):
        predictions.read(tmp_path / "p.parquet")
    once = predictions.pa.Table.from_pandas(table(), preserve_index=False)
    text = predictions.pa.array([b"\xff"] * once.num_rows).cast(predictions.pa.string(), safe=False)
    odd = once.set_column(once.column_names.index("config"), "config", text)
    pq.write_table(odd, tmp_path / "q.parquet")
    with pytest.raises(BadRun, match="values that fit their columns"):
        predictions.read(tmp_path / "q.parquet")


def test_an_empty_table_is_refused(tmp_path):
    with pytest.raises(BadRun, match="at least one tested window, found an empty table"):
        predictions.write(table().iloc[:0], tmp_path / "p.parquet")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadRun, match="expected a Parquet file, found one that does not open"):
        predictions.read(tmp_path / "p.parquet")
    predictions.write(table(), tmp_path / "q.parquet")
    (tmp_path / "q.parquet").write_bytes((tmp_path / "q.parquet").read_bytes().replace(b"config", b"conf\x80g"))
    with pytest.raises(BadRun, match="one that does not open"):
        predictions.read(tmp_path / "q.parquet")
    with pytest.raises(BadRun, match="no such file"):
        predictions.read(tmp_path / "absent.parquet")


@pytest.mark.journey
def test_an_unfinished_run_says_how_far_it_came(tmp_path):
    with pytest.raises(BadRun, match="no such folder"):
        predictions.read_run(tmp_path / "absent")
    (tmp_path / "splits.json").write_text('{"folds": [{}, {}, {}]}')
    part = tmp_path / "fold01" / "valence"
    part.mkdir(parents=True)
    predictions.write(table(), part / predictions.FILE)
    with pytest.raises(BadRun, match=r"predictions of 1 of 3 folds, .*it goes on where it stopped"):
        predictions.read_run(tmp_path)
    predictions.write(table(), tmp_path / predictions.FILE)
    assert len(predictions.read_run(tmp_path)) == 4


def test_stamps_travel_in_the_table():
    assert predictions.stamps(table()) == []
    assert predictions.stamps(table("window")) == ["LEAKY: windows of one trial on both sides"]
    assert predictions.stamps(table("trial", "deap (synthetic data)")) == ["synthetic data"]
    both = pd.concat([table("window"), table("trial", "deap (synthetic data)")])
    assert predictions.stamps(both) == [LEAKY, "synthetic data"]


def test_the_bytes_do_not_depend_on_the_version_of_pandas(tmp_path):
    predictions.write(table(), tmp_path / "p.parquet")
    metadata = pq.read_schema(tmp_path / "p.parquet").metadata
    assert metadata == {b"gbvnet": b"predictions 1"}
    assert Path(tmp_path / "p.parquet").stat().st_mode & 0o444 == 0o444


# Tables of K classes and of numbers.


def classes(**columns):
    """The same windows with three classes; a categorical label has no rating."""
    made = table().drop(columns=["p", "prior"]).assign(y=[2, 2, 0, 0], rating=None)
    p = {"p_0": [0.2, 0.1, 0.5, 1.0], "p_1": [0.3, 0.2, 0.25, 0.0], "p_2": [0.5, 0.7, 0.25, 0.0]}
    return made.assign(**p, prior_0=0.5, prior_1=0.3, prior_2=0.2).assign(**columns)


def numbers(**columns):
    y = [3.0, 3.5, 7.25, 7.25]  # changes within a trial
    return table().drop(columns=["p"]).assign(y=y, rating=y, y_hat=[4.0, 3.0, 9.5, -1.0], prior=5.5).assign(**columns)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("make", "task", "dtype"),
    [(table, "binary", "int8"), (classes, "multiclass", "int16"), (numbers, "regression", float)],
)
def test_a_table_of_each_task_is_read_back_and_its_task_known(tmp_path, make, task, dtype):
    predictions.write(make(), tmp_path / "p.parquet")
    predictions.write(make().iloc[::-1].assign(stray=1), tmp_path / "q.parquet")
    back = predictions.read(tmp_path / "p.parquet")
    assert predictions.task_of(back) == predictions.task_of(make()) == task
    assert predictions.n_classes(back) == (3 if task == "multiclass" else 0)
    assert set(back) == set(make())
    assert back["y"].dtype == dtype
    expected = make()[list(back)].astype(back.dtypes)
    pd.testing.assert_frame_equal(back, expected)
    assert (tmp_path / "p.parquet").read_bytes() == (tmp_path / "q.parquet").read_bytes()
    named = {} if task == "binary" else {"of": f" {task}"}
    assert pq.read_schema(tmp_path / "p.parquet").metadata == {
        b"gbvnet": f"predictions 1{named.get('of', '')}".encode()
    }


@pytest.mark.journey
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": [2, 2, 3, 3]}, "expected y of 0 to 2, found 2 rows"),
        ({"y": -1}, "expected y of 0 to 2, found 4 rows"),
        ({"p_1": [0.3, 0.2, 0.251, 0.0]}, r"p_0 … p_2 with a sum of 1, found 1 rows.*row 2 .*p_1 0.251, p_2 0.25"),
        ({"p_0": [1.2, 0.1, 0.5, 1.0], "p_2": [-0.5, 0.7, 0.25, 0.0]}, r"p_0 … p_2 between 0 and 1, found 1 rows"),
        ({"p_2": [0.5, 0.7, np.nan, 0.0]}, "a value in every column but rating and the gates, found 1 rows"),
        ({"prior_0": 0.6}, "prior_0 … prior_2 with a sum of 1, found 4 rows"),
        ({"prior_0": 1.5, "prior_1": -0.7}, "prior_0 … prior_2 between 0 and 1"),
        ({"y": [2, 1, 0, 0]}, r"one y for all windows of a trial.*recording s01_01"),
        ({"window": 0, "trial": "01", "y": 1, "recording": "s01_01"}, "each window tested once in a fold"),
        ({"protocol": "Window"}, "a protocol of window, trial, "),
        ({"scope": "all"}, "a scope of pooled or per-subject"),
    ],
)
def test_classes_that_would_give_a_wrong_score_are_refused(tmp_path, columns, message):
    with pytest.raises(BadRun, match=message):
        predictions.write(classes(**columns), tmp_path / "p.parquet")
    with pytest.raises(BadRun, match=message):
        predictions.concatenate([classes(**columns)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y_hat": [4.0, np.inf, 9.5, -1.0]}, r"y_hat of a finite number, found 1 rows.*row 1 .*y_hat inf"),
        ({"y": np.inf, "rating": np.inf}, "y of a finite number, found 4 rows"),
        ({"prior": -np.inf}, "prior of a finite number"),
        ({"rating": [3.0, 3.5, 7.25, 7.0]}, r"y equal to rating, found 1 rows.*row 3 .*y 7.25, rating 7.0"),
        ({"rating": np.nan}, "a value in every column but the gates, found 4 rows"),
        ({"y_hat": [4.0, 3.0, np.nan, 1.0]}, "a value in every column but the gates, found 1 rows"),
        ({"window": 0, "recording": "s01_01"}, "each window tested once in a fold"),
    ],
)
def test_numbers_that_would_give_a_wrong_score_are_refused(tmp_path, columns, message):
    with pytest.raises(BadRun, match=message):
        predictions.write(numbers(**columns), tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (numbers().drop(columns="prior"), "y, y_hat, prior, gate_face, gate_bio, config, found a table without prior"),
        (classes().drop(columns=["p_1", "prior_2"]), "p_0 … p_2, prior_0 … prior_2, .* a table without p_1, prior_2"),
        (classes().drop(columns=["p_1", "p_2", "prior_1", "prior_2"]), "a table without p_1, prior_1"),
        (
            table().drop(columns="p"),
            r"a table without any of p \(binary\), p_0 … .* \(multiclass\), y_hat \(regression",
        ),
        (numbers(p=0.5), r"predictions of one task, found a table with p \(binary\) and y_hat \(regression\)"),
    ],
)
def test_columns_of_no_task_or_of_several_are_refused(tmp_path, made, message):
    with pytest.raises(BadRun, match=message):
        predictions.write(made, tmp_path / "p.parquet")
    pq.write_table(predictions.pa.Table.from_pandas(made, preserve_index=False), tmp_path / "q.parquet")
    with pytest.raises(BadRun, match=message):
        predictions.read(tmp_path / "q.parquet")
    with pytest.raises(BadRun, match=message):
        predictions.task_of(made)


def test_a_label_of_the_wrong_kind_is_named(tmp_path):
    made = numbers(y=[3, 3, 7, 7], rating=[3.0, 3.0, 7.0, 7.0])
    pq.write_table(predictions.pa.Table.from_pandas(made, preserve_index=False), tmp_path / "p.parquet")
    with pytest.raises(BadRun, match="expected column y to hold real numbers, found int64"):
        predictions.read(tmp_path / "p.parquet")
    predictions.write(made, tmp_path / "q.parquet")  # written by gbvnet it is one
    assert predictions.read(tmp_path / "q.parquet")["y"].dtype == float


@pytest.mark.journey
def test_tables_of_different_tasks_or_classes_are_not_put_together():
    with pytest.raises(
        BadRun, match="tables of one task, with the same classes, found tables of binary predictions and 3"
    ):
        predictions.concatenate([table(), classes()])
    four = classes(p_3=0.0, prior_3=0.0, system="other")
    with pytest.raises(BadRun, match="found tables of 3 classes and 4 classes"):
        predictions.concatenate([classes(), four])
    assert len(predictions.concatenate([numbers(), numbers(fold=2)])) == 8


def test_a_binary_table_has_the_bytes_it_always_had(tmp_path):
    """The columns in their order and widths, as they were before there were other tasks; and the bytes of that time."""
    pa = predictions.pa
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    kinds = dict.fromkeys("dataset system modality target protocol scope".split(), text) | {
        "seed": whole,
        "fold": whole,
    }
    kinds |= dict.fromkeys("recording subject trial stimulus".split(), text) | {"window": whole, "start_s": real}
    kinds |= {"rating": real, "y": pa.int8(), "p": real, "prior": real, "gate_face": real, "gate_bio": real}
    schema = pa.schema([*kinds.items(), ("config", text)], metadata={"gbvnet": "predictions 1"})
    arrow = pa.Table.from_pandas(table()[schema.names], schema=schema, preserve_index=False)
    pq.write_table(arrow.replace_schema_metadata(schema.metadata), tmp_path / "expected.parquet")
    predictions.write(table(), tmp_path / "p.parquet")
    content = (tmp_path / "p.parquet").read_bytes()
    assert content == (tmp_path / "expected.parquet").read_bytes()
    if pa.__version__ == "26.0.1":  # the file names the version that wrote it
        before = "0a01bd9f08a6e083180bcec8a4b400d32e7db4effd9ee20c151f2a4376c21574"
        assert hashlib.sha256(content).hexdigest() == before
