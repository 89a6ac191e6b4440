"""A store holds the labels that its corpus declares, exactly; a store of format 2 is read and continued as before."""

import json
import re
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from gbvnet.config import PrepareConfig
from gbvnet.datasets.label_columns import RATING_COLUMNS, LabelColumn, label_columns, label_settings
from gbvnet.datasets.label_traces import Trace
from gbvnet.datasets.recording import Channel, Recording, Signals
from gbvnet.errors import BadConfig, BadStore
from gbvnet.experiments.perturbations import PerturbedSource
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.format import data_file, read_header
from gbvnet.store.joined import join
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store
from gbvnet.store.rebaselined import Rebaselined
from gbvnet.store.subset import StoreSubset
from gbvnet.store.window_source import DerivedSource
from gbvnet.store.writer import create_store, finish_store, prepared_recording

from .test_store import SETTINGS, about, arrays, write_header, write_recording

LABELS = label_columns(
    {
        "valence": {"scale": [0, 100]},
        "stress": {"classes": ["none", "some", "much"]},
        "joystick": {"scale": [-1, 1], "trace": True},
    }
)
RATINGS = ({"valence": 55.5, "stress": "much"}, {"valence": 0.0}, {"stress": "none"})


@dataclass(frozen=True)
class Corpus:
    """Three recordings of 5 s of noise, with any labels."""

    labels: tuple[LabelColumn, ...] = LABELS
    ratings: tuple[dict, ...] = RATINGS
    traces: tuple[dict, ...] = ({}, {}, {})
    dataset: str = "table"
    channels: tuple[Channel, ...] = field(default=(Channel("Cz", "eeg"),))
    source, synthetic, rate_hz, baseline_s, frames_per_s = "", True, 64.0, 1.0, 10
    units = ("anna",)

    def recordings(self, unit):
        pairs = enumerate(zip(self.ratings, self.traces, strict=True), 1)
        return [
            Recording(f"anna_{k}", self.dataset, "anna", str(k), f"f{k}", 5.0, ratings, traces=traces)
            for k, (ratings, traces) in pairs
        ]

    def notes(self, unit=None):
        return ()

    def inspect(self, recording):
        return replace(recording, signals=recording.signals or "here")

    def signals(self, recording):
        x = np.random.default_rng(int(recording.trial)).normal(0, 20, (1, 64 * 7))
        return Signals(x, 64.0, 64.0, self.channels)


def prepare(corpus, path):
    return prepare_store(corpus, path, PrepareConfig(faces=False))


@pytest.fixture
def path(tmp_path):
    trace = Trace(np.arange(0, 3.5, 0.5), np.array([0.0, 1.0, 0.5, 0.5, -1.0, 0.0, 1.0]))
    assert prepare(Corpus(traces=({"joystick": trace}, {}, {})), tmp_path / "store").bad == []
    return tmp_path / "store"


@pytest.mark.journey
def test_a_store_has_exactly_the_columns_that_are_declared(path):
    store = open_store(path)
    assert json.loads((path / "store.json").read_text())["format"] == 3
    assert json.loads((path / "store.json").read_text())["labels"] == label_settings(LABELS)
    assert store.labels == {column.name: column for column in LABELS}
    assert [*store.windows][8:] == ["valence", "stress", "joystick"]
    first = store.windows.groupby("recording").first()
    assert first["stress"].tolist() == ["much", "", "none"]
    assert first["valence"].iloc[:2].tolist() == [55.5, 0.0] and np.isnan(first["valence"].iloc[2])
    assert store.windows["valence"].dtype == np.float64
    assert pd.read_parquet(path / "windows.parquet")["stress"].map(type).unique().tolist() == [str]


@pytest.mark.journey
def test_a_label_that_changes_in_time_is_kept_and_a_window_has_its_mean(path):
    store = open_store(path)
    times, values = store.trace("anna_1", "joystick")
    assert times.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3] and values.tolist() == [0, 1, 0.5, 0.5, -1, 0, 1]
    assert times.dtype == values.dtype == np.float64
    times[:] = 7  # a copy
    assert store.trace("anna_1", "joystick")[0][0] == 0
    assert store.trace("anna_2", "joystick") is None and store.trace("anna_1", "valence") is None
    means = store.windows.loc[store.windows["recording"] == "anna_1", "joystick"]
    assert means.iloc[:3].tolist() == [0.5, 0.5, -0.5]
    assert np.isnan(means.iloc[3:]).all()  # it ends at 3.5 s: the fourth window is half covered
    assert store.windows.loc[store.windows["recording"] != "anna_1", "joystick"].isna().all()


@pytest.mark.journey
def test_a_changed_trace_is_prepared_again(path):
    other = Trace(np.arange(0, 3.5, 0.5), np.zeros(7))
    before = open_store(path).digest
    summary = prepare(Corpus(traces=({"joystick": other}, {}, {})), path)
    assert (summary.n_reused, summary.n_prepared) == (2, 1)
    assert open_store(path).digest != before
    assert open_store(path).windows["joystick"].iloc[0] == 0
    assert prepare(Corpus(traces=({"joystick": other}, {}, {})), path).n_reused == 3


@pytest.mark.journey
@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ({"valence": 101.0}, "anna_1: expected valence from 0 to 100, found 101"),
        ({"stress": "lots"}, "anna_1: expected stress none, some, much, found 'lots'"),
        ({"stress": 1.0}, "expected stress none, some, much, found 1"),
        ({"arousal": 5.0}, "expected labels that the corpus declares, not arousal, found 5"),
        ({"joystick": 0.0}, "expected labels that the corpus declares, not joystick"),
    ],
)
def test_a_reader_cannot_return_what_its_corpus_does_not_declare(tmp_path, ratings, message):
    summary = prepare(Corpus(ratings=(ratings, *RATINGS[1:])), tmp_path / "store")
    assert summary.n_good == 2 and len(summary.bad) == 1
    assert re.search(message, summary.bad[0])


@pytest.mark.journey
@pytest.mark.parametrize(
    ("traces", "message"),
    [
        ({"joystick": Trace(np.arange(3.0), np.array([0, 1.5, np.nan]))}, "expected joystick from -1 to 1, found 1.5"),
        ({"valence": Trace(np.arange(3.0), np.ones(3))}, "not valence"),
    ],
)
def test_nor_a_trace(tmp_path, traces, message):
    ratings = ({}, *RATINGS[1:])
    summary = prepare(Corpus(ratings=ratings, traces=(traces, {}, {})), tmp_path / "store")
    assert len(summary.bad) == 1 and re.search(message, summary.bad[0])


def change_settings(path, change):
    settings = json.loads((path / "store.json").read_text())
    change(settings)
    (path / "store.json").write_text(json.dumps(settings))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("labels"), "no `labels`"),
        (lambda s: s.update(labels=[]), "labels: expected a mapping"),
        (lambda s: s["labels"].update(valence={}), "valence: expected a scale or classes, found neither"),
        (lambda s: s["labels"].update(valence={"scale": [1, "9"]}), "valence: scale.*expected a number"),
        (lambda s: s["labels"].update({"start_s": {"scale": [1, 9]}}), "start_s: expected another name"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(path, change, message):
    change_settings(path, change)
    with pytest.raises(BadStore, match=f"store.json: expected the settings of a store, .*{message}"):
        open_store(path)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="stress"), "expected a column stress, as store.json declares, found none"),
        (
            lambda t: t.assign(valence=t["valence"] + 50),
            r"values from 0 to 100 in column valence, found .*105.5.* row 0",
        ),
        (lambda t: t.assign(valence="5"), "expected floating in column valence, found string"),
        (lambda t: t.assign(stress="lots"), "expected values none, some, much in column stress, found 'lots' in row 0"),
        (lambda t: t.assign(stress=1.0), "expected string or empty in column stress, found floating"),
        (lambda t: t.assign(stress=None), "in column stress, found"),
    ],
)
def test_labels_that_are_not_declared_so_are_refused_by_column(path, change, message):
    change(open_store(path).windows).to_parquet(path / "windows.parquet")
    with pytest.raises(BadStore, match=f"windows.parquet: expected .*{message}|windows.parquet: {message}"):
        open_store(path)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"ratings": {"valence": 0.5}}, "expected valence from 1 to 9, found 0.5"),
        ({"ratings": {"stress": "much"}}, "expected labels of valence, arousal, found stress"),
        ({"ratings": {"valence": "much"}}, "expected valence from 1 to 9, found 'much'"),
        ({"ratings": {"valence": [1]}}, "ratings"),
        ({"window_ratings": {"valence": [5.0, 5.0]}}, "expected valence of 3 windows, found 2"),
        ({"window_ratings": {"valence": [5.0, None, 10.0]}}, "expected valence from 1 to 9, found 10"),
        ({"window_ratings": {"valence": 5.0}}, "window_ratings"),
    ],
)
def test_labels_in_the_header_of_a_file_are_checked_before_they_go_into_the_tables(tmp_path, known, message):
    create_store(tmp_path / "store", SETTINGS)
    metadata = about("s01_trial01", 3) | known
    write_recording(tmp_path / "store", "s01_trial01", arrays(3, 0), metadata)
    with pytest.raises(BadStore, match=rf"s01_trial01.safetensors: (expected .*)?{message}"):
        prepared_recording(tmp_path / "store", "s01_trial01")


def rewrite_trace(path, array):
    tensors, metadata, _ = read_header(data_file(path, "anna_1"))
    held = {name: np.zeros(t.shape, np.float32) for name, t in tensors.items() if not name.startswith("trace.")}
    metadata.pop("sha256")
    write_recording(path, "anna_1", held | {"trace.joystick": array}, metadata)


@pytest.mark.journey
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4)),
        np.zeros((2, 4), np.float32),
        np.zeros(8),
        np.array([[0.0, 1, 1], [0, 0, 0]]),
        np.array([[0.0, np.nan, 2], [0, 0, 0]]),
    ],
)
def test_a_trace_that_is_none_is_refused(path, array):
    rewrite_trace(path, array)
    with pytest.raises(BadStore, match=r"anna_1.safetensors: expected trace.joystick \(2, T\) float64"):
        open_store(path).trace("anna_1", "joystick")


@pytest.mark.journey
def test_doubles_take_eight_bytes(path):
    write_header(data_file(path, "anna_1"), lambda h: h["trace.joystick"].update(dtype="F32"))
    with pytest.raises(BadStore, match="a recording of this store"):
        open_store(path).trace("anna_1", "joystick")


@pytest.mark.journey
@pytest.mark.parametrize(
    "derive",
    [
        DerivedSource,
        FeatureCache,
        lambda store: StoreSubset(store, [0], 0),
        lambda store: Rebaselined(store, "none"),
        lambda store: PerturbedSource(store, lambda rows, arrays: arrays),
    ],
)
def test_what_is_derived_from_a_store_has_its_labels_and_traces(path, derive):
    store = open_store(path)
    derived = derive(store)
    assert derived.labels == store.labels
    both = zip(derived.trace("anna_1", "joystick"), store.trace("anna_1", "joystick"), strict=True)
    assert all(np.array_equal(a, b) for a, b in both)


# ---------------------------------------------------------------- format 2

USUAL = Corpus(labels=RATING_COLUMNS, ratings=({"valence": 6.5}, {"arousal": 2.0}, {"liking": 5.0}))
DIGEST = "0266142087093faf"  # of a store of test_store.py's arrays, as the version before format 3 gave it


def as_former(path):
    """A store as the version before wrote it: no labels in store.json; the tables and files are the same."""
    change_settings(path, lambda s: s.update(format=2) or s.pop("labels"))
    return path


@pytest.fixture
def former(tmp_path):
    prepare(USUAL, tmp_path / "former")
    return as_former(tmp_path / "former")


@pytest.mark.journey
def test_a_store_of_format_2_has_the_usual_ratings_and_its_digest(former):
    store = open_store(former)
    assert store.labels == {column.name: column for column in RATING_COLUMNS}
    assert store.settings["format"] == 2 and "labels" not in json.loads((former / "store.json").read_text())
    assert store.windows["valence"].iloc[0] == 6.5 and np.isnan(store.windows["arousal"].iloc[0])


def test_a_store_of_format_2_keeps_its_digest(tmp_path):
    create_store(tmp_path / "store", SETTINGS | {"labels": label_settings(RATING_COLUMNS)})
    made = [write_recording(tmp_path / "store", f"s0{k}_1", arrays(3, k), about(f"s0{k}_1", 3)) for k in (1, 2)]
    finish_store(tmp_path / "store", made)
    now = open_store(tmp_path / "store").digest
    store = open_store(as_former(tmp_path / "store"))
    assert store.digest == DerivedSource(store).digest == DIGEST != now


@pytest.mark.journey
def test_a_column_that_format_2_lacks_is_there_without_a_value_and_its_values_are_read_as_they_are(former):
    windows = open_store(former).windows.drop(columns="control").assign(valence=12.0)
    windows.to_parquet(former / "windows.parquet")
    store = open_store(former)
    assert store.windows["control"].isna().all() and (store.windows["valence"] == 12).all()


@pytest.mark.journey
def test_a_store_of_format_2_is_continued_in_its_format(former):
    data_file(former, "anna_2").unlink()
    settings, windows = (former / "store.json").read_bytes(), (former / "windows.parquet").read_bytes()
    summary = prepare(USUAL, former)
    assert (summary.n_reused, summary.n_prepared, summary.bad) == (2, 1, [])
    assert (former / "store.json").read_bytes() == settings
    assert (former / "windows.parquet").read_bytes() == windows


@pytest.mark.journey
def test_labels_without_a_column_in_format_2_are_reported_and_left_out(former, caplog):
    labels = (
        LabelColumn("valence", (1.0, 9.0)),
        LabelColumn("familiarity", (1.0, 5.0)),
        LabelColumn("emotion", classes=("joy", "fear")),
    )
    ratings = ({"valence": 6.5, "emotion": "joy"}, {"valence": 2.0}, {"familiarity": 5.0})
    summary = prepare(Corpus(labels=labels, ratings=ratings), former)
    assert (summary.n_reused, summary.n_prepared, summary.bad) == (1, 2, [])  # the first has the ratings it had
    assert "continued in store format 2, which has no column for emotion; prepare into another folder" in caplog.text
    assert "emotion" not in open_store(former).windows


@pytest.mark.journey
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (LabelColumn("valence", (0.0, 100.0)), "can hold valence from 0 to 100, found .* has it from 1 to 9"),
        (LabelColumn("valence", classes=("no", "yes")), "can hold valence no, yes, found"),
        (LabelColumn("valence", (1.0, 9.0), trace=True), "valence from 1 to 9 changing in time, found"),
    ],
)
def test_labels_that_format_2_has_otherwise_are_refused_with_the_remedy(former, column, message):
    with pytest.raises(BadStore, match=f"{message}.*Use another folder; this store can still be read"):
        prepare(Corpus(labels=(column,), ratings=({}, {}, {})), former)
    assert len(open_store(former)) == 15


# ---------------------------------------------------------------- two stores joined


@pytest.mark.journey
def test_joined_stores_keep_the_labels_that_both_have_with_equal_declarations(path, tmp_path):
    labels = (LABELS[0], LabelColumn("stress", classes=("no", "yes")), LABELS[2], LabelColumn("own", (0.0, 1.0)))
    trace = Trace(np.array([0.0, 1.0]), np.array([-1.0, 1.0]))
    other = Corpus(labels, ({"valence": 9.0, "stress": "yes", "own": 1.0}, {}, {}), ({"joystick": trace}, {}, {}), "b")
    prepare(other, tmp_path / "other")
    joined, messages = join(open_store(path), open_store(tmp_path / "other"), faces=False, signals=True)
    assert messages[1] == "labels: valence, joystick are shared; left out are stress of table; stress, own of b"
    assert list(joined.labels) == ["valence", "joystick"]
    assert [*joined.windows][8:] == ["valence", "joystick"]
    assert joined.trace("b.anna_1", "joystick")[1].tolist() == [-1, 1]
    assert joined.trace("table.anna_1", "joystick")[1].tolist()[:2] == [0, 1]
    assert joined.trace("b.anna_2", "joystick") is None
    with pytest.raises(KeyError):
        joined.trace("anna_1", "joystick")


@pytest.mark.journey
def test_stores_that_share_no_label_are_not_joined(path, tmp_path):
    prepare(Corpus((LabelColumn("own", (0.0, 1.0)),), ({}, {}, {})), tmp_path / "other")
    with pytest.raises(BadConfig, match=r"share no label: valence \(from 0 to 100\), stress .*; own \(from 0 to 1\)"):
        join(open_store(path), open_store(tmp_path / "other"), faces=False, signals=True)
