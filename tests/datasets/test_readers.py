"""Every reader satisfies the same contract (recording.Corpus), on a small synthetic corpus in its format.

Readers are found in the registry: a new one is tested without an edit here.
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gbvnet import testing
from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import (
    corpora,
    open_corpus,
    raw_corpora,
    synthetic_corpora,
    synthetic_settings,
    write_synthetic,
)
from gbvnet.datasets.check import check_corpus
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.preprocessing.signals import preprocess
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SIGNALS_ONLY = PrepareConfig(faces=False)


def kinds() -> list[str]:
    """Every reader: "deap", and "deap --raw" for the signals of deap as they were recorded."""
    return [*corpora(), *(f"{name} --raw" for name in raw_corpora())]


def opened(kind: str, root: Path):
    return open_corpus(kind.split()[0], root, raw=kind.endswith("--raw"))


def write(kind: str, root: Path) -> Path:
    """A small corpus, signals only, of two subjects: a synthetic one in the format of the reader."""
    name = kind.split()[0]
    settings = synthetic_settings(name)(subjects=2, trials=3, seconds=4, videos=0, seed=1)
    if kind.endswith("--raw"):
        settings = replace(settings, raw=True)
    write_synthetic(name, root, settings)
    return root


@pytest.fixture(params=kinds())
def kind(request):
    return request.param


@pytest.fixture
def root(kind, tmp_path):
    return write(kind, tmp_path / "corpus")


def recordings(corpus):
    return [r for unit in corpus.units for r in corpus.recordings(unit)]


def contents(folder):
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest()
            for f in sorted(folder.rglob("*")) if f.is_file() and "locks" not in f.parts}  # fmt: skip


def test_every_corpus_has_a_synthetic_twin():
    assert set(corpora()) == set(synthetic_corpora())


def test_an_unknown_corpus_is_reported_and_a_folder_without_one_too(kind, tmp_path):
    with pytest.raises(BadConfig, match=f"no corpus named 0; there are {', '.join(corpora())}"):
        open_corpus("0", tmp_path)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(BadRecording, match=re.escape(str(path))):
            opened(kind, path)


@pytest.mark.journey
def test_a_corpus_keeps_the_contract(kind, root):
    results = testing.check_corpus(lambda folder: opened(kind, folder), root)
    assert {"damage", "times", "the same each time", "other processes"} <= {result.promise for result in results}
    corpus = opened(kind, root)
    for signals in (corpus.signals(corpus.inspect(r)) for r in recordings(corpus)):
        assert all(samples.ndim == 1 for samples in signals.samples)
        assert isinstance(signals.samples, tuple) == (
            kind in ("bids", "dreamer", "xdf")
        )  # whose signals differ in rate


@pytest.mark.journey
def test_what_a_corpus_says_of_itself(kind, root):
    corpus = opened(kind, root)
    assert corpus.dataset == kind.split()[0]
    assert corpus.synthetic == (root / "SYNTHETIC.json").exists()
    assert len(set(corpus.units)) == len(corpus.units) > 1
    assert corpus.rate_hz > 0 and corpus.baseline_s >= 0 and corpus.frames_per_s >= 1
    names = [channel.name for channel in corpus.channels]
    assert len(set(names)) == len(names) > 0
    assert all(isinstance(note, str) for unit in (None, *corpus.units) for note in corpus.notes(unit))


@pytest.mark.journey
def test_recordings_are_named_once_for_all_and_have_the_labels_that_are_declared(kind, root):
    corpus = opened(kind, root)
    listed_recordings, declared = recordings(corpus), {column.name: column for column in corpus.labels}
    assert len(declared) == len(corpus.labels) > 0
    assert len(listed_recordings) > 2
    assert len({r.name for r in listed_recordings}) == len(listed_recordings)
    for r in listed_recordings:
        assert r.error is None and r.dataset == kind.split()[0]
        assert re.fullmatch(r"[\w.+-]+", r.name), r.name  # it will be a file's name
        assert r.subject and r.trial and r.stimulus and r.seconds > 0
        assert r.ratings and all(declared[name].allows(value) for name, value in r.ratings.items())
        assert not any(declared[name].trace for name in r.ratings)
        assert all(declared[name].trace for name in r.traces)
    assert len({r.stimulus for r in listed_recordings}) < len(listed_recordings)  # subjects share them
    assert len({(r.subject, r.trial) for r in listed_recordings}) == len(listed_recordings)


@pytest.mark.journey
def test_a_store_holds_the_windows_that_signals_and_filter_give(kind, root, tmp_path):
    before, corpus = contents(root), opened(kind, root)
    summary = prepare_store(corpus, tmp_path / "store", SIGNALS_ONLY)
    assert contents(root) == before  # a corpus is never written to
    by_name = {r.name: r for r in recordings(corpus)}
    assert summary.n_prepared == len(by_name) and summary.bad == []
    store = open_store(tmp_path / "store")
    for name, windows in store.windows.groupby("recording"):
        recording = by_name[name]
        assert len(windows) == int(recording.seconds)
        assert windows["subject"].iloc[0] == recording.subject
        assert {c: windows[c].iloc[0] for c in recording.ratings} == recording.ratings
        cleaned = preprocess(corpus.signals(recording), SIGNALS_ONLY, corpus.rate_hz, corpus.baseline_s)
        last = windows.index[-1]
        begin = cleaned.onset + round(windows.loc[last, "start_s"] * corpus.rate_hz)
        wanted = cleaned.x[:, begin : begin + store.settings["samples_per_window"]]
        assert np.allclose(store.read([last])[2][0], wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.journey
def test_a_corrupted_file_is_reported_and_the_other_recordings_are_used(kind, tmp_path, capsys):
    listed_recordings = recordings(opened(kind, write(kind, tmp_path / "corpus")))
    whole, corrupted = len(listed_recordings), listed_recordings[0].signals
    content, in_one_file = corrupted.read_bytes(), len({r.signals for r in listed_recordings}) == 1
    corrupted.write_bytes(content[: len(content) * 3 // 5 if in_one_file else 1000])
    units = list(check_corpus(opened(kind, tmp_path / "corpus")))
    good, bad = sum(u.good for u in units), sum(u.bad for u in units)
    assert bad >= 1 and 0 < good < whole
    errors = [p for u in units for p in (u.error, *(r.error for r in u.recordings)) if p]
    assert any(corrupted.name in error and "expected" in error and "found" in error for error in errors)
    assert main(["check", *kind.split()[:1], str(tmp_path / "corpus"), *kind.split()[1:], "--jobs", "1"]) == 1
    assert corrupted.name in capsys.readouterr().out
    summary = prepare_store(opened(kind, tmp_path / "corpus"), tmp_path / "store", SIGNALS_ONLY)
    assert summary.n_prepared == good and len(summary.bad) == bad


@pytest.mark.journey
def test_an_interrupted_prepare_goes_on_and_ends_with_the_same_bytes(kind, root, tmp_path):
    corpus = opened(kind, root)

    def interrupt(done, total, what):
        if list((tmp_path / "cut/data").glob("*.safetensors")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_store(corpus, tmp_path / "cut", SIGNALS_ONLY, progress=interrupt)
    done = len(list((tmp_path / "cut/data").glob("*.safetensors")))
    assert 0 < done < len(recordings(corpus))
    summary = prepare_store(corpus, tmp_path / "cut", SIGNALS_ONLY)
    assert (summary.n_reused, summary.n_prepared) == (done, len(recordings(corpus)) - done)
    prepare_store(corpus, tmp_path / "whole", SIGNALS_ONLY)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
