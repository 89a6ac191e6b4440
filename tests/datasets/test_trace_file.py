"""Ratings that change in time, in a file beside the signals: read on the stimulus' clock, or refused with the place."""

import re

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.label_columns import label_columns
from gbvnet.datasets.label_traces import window_means
from gbvnet.datasets.trace_file import read_traces
from gbvnet.errors import BadRecording
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from .test_table import ROW, signals, write_fif, write_rows

SETTINGS = (
    "labels: {valence: {scale: [1, 9], trace: true}, arousal: {scale: [1, 9], trace: true}, liking: {scale: [1, 9]}}\n"
)
LABELS = label_columns(
    {
        "valence": {"scale": [1, 9], "trace": True},
        "arousal": {"scale": [1, 9], "trace": True},
        "liking": {"scale": [1, 9]},
        "stress": {"classes": ["no", "yes"]},
    }
)


def ratings(path, columns, **options):
    pd.DataFrame(columns).to_csv(path, index=False, **options)
    return path


def read(path, start_s=10.0, stop_s=20.0):
    return read_traces(path, LABELS, start_s, stop_s)


@pytest.fixture
def whole(tmp_path):
    """Twice a second from 5 to 24.5 s of the signals' clock, where the stimulus is from 10 to 20 s."""
    t = np.arange(5, 25, 0.5)
    return ratings(tmp_path / "r.csv", {"time": t, "Valence": 1 + (t - 5) / 4, "arousal": 9 - (t - 5) / 4})


def test_times_are_those_of_the_stimulus_and_only_its_part_is_read(whole):
    traces, warnings = read(whole)
    assert warnings == [] and list(traces) == ["valence", "arousal"]
    trace = traces["valence"]
    assert trace.times_s.tolist() == np.arange(0, 10, 0.5).tolist()
    assert trace.values == pytest.approx(1 + (5 + trace.times_s) / 4)


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [("r.tsv", {"sep": "\t"}, 1), ("r.csv", {"sep": ";", "decimal": ","}, 1), ("r.txt", {}, 1000)],
)
def test_files_of_spreadsheets_and_milliseconds_are_read(whole, tmp_path, name, options, scale):
    wanted = read(whole)
    table = pd.read_csv(whole).rename(columns={"time": "time" if scale == 1 else "time_ms"})
    table.iloc[:, 0] *= scale
    table.to_csv(tmp_path / name, index=False, **options)
    traces, _ = read(tmp_path / name)
    assert all(traces[key].values == pytest.approx(wanted[0][key].values) for key in wanted[0])
    assert traces["valence"].times_s == pytest.approx(wanted[0]["valence"].times_s)


def test_the_value_that_holds_at_the_start_is_the_first_and_one_that_holds_to_the_end_does(tmp_path):
    traces, warnings = read(ratings(tmp_path / "r.csv", {"time": [1, 12, 13, 14, 30], "valence": [2, 3, 4, 5, 6]}))
    assert warnings == []
    trace = traces["valence"]
    assert trace.times_s.tolist() == [0, 2, 3, 4, 10] and trace.values[:4].tolist() == [2, 3, 4, 5]
    assert window_means(trace.times_s, trace.values, [0, 5, 9.5], 1.0)[1].tolist() == [1, 1, 0.5]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"valence": [1, 2]}, "expected a column time, in seconds, found none among valence"),
        (
            {"time": ["a", 11], "valence": [1, 2]},
            "expected a number in each row of column time, found 'a' in data row 1",
        ),
        ({"time": [11, 11], "valence": [1, 2]}, "times that increase .*, found 11 after 11 in data row 2"),
        ({"time": [11, 12, 11.5], "valence": [1, 2, 3]}, "found 11.5 after 12 in data row 3"),
        ({"time": [11, 12], "valence": [1, 9.5]}, r"valence from 1 to 9, found 9.5 in data row 2 \(1 of 2 rows\)"),
        (
            {"time": [11, 12], "valence": [1, "high"]},
            "or nothing, in each row of column valence, found 'high' in data row",
        ),
        ({"time": [11, 12], "valence": ["", ""]}, "values of valence within the 10 s of the stimulus, found none"),
        (
            {"time": [11, 12, 30], "valence": ["", "", 5]},
            "values of valence within the 10 s of the stimulus, found none",
        ),
        ({"time": [1, 2, 3], "valence": [1, 2, 3]}, "found none; its rows are from -9.0 to -7.0 s of it. Times are"),
        ({"time": [25, 26], "valence": [1, 2]}, "found none; its rows are from 15.0 to 16.0 s of it"),
        ({"time": [11], "valence": [2]}, "values of valence within the 10 s of the stimulus"),
        ({"time": [11, 12], "mood": [1, 2]}, "expected a column valence or arousal, found time, mood"),
        (
            {"time": [11, 12], "liking": [1, 2]},
            r"liking, which is not. Write into table.yaml, under labels, liking: {scale: \[1, 9\], trace: true}",
        ),
        ({"time": [11, 12], "stress": ["no", "yes"]}, "stress, which is not. Labels that change in time are numbers"),
        ({"time": [11, 12], "valence": [1, 2], "VALENCE": [1, 2]}, "expected each column once, found valence twice"),
        ({"time": [], "valence": []}, "found no row"),
    ],
)
def test_a_file_that_tells_no_trace_is_refused_with_the_place(tmp_path, columns, message):
    path = ratings(tmp_path / "r.csv", columns)
    with pytest.raises(BadRecording, match=f"r.csv: expected .*{message}|r.csv: {message}"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a table of ratings"),
        (b"\0\1\2", "a table of ratings, found bytes that are no text"),
        (b"1,2\n3,4\n", "a table of"),
    ],
)
def test_a_file_that_is_no_table_of_ratings_is_refused(tmp_path, content, message):
    (tmp_path / "r.csv").write_bytes(content)
    with pytest.raises(BadRecording, match=f"r.csv: expected {message}"):
        read(tmp_path / "r.csv")


def test_no_label_is_declared_as_a_trace(whole):
    with pytest.raises(BadRecording, match=r"under labels, NAME: {scale: \[LOW, HIGH\], trace: true}"):
        read_traces(ratings(whole, {"time": [1, 2], "x": [1, 2]}), LABELS[2:], 10, 20)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"time": np.arange(10, 16, 0.5), "valence": np.arange(12) / 2 + 1},
            "r.csv: valence lacks a label for 4.0 of the 10 s of the stimulus (it has values from 0.0 to 5.5 s)",
        ),
        (
            {"time": np.arange(13, 20, 0.5), "valence": np.arange(14) / 2 + 1},
            "r.csv: valence lacks a label for 3.0 of the 10 s of the stimulus (it has values from 3.0 to 9.5 s)",
        ),
        (
            {"time": np.arange(10, 20, 0.5), "valence": [1, *[np.nan] * 4, *range(1, 9), *[3.5] * 7]},
            "r.csv: valence lacks a label for 2.0 of the 10 s of the stimulus (it has values from 0.0 to 9.5 s)",
        ),
        (
            {"time": np.arange(10, 20, 0.5), "valence": np.full(20, 5.0)},
            "r.csv: valence is 5 all the time: was the joystick moved?",
        ),
    ],
)
def test_a_trace_with_gaps_and_one_that_does_not_change_are_warnings(tmp_path, columns, message):
    traces, warnings = read(ratings(tmp_path / "r.csv", columns))
    assert warnings == [message] and list(traces) == ["valence"]


@pytest.fixture
def mine(tmp_path):
    write_fif(tmp_path / "a_raw.fif", signals())
    t = np.arange(0, 40, 0.25)
    (tmp_path / "ratings").mkdir()
    ratings(tmp_path / "ratings/a.csv", {"time": t, "valence": 5 + 3 * np.sin(t / 3)})
    return tmp_path


TRACED = {key: value for key, value in ROW.items() if key != "valence"} | {"ratings_file": "ratings/a.csv", "liking": 3}


@pytest.mark.journey
def test_a_table_names_the_file_and_the_store_holds_trace_and_means(mine, tmp_path):
    second = TRACED | {"trial": "2", "start_s": 25, "stop_s": 30, "ratings_file": ""}
    write_rows(mine, [TRACED | {"ratings_file": r"ratings\a.csv"}, second], SETTINGS)
    corpus = open_corpus("table", mine)
    one, two = corpus.recordings("anna")
    assert (one.error, two.error, one.warnings, list(one.traces), two.traces) == (None, None, (), ["valence"], {})
    prepare_store(corpus, tmp_path / "store", PrepareConfig(faces=False))
    store = open_store(tmp_path / "store")
    times, values = store.trace("anna_1", "valence")
    assert times.tolist() == np.arange(0, 10, 0.25).tolist()
    assert values == pytest.approx(5 + 3 * np.sin((10 + times) / 3))
    means = store.windows.loc[store.windows["recording"] == "anna_1", "valence"].to_numpy()
    assert means == pytest.approx(values.reshape(10, 4).mean(axis=1))
    assert store.windows.loc[store.windows["recording"] == "anna_2", "valence"].isna().all()
    assert (store.windows["liking"] == 3).all() and store.windows["arousal"].isna().all()


@pytest.mark.journey
def test_a_file_without_declarations_says_what_to_declare(mine):
    write_rows(mine, [TRACED])
    (recording,) = open_corpus("table", mine).recordings("anna")
    assert "under labels, valence: {scale: [1, 9], trace: true}" in recording.error


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratings_file": "ratings/b.csv"}, r"expected the file in column ratings_file, found no .*ratings/b.csv"),
        ({"valence": "5"}, "line 2.*nothing in column valence, which changes in time, found '5'. Its values are in"),
        ({"start_s": 38, "stop_s": 60}, "a.csv: valence lacks a label for 20.0 of the 22 s"),
    ],
)
def test_a_row_with_a_wrong_file_of_ratings_is_reported(mine, change, message):
    write_rows(mine, [TRACED | change], SETTINGS)
    (recording,) = open_corpus("table", mine).recordings("anna")
    assert re.search(message, " ".join(filter(None, (recording.error, *recording.warnings))))


@pytest.mark.journey
def test_a_file_of_ratings_alone_is_no_recording(mine):
    write_rows(mine, [TRACED | {"signals": "", "subject": "ben"}, TRACED], SETTINGS)
    units = {unit.name: unit for unit in check_corpus(open_corpus("table", mine))}
    assert "expected a video or signals, found neither" in units["ben"].recordings[0].error


@pytest.mark.journey
def test_a_corrected_file_of_ratings_is_prepared_again(mine, tmp_path):
    write_rows(mine, [TRACED], SETTINGS)
    config = PrepareConfig(faces=False)
    prepare_store(open_corpus("table", mine), tmp_path / "store", config)
    assert prepare_store(open_corpus("table", mine), tmp_path / "store", config).n_reused == 1
    ratings(mine / "ratings/a.csv", {"time": np.arange(40), "valence": 1 + np.arange(40) % 9})
    assert prepare_store(open_corpus("table", mine), tmp_path / "store", config).n_prepared == 1
    assert open_store(tmp_path / "store").trace("anna_1", "valence")[0].tolist() == list(range(10))
