"""Further modalities beside a store: added, continued, refused, read through every kind of source."""

import json
import pickle
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from gbvnet.datasets.recording import Channel, Recording
from gbvnet.errors import BadConfig, BadRecording, BadStore, GbvnetError
from gbvnet.store.add_modality import add_modality, modality_object
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.format import data_file
from gbvnet.store.joined import JoinedStore
from gbvnet.store.modalities import modalities_folder
from gbvnet.store.reader import open_store
from gbvnet.store.rebaselined import Rebaselined
from gbvnet.store.row_view import RowNotGiven, RowView
from gbvnet.store.subset import StoreSubset

from ..synthetic_store import write_store

WINDOWS = 4


@dataclass(frozen=True)
class Steps:
    """Window k of a recording is its number, then k: (2,). s01_trial02 lacks it, s02_trial01 after 2 s, and s02_trial02
    is damaged."""

    name: str = "steps"
    broken: bool = False
    width: int = 2

    def shape(self, window_s):
        return (self.width,)

    def read(self, recording, starts_s, window_s):
        if recording.name == "s01_trial02":
            return None
        if recording.name == "s02_trial02" and not self.broken:
            raise BadRecording("b.mp4", "a film", "a hole")
        if self.broken and recording.name == "s02_trial01":
            raise KeyboardInterrupt
        number = 10 * int(recording.subject[1:]) + int(recording.trial)
        values = np.stack([np.full(len(starts_s), number), starts_s], axis=1)
        if recording.name == "s02_trial01":
            values[starts_s >= 2] = np.nan
        return values


@dataclass(frozen=True)
class Corpus:
    """The recordings of a synthetic store, without files."""

    listed: tuple = ()
    dataset: str = "deap"
    source: str = ""
    synthetic: bool = True
    rate_hz: float = 32.0
    baseline_s: float = 3.0
    frames_per_s: int = 2
    channels: tuple = (Channel("Fz", "eeg"),)
    labels: tuple = ()
    units: tuple = ("all",)
    inspected: list = field(default_factory=list, compare=False)

    def recordings(self, unit):
        return list(self.listed)

    def notes(self, unit=None):
        return ()

    def inspect(self, recording):
        self.inspected.append(recording.name)
        return recording

    def signals(self, recording):
        raise NotImplementedError


def corpus_of(store, **others):
    rows = store.windows.drop_duplicates("recording")
    listed = [Recording(r.recording, "deap", r.subject, r.trial, r.stimulus, float(WINDOWS)) for r in rows.itertuples()]
    return Corpus(tuple(listed), **others)


def add(store, modality=None, corpus=None):
    return add_modality(store, modality or Steps(), corpus or corpus_of(store), isolate=False)


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store", subjects=2, trials=2, windows=WINDOWS)


def files_of(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.mark.journey
def test_what_was_read_comes_back_by_row_and_what_is_missing_is_nan(store):
    before, digest = files_of(store.path), store.digest
    summary = add(store)
    assert (summary.count("ok"), summary.count("none"), summary.shape) == (2, 1, (2,))
    assert summary.bad == ["b.mp4: expected a film, found a hole."]
    assert files_of(store.path) == before and open_store(store.path).digest == digest
    values, has = store.modality("steps", [9, 0, 3, 10, 5, 15])
    assert values.dtype == np.float32 and values.shape == (6, 2)
    assert values[:3].tolist() == [[21, 1], [11, 0], [11, 3]]  # by hand: rows 0-3 are s01_trial01, 8-11 s02_trial01
    assert has.tolist() == [True, True, True, False, False, False] and np.isnan(values[3:]).all()
    assert store.modality("steps", []).values.shape == (0, 2)
    assert store.modalities["steps"].shape == (2,)
    with pytest.raises(GbvnetError, match="rows 0 to 15 exist"):
        store.modality("steps", [16])
    with pytest.raises(BadConfig, match=r"expected a further modality sound, found steps; `gbvnet modality add`"):
        store.modality("sound", [0])


@pytest.mark.journey
def test_every_source_gives_those_of_the_store_below(store, tmp_path):
    add(store)
    rows = np.arange(len(store))
    want = store.modality("steps", rows)
    sources = [
        FeatureCache(store), RowView(store, rows), StoreSubset(store, [1], 1), Rebaselined(store, "none"),
        pickle.loads(pickle.dumps(store)),
    ]  # fmt: skip
    for source in sources:
        for one, other in zip(source.modality("steps", rows), want, strict=True):
            np.testing.assert_array_equal(one, other)
        assert source.modalities == store.modalities
    view = RowView(store, [0, 1])
    assert view.modality("steps", [1]).values.tolist() == [[11, 1]]
    with pytest.raises(RowNotGiven, match=r"row 2 \(recording s01_trial01, window 2\)"):
        view.modality("steps", [1, 2])


@pytest.mark.journey
def test_of_two_joined_stores_both_must_have_it_in_one_shape(store, tmp_path):
    other = write_store(tmp_path / "other", subjects=1, trials=2, windows=WINDOWS, seed=1)
    joined = JoinedStore(store, other)
    add(store)
    with pytest.raises(BadConfig, match="expected a further modality steps, found none"):
        joined.modality("steps", [0])
    add(other)
    n = len(store)
    assert joined.modality("steps", [n + 1, 0]).values.tolist() == [[11, 1], [11, 0]]
    assert joined.modalities["steps"].digest not in (store.modalities["steps"].digest, other.modalities["steps"].digest)
    wide = write_store(tmp_path / "wide", subjects=1, trials=2, windows=WINDOWS, seed=2)
    add_modality(wide, _Wide(), corpus_of(wide), isolate=False)
    assert JoinedStore(store, wide).modalities == {}


class _Wide(Steps):
    def shape(self, window_s):
        return (1, 3)

    def read(self, recording, starts_s, window_s):
        return np.zeros((len(starts_s), 1, 3))


@pytest.mark.journey
def test_a_killed_run_goes_on_with_the_same_bytes(store, tmp_path):
    whole = write_store(tmp_path / "whole" / "store", subjects=2, trials=2, windows=WINDOWS)
    add(whole)
    with pytest.raises(KeyboardInterrupt):
        add(store, Steps(broken=True))
    with pytest.raises(BadStore, match=r"expected a finished modality, found no recordings.json. Run `gbvnet modality"):
        open_store(store.path).modality("steps", [0])
    assert store.modalities == {}
    (modalities_folder(store.path) / "steps" / "data" / ".x.safetensors.0123.part").write_bytes(b"half")
    corpus = corpus_of(store)
    summary = add(store, corpus=corpus)
    assert summary.n_reused == 2 and corpus.inspected == ["s02_trial01", "s02_trial02"]
    one, other = (files_of(modalities_folder(each.path)) for each in (store, whole))
    assert one == other
    assert add(store).n_reused == 3  # the damaged one is tried again


@pytest.mark.journey
def test_other_settings_code_or_windows_are_refused_with_what_differs(store, tmp_path):
    add(store)
    file = modalities_folder(store.path) / "steps" / "modality.json"
    settings = json.loads(file.read_text())
    assert settings["code"]["name"].endswith("test_modalities:Steps") and len(settings["code"]["sha256"]) == 64
    with pytest.raises(BadStore, match=r"steps: expected shape \[3\], found one read with \[2\]. Bring that back, or"):
        add(store, Steps(width=3))
    file.write_text(json.dumps(settings | {"code": settings["code"] | {"sha256": "0" * 64}}))
    with pytest.raises(BadStore, match=r"Steps \(sha256 [0-9a-f]{12}\), found one read by .*sha256 000000000000"):
        add(store)
    file.write_text(json.dumps(settings | {"store": "f" * 16}))
    with pytest.raises(BadStore, match=r"expected store [0-9a-f]{16}, found one read with ffffffffffffffff"):
        add(store)
    with pytest.raises(BadStore, match=r"expected a modality of the windows .*the store was changed since"):
        open_store(store.path).modality("steps", [0])
    file.write_text("{")
    with pytest.raises(
        BadStore, match=r"modality\.json: expected the settings of a further modality, found a file that"
    ):
        open_store(store.path).modality("steps", [0])


@pytest.mark.journey
def test_raw_files_that_changed_are_read_again_and_damaged_files_too(store):
    corpus = corpus_of(store)
    add(store, corpus=corpus)
    first, *others = corpus.listed
    moved = replace(corpus, listed=(replace(first, video_start_s=1.0), *others), inspected=[])
    assert add(store, corpus=moved).n_reused == 2 and moved.inspected == ["s01_trial01", "s02_trial02"]
    file = data_file(modalities_folder(store.path) / "steps", "s02_trial01")
    file.write_bytes(file.read_bytes()[:-4])
    moved.inspected.clear()
    add(store, corpus=moved)
    assert moved.inspected == ["s02_trial01", "s02_trial02"]


@pytest.mark.journey
def test_recordings_of_another_corpus_are_refused_each_with_its_reason(store):
    corpus = corpus_of(store)
    with pytest.raises(BadConfig, match="expected the corpus deap, found mahnob"):
        add(store, corpus=replace(corpus, dataset="mahnob"))
    with pytest.raises(BadConfig, match=r"expected recordings s01_trial01, .* in the corpus, found x"):
        add(store, corpus=replace(corpus, listed=(replace(corpus.listed[0], name="x"),)))
    one, two, three, _ = corpus.listed
    listed = (
        replace(one, stimulus="99"),
        replace(two, seconds=3.0),
        replace(three, error="a.bdf: expected A, found B."),
    )
    summary = add(store, corpus=replace(corpus, listed=listed))
    assert summary.bad == [
        f"s01_trial01: expected stimulus {store.windows['stimulus'][0]}, as {store.path} has it, found 99. "
        "Is it the same corpus?",
        "s01_trial02: expected a stimulus of 4 s, as long as its windows in the store, found 3 s. "
        "Is it the same corpus?",
        "a.bdf: expected A, found B.",
        f"s02_trial02: expected a recording of this name, as {store.path} has it, found none in the corpus.",
    ]
    assert not store.modality("steps", range(len(store))).has.any()


def returns(values):
    class Returns(Steps):
        def read(self, recording, starts_s, window_s):
            return values(len(starts_s))

    return Returns()


@pytest.mark.journey
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda n: np.zeros((n, 3)), r"expected an array \(4, 2\) of floating point, found float64 \(4, 3\)"),
        (lambda n: np.zeros((n, 2), int), r"found int64 \(4, 2\)"),
        (lambda n: [[0.0, 0.0]] * n, r"found \[\[0.0, 0.0\]"),
        (lambda n: np.where(np.eye(n, 2), np.nan, 1), "found 1 of 2 values NaN or infinite in the window at 0 s"),
        (lambda n: np.full((n, 2), np.inf), "found 2 of 2 values NaN or infinite in the window at 0 s"),
        (lambda n: np.full((n, 2), 1e300), "found 2 of 2 values NaN or infinite in the window at 0 s"),
        (lambda n: 1 / 0, r"ZeroDivisionError: division by zero \(test_modalities.py, line"),
    ],
)
def test_what_a_plugin_must_not_return_costs_its_recording(store, values, message):
    import re

    summary = add(store, returns(values))
    assert len(summary.bad) == 4 and all(re.search(message, reason) for reason in summary.bad)


@pytest.mark.parametrize("name", ["face", "Sound", "a/b", "", None, "x" * 41])
def test_a_name_must_be_a_word(name):
    with pytest.raises(BadConfig, match="expected a name of small letters"):
        modality_object(Steps(name=name), "mine.py:Steps")


def test_something_else_is_no_modality():
    with pytest.raises(BadConfig, match=r"mine\.py:X: a modality needs name, shape, read"):
        modality_object(object(), "folder/mine.py:X")


@pytest.mark.journey
def test_a_finished_one_that_is_begun_again_and_killed_is_unfinished(store):
    add(store)
    file = data_file(modalities_folder(store.path) / "steps", "s02_trial01")
    file.unlink()
    with pytest.raises(KeyboardInterrupt):
        add(store, Steps(broken=True))
    with pytest.raises(BadStore, match=r"expected a finished modality, found no recordings\.json"):
        open_store(store.path).modality("steps", [0])
    add(store)
    assert open_store(store.path).modality("steps", [9]).values.tolist() == [[21, 1]]
