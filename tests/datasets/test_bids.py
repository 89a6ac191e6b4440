"""BIDS datasets: mne-bids, pandas and hand-worked numbers as oracles; the planted traps; layouts of real datasets."""

import gzip
import json
import os
import shutil
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.datasets import open_corpus, synthetic_settings, write_synthetic
from gbvnet.datasets.bids_files import BidsFiles
from gbvnet.datasets.bids_mapping import FILE, PhysioMap, shipped_mappings
from gbvnet.datasets.bids_physio import physio_offset
from gbvnet.datasets.bids_table import read_tsv
from gbvnet.datasets.bids_trials import _annotations
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.formats.bids_names import inherited, parse_name
from gbvnet.datasets.formats.physio import _block, read_physio
from gbvnet.datasets.formats.signal_file import TextProperties, read_signals
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.recording_files import open_files
from gbvnet.datasets.signal_sources import SignalSource
from gbvnet.datasets.synthetic import bids as twin
from gbvnet.datasets.synthetic.writer import bdf_bytes
from gbvnet.errors import BadConfig, BadRecording

from ..timed_signals import write_edf

DIALECTS = ("beh", "events", "channels", "codes")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function that writes a dataset once for the whole file."""
    roots: dict = {}

    def write(dialect: str = "beh", trap: str = "", subjects: int = 2, trials: int = 4) -> tuple[Path, twin.Settings]:
        key = (dialect, trap, subjects, trials)
        settings = twin.Settings(subjects=subjects, trials=trials, seconds=4, dialect=dialect, trap=trap, seed=3)
        if key not in roots:
            roots[key] = tmp_path_factory.mktemp("bids") / "data"
            write_synthetic("bids", roots[key], settings)
        return roots[key], settings

    return write


def recordings(root: Path, **options):
    corpus = open_corpus("bids", root, **options)
    return [r for unit in corpus.units for r in corpus.recordings(unit)]


def edited(root: Path, tmp_path: Path, *changes: tuple[str, str]) -> str:
    """A copy of a dataset's mapping with changes, elsewhere."""
    text = (root / FILE).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "mapping.yaml"
    file.write_text(text)
    return str(file)


# ---------------------------------------------------------------- oracles


@pytest.mark.journey
@pytest.mark.parametrize("dialect", ["beh", "events"])
def test_mne_bids_reads_the_same_files_events_and_samples(made, dialect):
    mne_bids = pytest.importorskip("mne_bids")
    root, _ = made(dialect)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mne_bids.find_matching_paths(root, suffixes="eeg", extensions=[".edf", ".vhdr"])
        raws = {path.fpath: mne_bids.read_raw_bids(path, verbose="error") for path in theirs}
    files = BidsFiles.open(root)
    assert {run.signals.path for subject in files.subjects for run in files.runs(subject)} == set(raws)
    corpus = open_corpus("bids", root)
    for r in recordings(root):
        raw = raws[r.signals]
        shown = [(a["onset"], a["duration"]) for a in raw.annotations if a["description"].startswith("film")]
        assert shown[r.row - 1] == (pytest.approx(r.signal_times[0]), r.seconds)
        signals = corpus.signals(r)
        at = round(signals.onset)
        start = round(r.signal_times[0] * 128)
        wanted = raw.get_data(picks=list(twin.EEG), start=start, stop=start + 256) * 1e6
        got = np.stack([x[at : at + 256] for x in signals.samples[:8]])
        assert np.abs(got - wanted).max() < 1e-6 * np.abs(wanted).max()


@pytest.mark.journey
@pytest.mark.parametrize("dialect", ["beh", "events", "codes"])
def test_ratings_are_those_that_pandas_joins(made, dialect):
    root, settings = made(dialect)
    rows = {}
    for file in sorted(root.glob("sub-*/eeg/*_events.tsv")):
        subject = file.name[4:6]
        events = pd.read_csv(file, sep="\t", na_values="n/a")
        if dialect == "codes":
            codes = events["trial_type"].to_numpy()
            starts = np.flatnonzero((codes > 300) & (codes < 400))
            for k in starts:
                after = codes[k + 1 : k + 5]
                given = {q: int(after[list(after).index(code) + 1]) - 900 for q, code in twin.QUESTIONS.items()}
                rows[subject, events["onset"][k]] = given
            continue
        films = events[events["trial_type"] == "film"]
        if dialect == "beh":
            beh = pd.read_csv(next((root / f"sub-{subject}/beh").glob("*_beh.tsv")), sep="\t")
            films = films.merge(beh, on="stim_file", validate="one_to_one")
        for one in films.to_dict("records"):
            rows[subject, one["onset"]] = {name: one[name] for name in ("valence", "arousal")}
    read = {(r.subject, r.signal_times[0]): r.ratings for r in recordings(root)}
    assert read == rows and len(read) == 8
    planted = {(f"{t.subject:02d}", t.start_s(settings)): t.ratings for t in twin.plan(settings)}
    assert read == planted


@pytest.mark.journey
def test_channels_are_traces_of_the_values_in_the_file_whatever_their_unit(made):
    import edfio

    root, _ = made("channels")
    for r in recordings(root):
        edf = edfio.read_edf(r.signals)
        start, stop = round(r.signal_times[0] * 128), round((r.signal_times[0] + r.seconds) * 128)
        for name, label in (("valence", "VA1"), ("arousal", "VA2")):
            x = next(s.data for s in edf.signals if s.label == label)[start:stop]
            trace = r.traces[name]
            assert len(trace.values) == 40 and np.allclose(np.diff(trace.times_s), 0.1)
            bins = np.floor(np.arange(len(x)) / 128 * 10 + 1e-6)
            wanted = [x[bins == k].mean() for k in range(40)]
            assert np.allclose(trace.values, wanted, atol=1e-9) and 0 < trace.values.mean() < 9
    assert all(not c.name.startswith("VA") for c in open_corpus("bids", root).channels)


@pytest.mark.journey
@pytest.mark.parametrize("trap", ["", "physio-late", "header"])
def test_an_event_in_eeg_and_physio_meets_within_a_sample_of_the_slower(made, trap):
    root, _ = made("events", trap)
    corpus = open_corpus("bids", root)
    r = recordings(root)[0]
    files = open_files(r.sources, TextProperties())
    read = files.read(2.0, 5.0, (Channel("Fp1", "eeg"), Channel("GSR", "gsr")))
    times = [read.start_s + np.argmax(x) / hz for x, hz in zip(read.samples, read.rates_hz, strict=True)]
    assert abs(times[0] - twin.EVENT_S) < 1 / 32 and abs(times[1] - twin.EVENT_S) < 1 / 32
    assert files.files[1].segments[0].start_s == (1.7 if trap == "physio-late" else -2.0)
    notes = [w for w in corpus.inspect(r).warnings if "line of names" in w]
    assert len(notes) == (trap == "header")


# ---------------------------------------------------------------- traps


@pytest.mark.journey
def test_onsets_in_samples_are_refused_with_the_line_to_write_which_then_gives_the_planted_times(made, tmp_path):
    root, settings = made("events", "samples")
    errors = {r.error for r in recordings(root)}
    assert len(errors) == 2 and all("`onset_unit: samples`" in e and "At 128 samples a second" in e for e in errors)
    mapping = edited(root, tmp_path, ("trial:\n", "trial:\n  onset_unit: samples\n"))
    starts = [(r.subject, r.signal_times[0]) for r in recordings(root, mapping=mapping)]
    assert starts == [(f"{t.subject:02d}", t.start_s(settings)) for t in twin.plan(settings)]


@pytest.mark.journey
def test_seconds_that_a_mapping_calls_samples_are_refused(made, tmp_path):
    root, _ = made("events")
    mapping = edited(root, tmp_path, ("trial:\n", "trial:\n  onset_unit: samples\n"))
    assert all("were seconds meant" in r.error for r in recordings(root, mapping=mapping))


@pytest.mark.journey
def test_unix_time_is_refused_until_an_anchor_places_it(made, tmp_path):
    root, _ = made("events", "epoch")
    with pytest.raises(BadRecording, match=r"Unix time.*`anchor: header`.*utc_offset_h"):
        open_corpus("bids", root)
    gsr = "gsr: {channels: {GSR: gsr}"
    with pytest.raises(BadRecording, match=r"the local time 2023-08-18 11:26:07.*utc_offset_h"):
        open_corpus("bids", root, mapping=edited(root, tmp_path, (gsr, f"{gsr}, anchor: header")))
    mapping = edited(root, tmp_path, (gsr, f"{gsr}, anchor: header, utc_offset_h: 0"))
    r = recordings(root, mapping=mapping)[0]
    assert r.error is None and r.sources[1].offset_s == -2.0
    read = open_files(r.sources, TextProperties()).read(2.0, 5.0, (Channel("Fp1", "eeg"), Channel("GSR", "gsr")))
    times = [read.start_s + np.argmax(x) / hz for x, hz in zip(read.samples, read.rates_hz, strict=True)]
    assert abs(times[1] - times[0]) < 1 / 32
    scans(root, "2021-01-01T00:00:00")
    with pytest.raises(BadRecording, match="of one day"):
        open_corpus("bids", root, mapping=edited(root, tmp_path, (gsr, f"{gsr}, anchor: scans, utc_offset_h: 0")))
    scans(root, "2023-08-18T13:26:07")
    two = edited(root, tmp_path, (gsr, f"{gsr}, anchor: scans, utc_offset_h: 2"))
    assert recordings(root, mapping=two)[0].sources[1].offset_s == -2.0


def scans(root: Path, date: str) -> None:
    for eeg in root.glob("sub-*/eeg/*_eeg.vhdr"):
        subject = eeg.name[:6]
        (root / subject / f"{subject}_scans.tsv").write_text(f"filename\tacq_time\neeg/{eeg.name}\t{date}\n")


@pytest.mark.journey
def test_labels_that_differ_in_case_and_runs_in_zeros_are_one_and_a_note(made):
    root, _ = made("beh", "case")
    corpus = open_corpus("bids", root)
    assert [r.error for r in recordings(root)] == [None] * 8
    notes = corpus.notes("01")
    assert any("task-film in files of channels, events, physio, task-Film in those of eeg" in note for note in notes)


@pytest.mark.journey
def test_a_byte_order_mark_is_no_part_of_a_name_and_a_note(made):
    root, _ = made("events", "bom")
    assert [r.error for r in recordings(root)] == [None] * 8
    assert sum("byte order mark" in note for note in open_corpus("bids", root).notes("01")) == 2


@pytest.mark.journey
def test_trials_without_trial_type_are_read_where_mne_bids_drops_all(made):
    mne_bids = pytest.importorskip("mne_bids")
    root, settings = made("codes", "no-trial-type")
    assert [r.ratings for r in recordings(root)] == [t.ratings for t in twin.plan(settings)]
    path = mne_bids.find_matching_paths(root, suffixes="eeg", extensions=".edf")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not [a for a in mne_bids.read_raw_bids(path, verbose="error").annotations if a["description"] == "film"]


@pytest.mark.journey
def test_rows_that_match_nothing_are_refused_with_the_values_that_are_there(made, tmp_path):
    root, _ = made("events")
    mapping = edited(root, tmp_path, ("{trial_type: film}", "{trial_type: movie}"))
    assert all("trial_type: fixation (4), film (4)" in r.error for r in recordings(root, mapping=mapping))


@pytest.mark.journey
@pytest.mark.parametrize("dialect", ["beh", "events"])
def test_a_pointer_of_git_annex_is_reported_with_its_size_and_costs_its_run_alone(made, dialect):
    root, _ = made(dialect, "annexed")
    whole = [r for r in recordings(root) if not r.error]
    (bad,) = [r for r in recordings(root) if r.error]
    assert {r.subject for r in whole} == {"01"} and bad.subject == "02"
    assert "that is not fetched" in bad.error and "`datalad get sub-02/eeg/" in bad.error and " bytes" in bad.error


@pytest.mark.journey
def test_a_broken_link_of_git_annex_is_reported_and_one_that_is_fetched_is_read(made, tmp_path):
    root, _ = made("beh")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    first, second = sorted(copy.glob("sub-*/eeg/*_eeg.edf"))
    store = copy / ".git/annex/objects/aa/bb"
    for file, size, there in ((first, 12345678, False), (second, second.stat().st_size, True)):
        name = f"MD5E-s{size}--0123456789abcdef0123456789abcdef.edf"
        (store / name).mkdir(parents=True)
        if there:
            file.rename(store / name / name)
        else:
            file.unlink()
        file.symlink_to(os.path.relpath(store / name / name, file.parent))
    good = [r for r in recordings(copy) if not r.error]
    (bad,) = [r for r in recordings(copy) if r.error]
    assert {r.subject for r in good} == {"02"} and "a file of 12,345,678 bytes that is not fetched" in bad.error


# ---------------------------------------------------------------- names, JSON files, tables


def test_names_have_parts_and_runs_one_number():
    name = parse_name("sub-01_ses-A_task-film_run-01_recording-gsr_physio.tsv.gz")
    assert (name.suffix, name.extension, name["recording"], name["acq"]) == ("physio", ".tsv.gz", "gsr", "")
    assert name.key == parse_name("sub-01_ses-a_task-Film_run-1_recording-gsr_physio.json").key
    assert parse_name("README") is None and parse_name("participants.tsv") is None


def test_json_files_are_inherited_key_by_key_the_nearest_first(tmp_path):
    eeg = tmp_path / "sub-01/ses-1/eeg"
    eeg.mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text("{}")
    for place, about in {
        "task-film_physio.json": {"StartTime": 1, "SamplingFrequency": 8, "Columns": ["A"]},
        "sub-01/sub-01_physio.json": {"StartTime": 2, "Columns": ["B"]},
        "sub-01/ses-1/eeg/sub-01_ses-1_task-film_physio.json": {"StartTime": 3},
        "task-other_physio.json": {"StartTime": 9},
        "sub-01/sub-01_ses-2_physio.json": {"StartTime": 9},
    }.items():
        (tmp_path / place).write_text(json.dumps(about))
    path = eeg / "sub-01_ses-1_task-film_physio.tsv.gz"
    assert inherited(path) == {"StartTime": 3, "SamplingFrequency": 8, "Columns": ["B"]}


def physio(folder: Path, lines: str, **about) -> Path:
    path = folder / "sub-01_task-film_physio.tsv.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    held = {"SamplingFrequency": 4, "StartTime": 0, "Columns": ["EDA", "onset"]} | about
    path.with_name("sub-01_task-film_physio.json").write_text(
        json.dumps({k: v for k, v in held.items() if v is not None})
    )
    return path


ROWS = "".join(f"{2 + k % 3}\t{k / 4}\n" for k in range(400))


def test_a_physio_file_has_its_own_clock_rate_and_unit(tmp_path):
    path = physio(tmp_path, ROWS, StartTime=-1.5, EDA={"Units": "nS"})
    read = read_signals(path, 0.0, 10.0, (Channel("EDA", "gsr"),))
    assert (read.start_s, read.rate_hz) == (0.0, 4.0)
    wanted = np.array([2 + k % 3 for k in range(6, 46)]) / 1000  # 1.5 s later, in microsiemens
    assert np.allclose(read.samples[0], wanted)
    assert read_physio(path).kinds == ("gsr", None)


@pytest.mark.parametrize(
    ("lines", "about", "message"),
    [
        (ROWS, {"Columns": None}, "expected Columns, a list of names, found none"),
        (ROWS, {"StartTime": None}, "expected StartTime, a number, found none"),
        (ROWS, {"SamplingFrequency": 0}, "expected a SamplingFrequency above 0"),
        (ROWS, {"Columns": ["EDA"]}, "expected 1 fields in each line, as Columns names, found 2"),
        (ROWS + "1\n" + ROWS, {}, "found another number in line 401"),
        (ROWS, {"SamplingFrequency": 8}, "expected 8 lines a second (SamplingFrequency), found 4 by its column onset"),
        ("", {}, "expected at least two lines of numbers, found 0"),
        (ROWS, {"Columns": ["EDA", "EDA"]}, "expected each column once, found EDA twice"),
    ],
    ids=["columns", "start", "rate", "width", "cut", "clock", "empty", "twice"],
)  # fmt: skip
def test_a_physio_file_that_is_not_as_it_must_be_is_refused(tmp_path, lines, about, message):
    with pytest.raises(BadRecording) as error:
        read_physio(physio(tmp_path, lines, **about))
    assert message in str(error.value)


def test_a_line_of_names_and_a_cut_last_line_are_left_out_and_noted(tmp_path):
    file = read_physio(physio(tmp_path, "EDA\tonset\n" + ROWS + "3"))
    assert len(file.channels[0].samples) == 400
    assert [n.split(":")[0] for n in file.notes] == [
        "a line of names at its beginning, which BIDS forbids", "its last line, 402, is cut",
    ]  # fmt: skip


def test_only_n_a_is_a_missing_value_and_a_line_of_another_width_is_refused(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_bytes("﻿name\t\tx\nNA\t1\tn/a\n\t2\tNaN\n".encode())
    table = read_tsv(file, "a table")
    assert table.rows == ({"name": "NA", "": "1"}, {"name": "", "": "2", "x": "NaN"}) and table.lines == (2, 3)
    file.write_text("a\tb\n1\t2\n1\n")
    with pytest.raises(BadRecording, match=r"expected 2 cells in each line.*found 1 in line 3"):
        read_tsv(file, "a table")


# ---------------------------------------------------------------- mappings


@pytest.mark.journey
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("column: valence", "colum: valence", "an unknown name `colum`. Did you mean column?"),
        ("from: beh", "from: survey", "ratings.from"),
        ("scale: [1, 9]", "scale: [9, 1]", "expected its lowest and its highest value"),
        ("{trial_type: film}", "{trial_type: '/[/'}", "trial.rows.trial_type: expected a regular expression"),
        ("dataset: bids", "dataset: FILL_IN", "expected a value for dataset, found FILL_IN"),
        ("key: stim_file", "key: {events: a}", "ratings.key: expected a column of events and one of beh"),
        ("GSR: gsr", "GSR: skin", "'skin' is none of the choices"),
        ("dataset: bids", "dataset: [", "a file that does not read"),
    ],
    ids=["unknown", "from", "scale", "regex", "draft", "key", "kind", "yaml"],
)
def test_a_mapping_with_a_wrong_key_is_refused_with_its_place(made, tmp_path, old, new, message):
    root, _ = made("beh")
    with pytest.raises(BadRecording) as error:
        open_corpus("bids", root, mapping=edited(root, tmp_path, (old, new)))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("dialect", "old", "new", "message"),
    [
        ("beh", "column: valence", "column: valense", "a column valense, found none among stim_file, valence"),
        ("beh", "key: stim_file", "key: {events: trial_type, beh: stim_file}", "as in column trial_type"),
        ("events", "scale: [1, 9]", "scale: [1, 5]", "valence from 1 to 5"),
        ("events", "trial:\n", "trial:\n  duration: 30\n", "trials that do not overlap"),
        ("channels", "scale: [0, 9]", "scale: [-1, 1]", "valence from -1 to 1 in channel VA1"),
        ("channels", "channel: VA1", "channel: VA7", "channel VA7, the ratings of valence"),
        ("codes", "question: 800", "question: 900", "no trial has a rating of valence"),
        ("beh", "gsr: {channels: {GSR", "gsr: {channels: {EDA", "expected a column EDA, found GSR, counter"),
        ("beh", "  gsr:", "  wrist:", "a file recording-wrist_physio.tsv.gz of this run"),
    ],
    ids=["column", "key", "scale", "overlap", "trace", "channel", "question", "physio", "recording"],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_the_files_is_refused_in_one_line(made, tmp_path, dialect, old, new, message):
    root, _ = made(dialect)
    mapping = edited(root, tmp_path, (old, new))
    try:
        errors = [r.error for r in recordings(root, mapping=mapping)]
        errors += [*open_corpus("bids", root, mapping=mapping).notes("01")] if dialect == "codes" else []
    except BadRecording as error:
        errors = [str(error)]
    assert any(message in e for e in errors if e) and not any("\n" in e for e in errors if e), errors


@pytest.mark.journey
def test_without_a_mapping_columns_that_may_be_ratings_are_listed(made, tmp_path):
    root, _ = made("beh")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(FILE))
    with pytest.raises(BadRecording, match=r"beh valence \(.*beh arousal .*`gbvnet table init --bids"):
        open_corpus("bids", copy)
    with pytest.raises(BadConfig, match="expected a YAML file or one of ds002721"):
        open_corpus("bids", copy, mapping="ds000000")


@pytest.mark.journey
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_draft_is_used_as_it_is_or_once_it_is_filled_in(made, tmp_path, dialect, capsys):
    root, _ = made(dialect)
    wanted = [(r.name, r.ratings, r.signal_times, r.stimulus, r.traces) for r in recordings(root)]
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(FILE))
    assert main(["table", "init", "--bids", str(copy)]) == 0
    shown, draft = capsys.readouterr().out, (copy / FILE).read_text()
    assert ("nothing to fill in" in shown) == (dialect in ("beh", "events")) == ("FILL_IN" not in draft)
    if dialect == "channels":
        draft = draft.replace("[FILL_IN, FILL_IN]", "[0, 9]").replace("rows: FILL_IN", "rows: {trial_type: film}")
        draft = draft.replace("duration: FILL_IN", "duration: duration")
    if dialect == "codes":
        with pytest.raises(BadRecording, match="FILL_IN"):
            open_corpus("bids", copy)
        draft = (root / FILE).read_text()
    (copy / FILE).write_text(draft)
    assert [(r.name, r.ratings, r.signal_times, r.stimulus, r.traces) for r in recordings(copy)] == wanted
    assert main(["table", "init", "--bids", str(copy)]) != 0


@pytest.mark.journey
def test_a_draft_says_samples_where_onsets_only_fit_as_such(made, tmp_path):
    root, _ = made("events", "samples")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(FILE))
    main(["table", "init", "--bids", str(copy)])
    assert "onset_unit: samples" in (copy / FILE).read_text()
    assert [r.error for r in recordings(copy)] == [None] * 8


# ---------------------------------------------------------------- layouts of real datasets


def describe(root: Path, **about) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text(json.dumps(about))


def tsv(path: Path, *rows: tuple, bom: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join("\t".join(map(str, row)) for row in rows) + "\n"
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))


def noise(n: int, sd: float = 20.0) -> np.ndarray:
    return sd * np.random.default_rng(1).standard_normal(n)


def edf(path: Path, seconds: int, rate_hz: int, names, annotations=(), **extra: np.ndarray) -> None:
    from edfio import Edf, EdfAnnotation, EdfSignal

    path.parent.mkdir(parents=True, exist_ok=True)
    signals = [EdfSignal(noise(seconds * rate_hz), rate_hz, label=name, physical_dimension="uV") for name in names]
    signals += [
        EdfSignal(x, rate_hz, label=name, physical_dimension="uV", physical_range=(0, 9)) for name, x in extra.items()
    ]
    Edf(signals, annotations=[EdfAnnotation(at, None, text) for at, text in annotations]).write(path)


@pytest.mark.journey
def test_faced_by_its_shipped_mapping(tmp_path):
    describe(tmp_path, Name="FACED - Finer-grained Affective Computing EEG Dataset")
    stem = tmp_path / "sub-001/eeg/sub-001_task-watchingVideoClips"
    rated = "Joy Tenderness Inspiration Amusement Anger Disgust Fear Sadness Arousal Valence Familiarity Liking".split()
    head = (
        "onset",
        "duration",
        "trial_type",
        "value",
        "sample",
        "emotion_label",
        "binary_label",
        "video_index",
        *rated,
    )
    blank = ["n/a"] * (len(rated) + 3)
    row = [4.5599, 4.66, 5.14, 3.69, 0.05, 0.18, 0.16, 1.09, 1.53, 5.67, 6.95, 6.95]
    tsv(
        stem.with_name(f"{stem.name}_events.tsv"), head, (1.0, 0.0, "Experiment start", 5, 250, *blank),
        (1.5, 0.0, "Experiment start", 5, 375, *blank), (10.0, 12.5, "Blue", 6, 2500, "\\", "neutral", 13, *row),
        (30.0, 12.0, "Blue", 14, 7500, "\\", "neutral", 15, *row), bom=True,
    )  # fmt: skip
    names = ("Fp1", "Fp2", "Cz")
    stem.with_name(f"{stem.name}_eeg.bdf").write_bytes(bdf_bytes([_bdf(name, noise(50 * 250)) for name in names], 250))
    corpus = open_corpus("bids", tmp_path)
    assert any("part of gbvnet, by its Name" in note for note in corpus.notes())
    first, second = recordings(tmp_path)
    assert (first.stimulus, second.stimulus, first.signal_times[0], first.seconds) == ("13", "15", 10.0, 12.5)
    assert first.ratings["valence"] == 5.67 and first.ratings["arousal"] == 1.53 and len(first.ratings) == 12
    assert corpus.inspect(first).error is None


def _bdf(name: str, x: np.ndarray):
    from gbvnet.datasets.synthetic.writer import BdfChannel

    return BdfChannel(name, "uV", (-1000.0, 1000.0), x)


@pytest.mark.journey
@pytest.mark.parametrize("number", [2, 3, 4])
def test_bcmi_by_its_shipped_mapping(tmp_path, number):
    describe(tmp_path, Name="phBCMItraining", DatasetDOI=f"10.18112/openneuro.ds00272{number}.v1.0.0")
    stem = tmp_path / "sub-09/ses-2/eeg/sub-09_ses-2_task-run1"
    edf(stem.with_name(f"{stem.name}_eeg.edf"), 60, 250, ["Fp1", "Fz", "GSR"], VA1=np.linspace(0, 9, 15000),
        VA2=np.full(15000, 4.5), VAtarg=np.zeros(15000))  # fmt: skip
    tsv(stem.with_name(f"{stem.name}_events.tsv"), ("onset", "duration", "trial_type"), (8.66, 21, 1), (28.66, 21, 6))
    types = [
        ("Fp1", "EEG"),
        ("Fz", "EEG"),
        ("GSR", "GSR"),
        ("VA1", "UserReport"),
        ("VA2", "UserReport"),
        ("VAtarg", "MetaData"),
    ]
    tsv(stem.with_name(f"{stem.name}_channels.tsv"), ("name", "type", "units"), *((*t, "microV") for t in types))
    first, second = recordings(tmp_path)
    assert first.error is None is second.error and first.signal_times[0] == 8.66 and first.seconds == 20
    assert first.name == "sub-09_ses-2_task-run1_trial-01"
    wanted = 9 * (8.66 + 10) / 60  # the middle of a ramp
    assert np.mean(first.traces["valence"].values) == pytest.approx(wanted, abs=0.01)
    assert {c.name: c.kind for c in open_corpus("bids", tmp_path).channels} == {"Fp1": "eeg", "Fz": "eeg", "GSR": "gsr"}


@pytest.mark.journey
def test_film_music_by_its_shipped_mapping(tmp_path):
    describe(tmp_path, DatasetDOI="10.18112/openneuro.ds002721.v1.0.2")
    stem = tmp_path / "sub-01/eeg/sub-01_task-run2"
    edf(stem.with_name(f"{stem.name}_eeg.edf"), 60, 250, ["Fp1", "T3", "T4"])
    codes = [
        (5, 788),
        (10, 301),
        (22, 800),
        (23, 907),
        (24, 801),
        (25, 902),
        (30, 360),
        (42, 807),
        (43, 805),
        (44, 909),
    ]
    tsv(stem.with_name(f"{stem.name}_events.tsv"), ("onset", "duration", "trial_type"), *((t, 20, c) for t, c in codes))
    first, second = recordings(tmp_path)
    assert (first.ratings, first.seconds) == ({"pleasant": 7.0, "energetic": 2.0}, 12.0)
    assert second.ratings == {"happy": 9.0} and second.stimulus == "360"  # 807 has no answer
    assert any("1 questions without an answer" in note for note in open_corpus("bids", tmp_path).notes("01"))


@pytest.mark.journey
def test_dens_by_its_shipped_mapping(tmp_path):
    from scipy.io import savemat

    describe(
        tmp_path,
        Name="Dataset on Emotion with Naturalistic Stimuli (DENS)",
        DatasetDOI="doi:10.18112/openneuro.ds003751.v1.0.4",
    )
    eeg, n = tmp_path / "sub-mit003/eeg", 250 * 150
    eeg.mkdir(parents=True)
    labels = [{"labels": f"E{k}", "type": "", "X": 0.0, "Y": 0.0, "Z": 0.0} for k in range(1, 6)]
    x = np.stack([noise(n)] * 5).astype(np.float32)
    x.T.tofile(eeg / "sub-mit003_task-Emotion_eeg.fdt")
    about = {"setname": "x", "nbchan": 5.0, "trials": 1.0, "pnts": float(n), "srate": 250.0, "xmin": 0.0}
    about |= {"xmax": (n - 1) / 250, "data": "sub-mit003_task-Emotion_eeg.fdt", "chanlocs": labels}
    about |= {name: [] for name in ("event", "icawinv", "icaweights", "icasphere")}
    savemat(eeg / "sub-mit003_task-Emotion_eeg.set", {"EEG": about}, appendmat=False)
    tsv(eeg / "sub-mit003_task-emotion_events.tsv", ("onset", "duration", "trial_type"), (250, "1000.0", "fixation_1"),
        (1000, "1000.0", "stimulus_1"), (16124.5, "1000.0", "rating_1"), (18000, "1000.0", "stimulus_2"))  # fmt: skip
    head = (
        "",
        "stimuliName",
        "valence",
        "arousal",
        "dominance",
        "liking",
        "familiarity",
        "relevance",
        "emotionCateg",
        "Quadrant",
    )
    tsv(tmp_path / "sub-mit003/beh/sub-mit003_task-Emotion_beh.tsv", head,
        (0, "neutral_1.mp4", 8.97, 7.95, 7.04, 5.0, 4.0, 3.98, "{}", "n/a"),
        (1, "12.m4v", 9.0, 9.0, 8.07, 5.0, 5.0, 4.98, "{'0': [u'Joyous: Full of', u'']}", "HVHA"))  # fmt: skip
    first, second = recordings(tmp_path)
    assert first.error is None is second.error
    assert (first.signal_times[0], first.seconds, first.stimulus) == (4.0, 60.0, "neutral_1.mp4")
    assert second.stimulus == "12.m4v" and second.ratings["valence"] == 9.0 and second.ratings["relevance"] == 4.98
    assert open_corpus("bids", tmp_path).inspect(first).warnings == ()
    (eeg / "sub-mit003_task-Emotion_eeg.fdt").write_text("/annex/objects/MD5E-s74397672--f75f.fdt\n")
    with pytest.raises(BadRecording, match="a file of 74,397,672 bytes that is not fetched"):
        open_corpus("bids", tmp_path)


def test_emoeeg_needs_the_numbers_of_its_readme_and_is_then_read(tmp_path):
    root = tmp_path / "ds005540"
    describe(root)
    with_rows = root / "sub-01/eeg/sub-01_task-emotion"
    edf(
        with_rows.with_name(f"{with_rows.name}_eeg.edf"),
        60,
        250,
        ["Fp1", "Cz"],
        [(10, "31"), (20, "99"), (30, "32"), (45, "99")],
    )
    head = ("trial_number", "video_name", *(f"score_{k}" for k in range(1, 11)))
    tsv(root / "sub-01/beh/sub-01_task-emotion_beh.tsv", head, (1, 3, *[0.0] * 6, 3.43, 4.83, 4.83, 4.83),
        (2, 3, *[0.0] * 6, 5.88, 5.87, 3.5, "n/a"))  # fmt: skip
    lines = "".join(f"{2 + k % 7}\t{k / 40}\n" for k in range(40 * 60))
    (with_rows.parent / "sub-01_task-emotion_recording-GSR_physio.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    began = pd.Timestamp("1985-01-01 00:00:00").timestamp() - 8 * 3600
    about = {"SamplingFrequency": 40, "StartTime": began + 3, "Columns": ["GSR", "csv_time_GSR"]}
    (with_rows.parent / "sub-01_task-emotion_recording-GSR_physio.json").write_text(json.dumps(about))
    with pytest.raises(BadRecording, match=r"expected a value for trial\.annotation, found FILL_IN"):
        open_corpus("bids", root)
    text = shipped_mappings()["ds005540"].read_text()
    text = text.replace("annotation: FILL_IN", "annotation: {default: none, '01': '3(\\d)|99'}\n  rows: {value: any}")
    (tmp_path / "mine.yaml").write_text(text.replace("duration: FILL_IN", "duration: next"))
    first, second = recordings(root, mapping=str(tmp_path / "mine.yaml"))
    assert first.error is None and (first.signal_times[0], first.seconds) == (10.0, 10.0)
    assert first.ratings == {"valence": 4.83, "arousal": 3.43, "familiarity": 4.83, "liking": 4.83}
    assert second.ratings["valence"] == 5.87 and "liking" not in second.ratings
    assert first.sources == (SignalSource(first.signals), replace(first.sources[1], offset_s=3.0))


def test_sessions_and_runs_are_separate_and_overlapping_trials_refused(tmp_path):
    describe(tmp_path)
    mapping = "dataset: two\nbaseline_s: 0\nratings: {from: events, labels: {valence: {column: v, scale: [1, 9]}}}\n"
    (tmp_path / FILE).write_text(mapping + "trial: {rows: {v: any}}\n")
    for session, run, v in (("1", "1", 2), ("1", "2", 3), ("2", "1", 4)):
        stem = tmp_path / f"sub-a/ses-{session}/eeg/sub-a_ses-{session}_run-{run}"
        edf(stem.with_name(f"{stem.name}_eeg.edf"), 20, 128, ["Fp1"])
        rows = [(1, 5, v), (7, 5, v), *([(8, 5, 9)] if v == 4 else [])]
        tsv(stem.with_name(f"{stem.name}_events.tsv"), ("onset", "duration", "v"), *rows)
    listed = recordings(tmp_path)
    assert [r.ratings.get("valence") for r in listed] == [2, 2, 3, 3, 4, 4, 9]
    assert [bool(r.error) for r in listed] == [False] * 5 + [True] * 2
    assert len({r.name for r in listed}) == 7 and listed[2].name == "sub-a_ses-1_run-2_trial-01"


def test_physio_files_alone_are_a_dataset_of_kind_beh_whose_events_are_put_in_order(tmp_path):
    describe(tmp_path)
    (tmp_path / FILE).write_text(
        "dataset: wrist\nkind: beh\nbaseline_s: 0\n"
        "ratings: {from: events, labels: {valence: {column: v, scale: [1, 9]}}}\n"
        "trial: {rows: {trial_type: [film, 3]}}\nphysio: {'': {channels: {EDA: gsr}, unit: uS}}\n"
    )
    beh = tmp_path / "sub-01/beh"
    tsv(beh / "sub-01_task-film_events.tsv", ("onset", "duration", "trial_type", "v"), (50, 5, "3.0", 7),
        (20, 5, "film", 2), (10, 5, "pause", "n/a"))  # fmt: skip
    physio(beh, ROWS, StartTime=15)
    corpus = open_corpus("bids", tmp_path)
    first, second = recordings(tmp_path)
    assert (first.signal_times[0], second.signal_times[0]) == (20, 50) and first.ratings == {"valence": 2.0}
    signals = corpus.signals(corpus.inspect(first))
    at = round(signals.onset)
    assert np.allclose(signals.samples[0][at : at + 20], [2 + k % 3 for k in range(20, 40)])  # 5 s after its first line
    assert any("not in the order of time" in note for note in corpus.notes("01"))


def test_channels_of_no_known_kind_are_a_note_and_two_spellings_of_one_are_not_used(tmp_path):
    describe(tmp_path)
    (tmp_path / FILE).write_text(
        "dataset: x\nratings: {from: events, labels: {valence: {column: v, scale: [1, 9]}}}\ntrial: {rows: {v: any}}\n"
    )
    stem = tmp_path / "sub-01/eeg/sub-01_task-film"
    edf(stem.with_name(f"{stem.name}_eeg.edf"), 30, 128, ["Fp1", "T3", "T7", "Mystery", "Pump"])
    tsv(stem.with_name(f"{stem.name}_events.tsv"), ("onset", "duration", "v"), (5, 5, 3))
    types = [("Fp1", "EEG"), ("T3", "EEG"), ("T7", "EEG"), ("Mystery", "RESP"), ("Pump", "MISC")]
    tsv(stem.with_name(f"{stem.name}_channels.tsv"), ("name", "type", "units"), *((*t, "uV") for t in types))
    corpus = open_corpus("bids", tmp_path)
    assert {c.name: c.kind for c in corpus.channels} == {"Fp1": "eeg", "Mystery": "resp"}
    assert any("3 of 5 channels are not used (T3, T7, Pump)" in note for note in corpus.notes())


@pytest.mark.journey
def test_videos_are_those_of_bep047_or_of_the_pattern(made, tmp_path):
    root, _ = made("beh")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    video = copy / "sub-01/beh/sub-01_task-film_run-01_recording-face_video.mp4"
    video.write_bytes(b"no video")
    assert {r.video for r in recordings(copy)} == {video, None} and open_corpus("bids", copy).has_videos
    video.unlink()
    for subject in ("01", "02"):
        folder = copy / f"sourcedata/{subject}"
        folder.mkdir(parents=True)
        for k in range(1, 5):
            (folder / f"{k}.mp4").write_bytes(b"")
    line = "video: {files: 'sourcedata/{sub}/{trial}.mp4', begins: trial, offset_s: 0.5}\n"
    (copy / FILE).write_text((copy / FILE).read_text() + line)
    held = recordings(copy)
    assert [r.video.name for r in held] == ["1.mp4", "2.mp4", "3.mp4", "4.mp4"] * 2 and held[0].video_start_s == 0.5
    (copy / FILE).write_text((copy / FILE).read_text().replace("{trial}", "*"))
    assert all("expected one video" in r.error for r in recordings(copy))


@pytest.mark.journey
def test_notes_on_participants_channels_and_scales(made, tmp_path):
    root, _ = made("events")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    tsv(copy / "participants.tsv", ("participant_id",), ("sub-01",), ("sub-07",))
    file = next(copy.glob("sub-01/eeg/*_channels.tsv"))
    tsv(
        file,
        ("name", "type", "units", "status"),
        *((n, "EEG", "uV", "bad" if n == "Oz" else "good") for n in (*twin.EEG[1:], "X1")),
    )
    mapping = (copy / FILE).read_text().replace("[1, 9]", "[-50, 50]")
    (copy / FILE).write_text(mapping)
    corpus = open_corpus("bids", copy)
    notes = " | ".join((*corpus.notes(), *corpus.notes("01")))
    for part in (
        "1 participants of participants.tsv have no folder: 07", "1 folders are not in participants.tsv: sub-02",
        "are not in the file: X1", "are not in channels.tsv: Fp1", "calls 1 channels bad, which are used: Oz",
        "all values of valence are from",
    ):  # fmt: skip
        assert part in notes, notes


@pytest.mark.journey
def test_check_opens_and_reads_all_recordings_of_every_dialect(made):
    for dialect in DIALECTS:
        root, _ = made(dialect)
        units = list(check_corpus(open_corpus("bids", root)))
        assert sum(u.good for u in units) == 8 and sum(u.bad for u in units) == 0
        assert not [w for u in units for r in u.recordings for w in r.warnings]
    assert synthetic_settings("bids") is twin.Settings


# ---------------------------------------------------------------- joins, clocks and units that are easily wrong

BY_BEH = "dataset: x\nbaseline_s: 0\nratings: {from: beh, labels: {valence: {column: v, scale: [1, 9]}}}\n"
BY_EVENTS = BY_BEH.replace("from: beh", "from: events")


def small(root: Path, mapping: str, events, beh=(), seconds: int = 40) -> Path:
    """A run of one subject. events : onset, duration, stim, v of each; beh : stim, v of each. Returns its stem."""
    describe(root)
    (root / FILE).write_text(mapping)
    stem = root / "sub-01/eeg/sub-01_task-film"
    edf(stem.with_name(f"{stem.name}_eeg.edf"), seconds, 128, ["Fp1"])
    tsv(stem.with_name(f"{stem.name}_events.tsv"), ("onset", "duration", "stim", "v"), *events)
    if beh:
        tsv(root / "sub-01/beh/sub-01_task-film_beh.tsv", ("stim", "v"), *beh)
    return stem


def test_a_name_that_python_takes_for_a_number_is_a_name(tmp_path):
    mapping = BY_BEH.replace("from: beh", "from: beh, key: stim")
    small(tmp_path, mapping, [(2, 3, "1_2", 1), (8, 3, "4_a", 1)], [(12, 9), ("4_a", 4)])
    assert [(r.stimulus, r.ratings) for r in recordings(tmp_path)] == [("4_a", {"valence": 4})]


@pytest.mark.parametrize(
    ("in_events", "in_beh", "joined"),
    [(("1", "2"), ("02", "1.0"), {"1": 8, "2": 3}), (("1", "01"), ("01", "1"), {"01": 3, "1": 8})],
    ids=["one spelling each", "two stimuli"],
)
def test_numbers_are_joined_whatever_their_spelling_but_where_spellings_are_of_two_stimuli(
    tmp_path, in_events, in_beh, joined
):
    rows = [(2 + 8 * k, 3, stim, 1) for k, stim in enumerate(in_events)]
    small(tmp_path, BY_BEH.replace("from: beh", "from: beh, key: stim"), rows, zip(in_beh, (3, 8), strict=True))
    assert {r.stimulus: r.ratings["valence"] for r in recordings(tmp_path)} == joined


def test_a_trial_without_an_onset_moves_no_rating_to_another_trial(tmp_path):
    small(tmp_path, BY_BEH, [(2, 3, "a", 1), ("n/a", 3, "b", 1), (20, 3, "c", 1)], [("a", 3), ("b", 4), ("c", 5)])
    first, second, third = recordings(tmp_path)
    assert (first.ratings["valence"], third.ratings["valence"], third.signal_times[0]) == (3, 5, 20)
    assert "expected an onset" in second.error


def test_ratings_by_order_are_refused_for_trials_that_are_not_in_the_order_of_time(tmp_path):
    small(tmp_path, BY_BEH, [(20, 3, "a", 1), (2, 3, "b", 1)], [("a", 3), ("b", 4)])
    (only,) = recordings(tmp_path)
    assert "found the one of line 3 before that of line 2. Rows of" in only.error and "write `key:`" in only.error


def test_one_onset_beyond_the_signals_costs_its_own_trial_and_does_not_mean_samples(tmp_path):
    small(tmp_path, BY_EVENTS, [(2, 3, "a", 3), (45, 3, "b", 4)])
    corpus = open_corpus("bids", tmp_path)
    first, second = recordings(tmp_path)
    assert corpus.inspect(first).error is None
    with pytest.raises(BadRecording, match=r"expected signals from 45\.00 to 48\.00 s"):
        corpus.inspect(second)


@pytest.mark.journey
def test_next_ends_many_trials_among_many_events_by_the_first_one_after(tmp_path):
    events = [(k * 0.5, 0, "a" if k % 2 else "b", 3) for k in range(4000)]
    mapping = BY_EVENTS + "trial: {rows: {stim: a}, duration: {stim: b}}\n"
    small(tmp_path, mapping, events, seconds=4)
    listed = recordings(tmp_path)[:-1]  # nothing ends the last
    assert [r.seconds for r in listed] == [0.5] * 1999


def test_folders_that_are_links_are_followed_each_once(tmp_path):
    root = tmp_path / "data"
    small(root, BY_EVENTS, [(2, 3, "a", 3)])
    shutil.move(root / "sub-01/eeg", tmp_path / "elsewhere")
    (root / "sub-01/eeg").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(root / "sub-01")
    (only,) = recordings(root)
    assert only.error is None and open_corpus("bids", root).inspect(only).error is None


@pytest.mark.parametrize(
    "video", ["", "video: {files: 'sub-{sub}/beh/*.avi', offset_s: 0}\n"], ids=["scans", "mapping"]
)
def test_a_video_begins_when_scans_tsv_says_unless_the_mapping_does(tmp_path, video):
    small(tmp_path, BY_EVENTS + video, [(5.25, 3, "a", 3)])
    (tmp_path / "sub-01/beh").mkdir()
    (tmp_path / "sub-01/beh/sub-01_task-film_video.avi").write_bytes(b"no video")
    rows = ("eeg/sub-01_task-film_eeg.edf", "2024-01-01T10:00:05.250"), (
        "beh/sub-01_task-film_video.avi", "2024-01-01T10:00:03.000")  # fmt: skip
    tsv(tmp_path / "sub-01/sub-01_scans.tsv", ("filename", "acq_time"), *rows)
    (only,) = recordings(tmp_path)
    assert only.video_start_s == (5.25 if video else 7.5)
    assert [w.split(";")[0] for w in only.warnings] == ([] if video else [
        "sub-01_task-film_video.avi begins 2.25 s before the signals, by acq_time in sub-01_scans.tsv"])  # fmt: skip


def test_frame_times_beside_a_film_place_it_and_nothing_else_does(tmp_path):
    """They are on the signals' clock: acq_time of scans.tsv is not added, and an offset of the mapping is refused."""
    small(tmp_path, BY_EVENTS, [(5.25, 3, "a", 3)])
    film = tmp_path / "sub-01/beh/sub-01_task-film_video.avi"
    film.parent.mkdir()
    film.write_bytes(b"no video")
    film.with_suffix(".times.csv").write_text("time\n" + "".join(f"{5 + k / 10}\n" for k in range(60)))
    rows = ("eeg/sub-01_task-film_eeg.edf", "2024-01-01T10:00:05.250"), (f"beh/{film.name}", "2024-01-01T10:00:03.000")
    tsv(tmp_path / "sub-01/sub-01_scans.tsv", ("filename", "acq_time"), *rows)
    (only,) = recordings(tmp_path)
    assert (only.video_start_s, only.error, only.warnings) == (5.25, None, ()) and only.video_times
    for place in ("offset_s: 2", "begins: trial"):
        (tmp_path / FILE).write_text(BY_EVENTS + f"video: {{files: 'sub-{{sub}}/beh/*.avi', {place}}}\n")
        (only,) = recordings(tmp_path)
        assert "expected frame times or a place of the video in the mapping" in only.error
    (tmp_path / FILE).write_text(BY_EVENTS + "video: {files: 'sub-{sub}/beh/*.avi', offset_s: 0}\n")
    assert recordings(tmp_path)[0].error is None


def test_an_anchor_in_the_header_has_the_fraction_of_a_second_at_which_an_edf_begins(tmp_path):
    stem = small(tmp_path, BY_EVENTS, [(2, 3, "a", 3)])
    signals, onsets = {"Fp1": (128, noise(40 * 128), "uV")}, [f"{k + 0.567:.3f}" for k in range(40)]
    write_edf(stem.with_name(f"{stem.name}_eeg.edf"), signals, onsets=onsets)  # begun at 10:00:00 by its header
    began = datetime(2020, 1, 1, 10, 0, 2, 567_000, UTC).timestamp()
    path = physio(stem.parent, ROWS, StartTime=began)
    [run] = BidsFiles(tmp_path).runs("01")
    about = PhysioMap(channels={"EDA": "gsr"}, anchor="header", utc_offset_h=0)
    assert physio_offset(run, path, about, "physio") == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("first", [0, 640])
def test_annotations_of_a_fif_without_a_date_count_from_its_first_sample(tmp_path, first):
    stem = small(tmp_path, BY_EVENTS, [(2, 3, "a", 3)])
    stem.with_name(f"{stem.name}_eeg.edf").unlink()
    raw = mne.io.RawArray(noise(40 * 128)[None] * 1e-6, mne.create_info(["Fp1"], 128, "eeg"), first, verbose="error")
    raw.set_annotations(mne.Annotations([3.0], [4.0], ["film 7"]))
    raw.save(stem.with_name(f"{stem.name}_eeg.fif"), verbose="error")
    [run] = BidsFiles(tmp_path).runs("01")
    events = _annotations(run, r"film (\d+)")
    assert [(row["onset"], row["duration"], row["value"]) for row in events.rows] == [("3.000000", "4.000000", "7")]


def test_units_of_channels_tsv_that_are_not_the_files_and_parts_that_are_not_read_are_notes(tmp_path):
    stem = small(tmp_path, BY_EVENTS, [(2, 3, "a", 3)])
    tsv(stem.with_name(f"{stem.name}_channels.tsv"), ("name", "type", "units"), ("Fp1", "EEG", "mV"))
    for part in (1, 2):
        shutil.copy(stem.with_name(f"{stem.name}_eeg.edf"), stem.with_name(f"{stem.name}_split-{part}_eeg.edf"))
    stem.with_name(f"{stem.name}_eeg.edf").unlink()
    notes = " | ".join(open_corpus("bids", tmp_path).notes("01"))
    assert "which are used: Fp1 in mV, by the file in uV" in notes and "split-2_eeg.edf: further parts" in notes
    tsv(stem.with_name(f"{stem.name}_channels.tsv"), ("name", "type", "units"), ("Fp1", "EEG", "microvolts"))
    assert "by the file" not in " | ".join(open_corpus("bids", tmp_path).notes("01"))


def test_long_lines_of_a_physio_file_are_not_gathered_before_their_width_is_checked(monkeypatch):
    monkeypatch.setattr("gbvnet.datasets.formats.physio.MAX_BLOCK_BYTES", 10_000)
    assert [len(line) for line in _block(iter([b"0" * 900] * 100))] == [900] * 12


def test_lines_of_a_physio_file_that_pandas_does_not_take_are_read_as_python_reads_them(tmp_path, monkeypatch):
    monkeypatch.setattr("gbvnet.datasets.formats.physio.BLOCK", 3)
    cells = ["0.5", "n/a", "1e-3", "", "1_2", "oops", "-2.25\r", "1,5", "7"]
    file = physio(tmp_path, "".join(f"{cell}\t{k}\n" for k, cell in enumerate(cells)), Columns=["EDA", "k"])
    read = read_physio(file)
    rows, _ = read.read([0, 1], -100, 100, read.segments[0])
    nan = np.nan
    assert np.array_equal(rows, [[0.5, nan, 1e-3, nan, nan, nan, -2.25, nan, 7], range(9)], equal_nan=True)


def test_a_byte_order_mark_moves_no_line_of_a_physio_file(tmp_path):
    file = physio(tmp_path, "\ufeff0.5\t0\n1.5\t0.25\n2.5\t0.5\n")
    read = read_physio(file)
    rows, first = read.read([0], -100, 100, read.segments[0])
    assert first == 0 and rows[0].tolist() == [0.5, 1.5, 2.5] and not read.notes


def test_a_column_with_decimal_commas_is_refused_with_its_first_cell(tmp_path):
    file = physio(tmp_path, "".join(f"{k},5\t{k / 4}\n" for k in range(9)))
    with pytest.raises(BadRecording, match=r"expected numbers in column EDA, found '0,5'\. Decimals have a point"):
        read_physio(file)


def test_remedies_name_keys_that_a_mapping_has(tmp_path):
    small(tmp_path, BY_EVENTS.replace("baseline_s: 0", "baseline_s: 3"), [(1, 3, "a", 3), (39, 3, "b", 4)])
    corpus = open_corpus("bids", tmp_path)
    texts = []
    for r in recordings(tmp_path):
        with pytest.raises(BadRecording) as caught:
            corpus.inspect(r)
        texts.append(str(caught.value))
    assert "set baseline_s in gbvnet-mapping.yaml (0 for none)" in texts[0] and "See channels in gbv" in texts[1]


@pytest.mark.parametrize(
    ("head", "signals", "warned"),
    [
        (("filename", "acq_time"), "1900-01-01T10:00:05", "hours from that of the signals, and is not used"),
        (("filename", "acq_time"), "n/a", ""),
        (("filename", "operator"), "x", ""),
    ],
    ids=["anonymous date", "no time", "no column"],
)
def test_acq_times_that_tie_nothing_move_no_video(tmp_path, head, signals, warned):
    small(tmp_path, BY_EVENTS, [(5.25, 3, "a", 3)])
    (tmp_path / "sub-01/beh").mkdir()
    (tmp_path / "sub-01/beh/sub-01_task-film_video.avi").write_bytes(b"no video")
    rows = ("eeg/sub-01_task-film_eeg.edf", signals), ("beh/sub-01_task-film_video.avi", "2024-01-01T10:00:03")
    tsv(tmp_path / "sub-01/sub-01_scans.tsv", head, *rows)
    (only,) = recordings(tmp_path)
    assert only.error is None and only.video_start_s == 5.25
    assert len(only.warnings) == bool(warned) and warned in "".join(only.warnings)


@pytest.mark.parametrize("folder", ["2024", "1e3", "no", "0x1f"])
def test_a_draft_is_used_as_it_is_in_a_folder_that_yaml_takes_for_a_number_and_has_trials_that_lack_a_rating(
    tmp_path, folder, capsys
):
    root = tmp_path / folder
    stem = small(root, BY_EVENTS, [(2, 3, "a", 3)])
    rows = [(2, 3, "a", "n/a", 4), (8, 3, "b", 5, 6), (14, 3, "n/a", "n/a", "n/a")]
    events = stem.with_name(f"{stem.name}_events.tsv")
    tsv(events, ("onset", "duration", "stim_file", "valence", "arousal"), *rows)
    about = {name: {"Minimum": 1, "Maximum": 9} for name in ("valence", "arousal")}
    events.with_suffix(".json").write_text(json.dumps(about))
    (root / FILE).unlink()
    assert main(["table", "init", "--bids", str(root)]) == 0 and "nothing to fill in" in capsys.readouterr().out
    assert open_corpus("bids", root).dataset == folder
    assert [r.ratings for r in recordings(root)] == [{"arousal": 4}, {"valence": 5, "arousal": 6}]
