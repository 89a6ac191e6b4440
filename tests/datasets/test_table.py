"""Recordings of one's own: listed in a table, read exactly, with a message for each thing that is wrong."""

import re
from fractions import Fraction
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.label_columns import RATING_COLUMNS
from gbvnet.datasets.table_schema import read_table
from gbvnet.datasets.table_template import write_template
from gbvnet.errors import BadInput, BadRecording, BadStore
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SAMPLES = Path(__file__).parents[3] / "shared/samples"
RATE = 256


def signals(seconds=40, seed=0):
    """Fp1 and O1 in microvolts, and a slow GSR; (3, N)."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds * RATE) / RATE
    return np.stack([20 * rng.standard_normal(len(t)) + 5, 10 * np.sin(2 * np.pi * 10 * t), 3 + t / 10])


def write_fif(path, x, names=("EEG FP1-REF", "O1", "GSR1")):
    info = mne.create_info(list(names), RATE, ["eeg", "eeg", "misc"][: len(names)])
    scale = np.array([1e-6, 1e-6, 1])[: len(names), None]
    mne.io.RawArray(x[: len(names)] * scale, info, verbose="error").save(path, verbose="error")


def write_rows(folder, rows, settings=""):
    pd.DataFrame(rows).to_csv(folder / "recordings.csv", index=False)
    if settings:
        (folder / "table.yaml").write_text(settings)


ROW = {
    "subject": "anna",
    "trial": "1",
    "stimulus": "film",
    "signals": "a_raw.fif",
    "start_s": 10,
    "stop_s": 20,
    "valence": 7,
}


@pytest.fixture
def mine(tmp_path):
    write_fif(tmp_path / "a_raw.fif", signals())
    return tmp_path


def only(folder):
    corpus = open_corpus("table", folder)
    (unit,) = corpus.units
    (recording,) = corpus.recordings(unit)
    return corpus, recording


@pytest.mark.journey
def test_windows_are_what_plain_calls_give(mine, tmp_path):
    write_rows(
        mine, [ROW, ROW | {"trial": "2", "start_s": 22.5, "stop_s": 32.5, "baseline_start_s": 5, "valence": "low"}]
    )
    corpus = open_corpus("table", mine)
    assert [c.kind for c in corpus.channels] == ["eeg", "eeg", "gsr"]
    prepare_store(corpus, tmp_path / "store", PrepareConfig(faces=False, filter=False))
    store = open_store(tmp_path / "store")
    assert store.windows["recording"].unique().tolist() == ["anna_1", "anna_2"]
    assert store.windows.groupby("recording")["valence"].first().tolist() == [7, 1]
    got = np.concatenate(list(store.read(np.arange(10))[2]), axis=1)
    x = signals()  # by hand: cut with the margin, resample, cut, subtract the 3 s before
    from_s = 10 - 3 - 7  # the margin of 10 s ends at the file's start
    y = resample_poly(x[:, from_s * RATE : 30 * RATE], 1, 2, axis=1)
    baseline, stimulus = y[:, 7 * 128 : 10 * 128], y[:, 10 * 128 : 20 * 128]
    wanted = stimulus - baseline.mean(axis=1, keepdims=True)
    assert got == pytest.approx(wanted, abs=1e-3)
    later = np.concatenate(list(store.read(np.arange(10, 20))[2]), axis=1)  # its baseline was 17.5 s before it
    full = resample_poly(x, 1, 2, axis=1)
    own = full[:, int(22.5 * 128) : int(32.5 * 128)] - full[:, 5 * 128 : 8 * 128].mean(axis=1, keepdims=True)
    assert later[:, 20:-20] == pytest.approx(own[:, 20:-20], abs=2e-2)


NAMES, UNITS = ("Fp1", "O1", "GSR1"), ("uV", "uV", "uS")


def write_edf(path, x):
    edfio = pytest.importorskip("edfio")
    kinds = edfio.EdfSignal, edfio.Edf, "write"
    if path.suffix == ".bdf":
        kinds = edfio.BdfSignal, edfio.Bdf, "write"
    made = [
        kinds[0](row, RATE, label=name, physical_dimension=unit, physical_range=(-200, 200))
        for row, name, unit in zip(x, NAMES, UNITS, strict=True)
    ]
    kinds[1](made).write(path)


def write_brainvision(path, x):
    """By hand: a header, markers, and float32 samples, one of all channels after the other."""
    path.with_suffix(".eeg").write_bytes(x.T.astype("<f4").tobytes())
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=x.eeg\n[Marker Infos]\n"
    )
    channels = "\n".join(f"Ch{k}={name},,1,{unit}" for k, (name, unit) in enumerate(zip(NAMES, UNITS, strict=True), 1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=x.eeg\nMarkerFile=x.vmrk\n"
        f"DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=3\nSamplingInterval={1e6 / RATE}\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n{channels}\n"
    )


def write_eeglab(path, x):
    """EEGLAB knows no units; MNE takes all that it holds for microvolts."""
    from scipy.io import savemat

    places = np.array([(name, "EEG") for name in NAMES], [("labels", "O"), ("type", "O")])
    held = {"data": x, "srate": RATE, "nbchan": 3, "pnts": x.shape[1], "trials": 1, "xmin": 0, "chanlocs": places}
    savemat(path, {"EEG": held | {"event": np.array([]), "epoch": np.array([]), "setname": "x"}})


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "write", "off"),
    [
        ("x.csv", None, 1e-6),
        ("x.tsv", None, 1e-6),
        ("x.edf", write_edf, 400 / 2**16),
        ("x.bdf", write_edf, 400 / 2**24),
        ("x.vhdr", write_brainvision, 1e-4),
        ("x.set", write_eeglab, 1e-4),
    ],
)
def test_every_format_gives_what_was_written(tmp_path, name, write, off):
    x = signals()
    if write:
        write(tmp_path / name, x)
    else:
        time = {"time": np.arange(x.shape[1]) / RATE} if name == "x.csv" else {}
        table = pd.DataFrame(dict(zip(NAMES, x, strict=True)) | time)
        table.to_csv(tmp_path / name, index=False, sep="," if name == "x.csv" else "\t")
    kinds = "channels: {Fp1: eeg, O1: eeg, GSR1: gsr}\nsignals_rate_hz: 256\n"
    write_rows(tmp_path, [ROW | {"signals": name}], kinds)
    corpus, recording = only(tmp_path)
    assert (recording.error, corpus.inspect(recording).warnings) == (None, ())
    got = corpus.signals(recording)
    assert (got.rate_hz, got.onset) == (RATE, 10 * RATE)  # a margin of 10 s, or what there is of it
    assert got.samples == pytest.approx(x[:, : 30 * RATE], abs=off)  # skin in microsiemens in each of them


@pytest.mark.journey
def test_volts_are_reported_and_can_be_set(tmp_path):
    x = signals() * 1e-6
    pd.DataFrame(x.T, columns=["Fp1", "O1", "GSR1"]).to_csv(tmp_path / "x.csv", index=False)
    write_rows(tmp_path, [ROW | {"signals": "x.csv"}], "signals_rate_hz: 256\n")
    corpus, recording = only(tmp_path)
    assert "looks like volts: is signals_unit right?" in corpus.inspect(recording).warnings[0]
    (tmp_path / "table.yaml").write_text("signals_rate_hz: 256\nsignals_unit: V\n")
    corpus, recording = only(tmp_path)
    assert corpus.inspect(recording).warnings == ()


@pytest.mark.journey
def test_flat_and_clipped_channels_are_warnings(tmp_path):
    x = signals()
    x[1] = 4.0
    x[0] = x[0].clip(-20, 20)
    write_fif(tmp_path / "a_raw.fif", x)
    write_rows(tmp_path, [ROW])
    corpus, recording = only(tmp_path)
    assert corpus.inspect(recording).warnings == (
        "flat channels: O1",
        "clipped channels (more than 1 % of samples at their limits): EEG FP1-REF",
    )


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signals": "b.fif"}, r"expected the file in column signals, found no .*b\.fif"),
        ({"signals": ""}, "expected a video or signals, found neither"),
        ({"stop_s": 5}, "expected 0 <= start_s < stop_s, found '10' and '5'"),
        ({"stop_s": "soon"}, "expected a number of seconds in stop_s, found 'soon'"),
        ({"valence": 12}, "expected valence from 1 to 9, or low or high, found '12'"),
        ({"valence": "angry"}, r"found 'angry'. It is declared as `valence: {scale: \[1, 9\]}`; another scale, or"),
    ],
)
def test_a_wrong_row_is_reported_with_its_line_and_the_others_go_on(mine, change, message):
    good = ROW | {"trial": "2", "start_s": 25, "stop_s": 30}
    write_rows(mine, [ROW | change, good])
    first, second = open_corpus("table", mine).recordings("anna")
    assert second.error is None
    assert "line 2 (anna_1)" in first.error
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(first.error)


GOOD = ROW | {"subject": "bert", "start_s": 25, "stop_s": 30}


def errors(folder):
    """Of each recording, by line, what is wrong with it; check, prepare and the store agree on which are good."""
    corpus = open_corpus("table", folder)
    checked = [r for unit in check_corpus(corpus) for r in unit.recordings]
    summary = prepare_store(corpus, folder / "store", PrepareConfig(faces=False))
    good = [r.name for r in checked if r.error is None]
    assert sorted(open_store(folder / "store").windows["recording"].unique()) == sorted(good)
    assert len(summary.bad) == len(checked) - len(good)
    rows = read_table(folder / "recordings.csv", corpus.labels)
    line = {key: n for n, *key in rows[["line", "subject", "trial"]].itertuples(index=False) for key in [tuple(key)]}
    return {line[r.subject, r.trial]: r.error for r in checked}


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": "a/b"}, "expected a subject of letters, digits, points, dashes and underscores, found 'a/b'"),
        ({"subject": "Anna B"}, "found 'Anna B'"),
        ({"subject": ".."}, r"found '\.\.'"),
        ({"subject": "", "recording": "x"}, r"line 2 \(x\): expected a subject of .*found nothing"),
        ({"trial": "1:2"}, "a trial of .*found '1:2'"),
        ({"recording": "../x"}, r"a recording of .*found '\.\./x'"),
        ({"recording": "CON"}, "a name that Windows keeps for a device"),
        ({"recording": "lpt1.a"}, "a name that Windows keeps for a device"),
        ({"recording": "anna."}, "blanks or points at its ends"),
        ({"subject": "x" * 199}, "201 bytes, where 200 are the most.*a name of its own in the column `recording`"),
        ({"subject": "\u4eba" * 80}, "242 bytes, where 200 are the most"),
    ],
)
def test_a_name_that_cannot_be_used_costs_its_own_row_only(mine, change, message):
    write_rows(mine, [ROW | {"recording": ""} | change, GOOD])
    by_line = errors(mine)
    assert by_line[3] is None
    assert re.search(message, by_line[2])
    assert "recordings.csv, line 2" in by_line[2]


@pytest.mark.journey
@pytest.mark.parametrize(
    "names",
    [
        {"subject": "x" * 150},
        {"subject": "x" * 199, "recording": "x1"},
        {"subject": "J\u00fcrgen_\u674e", "trial": "film-3"},
        {"subject": "sub-01", "trial": "ses-1_run.2"},
        {"subject": "nan", "trial": "null"},
    ],
)
def test_names_of_any_script_and_length_are_kept(mine, names):
    write_rows(mine, [ROW | names, GOOD])
    assert list(errors(mine).values()) == [None, None]
    windows = open_store(mine / "store").windows
    assert set(windows["subject"]) == {names["subject"], "bert"}
    assert np.isfinite(open_store(mine / "store").read(np.arange(len(windows)), faces=False)[2]).all()


@pytest.mark.journey
def test_one_name_in_two_forms_of_unicode_is_one_subject_and_one_file(mine):
    composed, decomposed = "J\u00fcrgen", "Ju\u0308rgen"
    (mine / "a_raw.fif").rename(mine / f"{decomposed}_raw.fif")  # as macOS writes it
    rows = [ROW | {"subject": name, "trial": str(n), "signals": f"{composed}_raw.fif", "start_s": 10 * n,
                   "stop_s": 10 * n + 5} for n, name in enumerate((composed, decomposed), 1)]  # fmt: skip
    write_rows(mine, rows)
    corpus = open_corpus("table", mine)
    assert corpus.units == (composed,)
    assert [r.error for r in corpus.recordings(composed)] == [None, None]
    write_rows(mine, [rows[0], rows[1] | {"trial": "1"}])
    assert all("again in line" in r.error for r in open_corpus("table", mine).recordings(composed))


@pytest.mark.journey
def test_paths_of_windows_are_read(mine):
    (mine / "data/day 1").mkdir(parents=True)
    (mine / "a_raw.fif").rename(mine / "data/day 1/a_raw.fif")
    (mine / "b\\c_raw.fif").write_bytes((mine / "data/day 1/a_raw.fif").read_bytes())  # a name that Linux allows
    write_rows(mine, [ROW | {"signals": r"data\day 1\a_raw.fif"}, GOOD | {"signals": r"b\c_raw.fif"},
                      ROW | {"subject": "carl", "signals": r"..\x_raw.fif"}])  # fmt: skip
    by_line = errors(mine)
    assert (by_line[2], by_line[3]) == (None, None)
    assert r"no" in by_line[4] and r"..\x_raw.fif" in by_line[4]


@pytest.mark.journey
def test_of_equal_rows_the_first_counts_and_of_others_with_one_name_none(mine):
    write_rows(mine, [ROW, ROW, GOOD, ROW])
    one, two, four = open_corpus("table", mine).recordings("anna")
    assert one.error is None
    assert "line 3 (anna_1): expected each recording, and each trial of a subject, once" in two.error
    assert "Delete all but one" in two.error and "Delete all but one" in four.error
    write_rows(mine, [ROW, ROW | {"valence": 2}, GOOD])
    one, two = open_corpus("table", mine).recordings("anna")
    assert "found anna_1 again in line 3. Which of them is meant?" in one.error
    assert "found anna_1 again in line 2" in two.error
    write_rows(mine, [ROW | {"subject": "a_b", "trial": "c"}, GOOD, GOOD | {"subject": "a", "trial": "b_c"}])
    corpus = open_corpus("table", mine)  # two trials, and one name for both
    messages = [r.error for unit in corpus.units for r in corpus.recordings(unit)]
    assert [bool(error) for error in messages] == [True, True, False]


@pytest.mark.journey
def test_overlapping_trials_are_refused_both(mine):
    write_rows(
        mine,
        [ROW, ROW | {"trial": "2", "start_s": 19, "stop_s": 25}, ROW | {"trial": "3", "start_s": 25, "stop_s": 30}],
    )
    one, two, three = open_corpus("table", mine).recordings("anna")
    assert "seconds of a_raw.fif that anna_2 has too" in one.error
    assert "that anna_1 has too" in two.error
    assert three.error is None


@pytest.mark.journey
def test_a_long_trial_overlaps_all_that_are_within_it_and_a_video_is_one_trials_too(mine):
    """Neighbours alone do not tell: the third starts after the second has ended."""
    times = ((4, 30), (10, 12), (20, 25), (31, 39))
    write_rows(mine, [ROW | {"trial": str(n), "start_s": a, "stop_s": b} for n, (a, b) in enumerate(times)])
    errors = [r.error for r in open_corpus("table", mine).recordings("anna")]
    assert [bool(p) for p in errors] == [True, True, True, False]
    assert "seconds of a_raw.fif that anna_0 has too" in errors[2]
    write_fif(mine / "b_raw.fif", signals())
    (mine / "x.mp4").write_bytes(b"")
    filmed = [ROW | {"video": "x.mp4"}, ROW | {"subject": "ben", "signals": "b_raw.fif", "video": "./x.mp4"}]
    write_rows(mine, [row | {"video_offset_s": offset} for row, offset in zip(filmed, (0, 5), strict=True)])
    corpus = open_corpus("table", mine)
    assert "seconds of x.mp4 that ben_1 has too" in corpus.recordings("anna")[0].error
    write_rows(mine, [row | {"video_offset_s": offset} for row, offset in zip(filmed, (0, 9.95), strict=True)])
    corpus = open_corpus("table", mine)  # clocks may be off by a frame or two
    assert [r.error for unit in corpus.units for r in corpus.recordings(unit)] == [None, None]


@pytest.mark.journey
@pytest.mark.parametrize(
    "text",
    [
        "subject;trial;signals;start_s;stop_s;valence\nanna;1;a_raw.fif;10;20;7\n",  # as spreadsheets write them
        "\ufeffSubject,Trial,Signals,Start_s,Stop_s,Valence,,\nanna,1,a_raw.fif,10,20,7,,\n,,,,,,,\n",
        "# mine\n\nsubject\ttrial\tsignals\tstart_s\tstop_s\tvalence\n# first\nanna\t1\ta_raw.fif\t10\t20\t7\n",
        'subject, trial, signals, start_s, stop_s, valence\nanna, 1, "a_raw.fif", 10, 20, 7\n',
    ],
)
def test_a_table_written_by_a_spreadsheet_or_by_hand_is_read(mine, text):
    (mine / "recordings.csv").write_text(text, encoding="utf-8")
    _, recording = only(mine)
    assert (recording.error, recording.ratings, recording.seconds) == (None, {"valence": 7}, 10)
    assert recording.row == 1 + next(k for k, line in enumerate(text.splitlines()) if line.startswith("anna"))


@pytest.mark.journey
def test_a_file_may_have_a_sign_of_comments_or_a_comma_in_its_name(mine):
    (mine / "a_raw.fif").rename(mine / "a#1, x_raw.fif")
    write_rows(mine, [ROW | {"signals": "a#1, x_raw.fif"}])
    corpus, recording = only(mine)
    assert recording.error is None and corpus.signals(recording).onset


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a line for each recording, found none. `gbvnet table init` makes an example"),
        ("subject,trial,signals,start_s,stop_s\n", "expected a line for each recording, found none"),
        (
            "subject,trial,signals,start_s,stop_s\n\na,1,x, y.edf,10,20\n",
            "5 cells in a line.*found 6 in line 3.*quotes",
        ),
        ("subject,trial,signals,start_s,stop_s\na,1,x.edf,10,20,,7\n", "found 7 in line 2"),
        ("subject,trial,signals\na,1,x\n", "found none named start_s, stop_s, but subject, trial, signals"),
        ('subject,trial,signals,start_s,stop_s\na,1,"' + "x" * 200_000 + '",1,2', "line 2 that is no CSV"),
        ("s\u00fcbject", "expected a line for each recording, found none"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(mine, text, message):
    (mine / "recordings.csv").write_text(text, encoding="latin-1")
    with pytest.raises(BadRecording, match=message):
        open_corpus("table", mine)


LINES = st.fixed_dictionaries(
    {
        "stimulus": st.from_regex(r"[A-Za-z0-9 ;,_-]{0,8}", fullmatch=True).map(str.strip),
        "start_s": st.floats(0, 1e5, allow_subnormal=False).map(repr),
        "seconds": st.floats(0.1, 1e4).map(repr),
        "video_offset_s": st.sampled_from(["", "0", "-1.5", "3e2"]),
        "valence": st.sampled_from(["", "low", "HIGH", "1", "9.0", "5.25"]),
        "arousal": st.sampled_from(["", "low", "4"]),
    }
)


@pytest.mark.journey
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=1, max_size=6), st.booleans(), st.permutations(["subject", "trial", "stimulus"]))
def test_any_table_is_read_back_as_it_was_written(tmp_path, lines, as_yaml, order):
    """Of names and times, in any order of columns, with pandas or PyYAML as the writer."""
    (tmp_path / "table.yaml").unlink(missing_ok=True)
    (tmp_path / "recordings.csv").unlink(missing_ok=True)
    rows = []
    for k, line in enumerate(lines):
        stop = repr(float(line["start_s"]) + float(line["seconds"]))
        own = {"subject": f"s{k % 2}", "trial": f"{k:02d}", "stimulus": line["stimulus"]}
        columns = {name: line[name] for name in ("start_s", "video_offset_s", "valence", "arousal")}
        rows.append({name: own[name] for name in order} | columns | {"stop_s": stop, "video": f"{k}.avi"})
        (tmp_path / f"{k}.avi").touch()
    if as_yaml:
        (tmp_path / "table.yaml").write_text(yaml.safe_dump({"recordings": rows}, sort_keys=False, allow_unicode=True))
    else:
        pd.DataFrame(rows).to_csv(tmp_path / "recordings.csv", index=False)
    corpus = open_corpus("table", tmp_path)
    recordings = sorted((r for unit in corpus.units for r in corpus.recordings(unit)), key=lambda r: r.trial)
    assert [(r.subject, r.trial) for r in recordings] == [(row["subject"], row["trial"]) for row in rows]
    words = {"low": 1.0, "high": 9.0}
    for recording, row in zip(recordings, rows, strict=True):
        assert recording.error is None
        assert recording.stimulus == (row["stimulus"] or recording.name)
        assert recording.seconds == pytest.approx(float(row["stop_s"]) - float(row["start_s"]), abs=1e-6)
        assert recording.video_start_s == float(row["start_s"]) + float(row["video_offset_s"] or 0)
        ratings = {name: row[name].lower() for name in ("valence", "arousal") if row[name]}
        assert recording.ratings == {name: words.get(text) or float(text) for name, text in ratings.items()}


@pytest.mark.journey
def test_a_decimal_comma_in_a_table_is_reported(mine):
    (mine / "recordings.csv").write_text("subject;trial;signals;start_s;stop_s\nanna;1;a_raw.fif;10,5;20\n")
    assert "found '10,5'. A decimal point is a point here." in only(mine)[1].error


IN_YAML = """
baseline_s: 2
recordings:
  - {subject: anna, trial: 01, signals: a_raw.fif, start_s: 10, stop_s: 20.5, valence: 7}   # 01 is a name
  - subject: no
    trial: b
    signals: a_raw.fif
    start_s: 22
    stop_s: 30
    baseline_start_s:
    arousal: low
"""


@pytest.mark.journey
@pytest.mark.parametrize("name", ["table.yaml", "mine.yml"])
def test_all_may_be_in_one_yaml_file(mine, name):
    (mine / name).write_text(IN_YAML)
    corpus = open_corpus("table", mine if name == "table.yaml" else mine / name)
    assert corpus.baseline_s == 2 and corpus.units == ("anna", "no")
    [one], [other] = corpus.recordings("anna"), corpus.recordings("no")
    assert (one.name, one.trial, one.seconds, one.ratings, one.row) == ("anna_01", "01", 10.5, {"valence": 7}, 4)
    assert (other.error, other.ratings, other.row) == (None, {"arousal": 1}, 5)
    assert corpus.signals(other).samples.shape[0] == 3
    (mine / "recordings.csv").write_text("subject")
    if name == "table.yaml":
        with pytest.raises(BadRecording, match=r"expected recordings in one file, here or in recordings\.csv"):
            open_corpus("table", mine)


@pytest.mark.journey
def test_the_yaml_of_the_documentation_is_such_a_table(mine):
    page = (Path(__file__).parents[2] / "docs/corpora.md").read_text(encoding="utf-8")
    (mine / "mine.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    corpus = open_corpus("table", mine / "mine.yaml")
    assert [c.kind for c in corpus.channels] == ["eeg", "eeg", "gsr"]
    assert all("expected the file in column" in r.error for r in corpus.recordings("anna"))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recordings:\n", "expected a list `recordings`, an entry a trial, found none"),
        ("recordings: {a: 1}\n", "expected a list `recordings`"),
        (
            "recordings: [anna]\n",
            "expected names and values in each entry of recordings, found something else in line 1",
        ),
        (
            "recordings:\n- {subject: a, valence: [1, 2]}\n",
            "several in line 2. Ratings that change in time are in a file of their own",
        ),
        ("recordings:\n- {subject: a, Subject: b}\n", "each column once, found subject twice"),
        ("recordings: [\n", "settings as YAML, found a file that does not read"),
        ("recordings: " + "[" * 5000, "settings as YAML, found a file that does not read"),
    ],
)
def test_a_yaml_file_that_is_no_such_table_is_refused(mine, text, message):
    (mine / "mine.yaml").write_text(text)
    with pytest.raises(BadRecording, match=message):
        open_corpus("table", mine / "mine.yaml")


@pytest.mark.journey
def test_one_broken_signal_file_does_not_stop_the_others(mine):
    (mine / "0_raw.fif").write_bytes(b"x" * 1000)
    write_rows(mine, [ROW | {"trial": "0", "signals": "0_raw.fif"}, ROW])
    corpus = open_corpus("table", mine)
    assert len(corpus.channels) == 3
    with pytest.raises(BadRecording, match="expected a signal file that mne reads"):
        corpus.inspect(corpus.recordings("anna")[0])
    assert corpus.inspect(corpus.recordings("anna")[1]).warnings == ()
    write_rows(mine, [ROW | {"trial": "0", "signals": "0_raw.fif"}])
    with pytest.raises(BadRecording, match="expected a signal file that mne reads"):
        open_corpus("table", mine)  # nothing tells which channels there are


@pytest.mark.journey
def test_signals_in_another_unit_than_their_files_say_are_reported(tmp_path):
    write_fif(tmp_path / "a_raw.fif", signals() * [[1e6], [1e6], [1]])
    write_rows(tmp_path, [ROW])
    corpus, recording = only(tmp_path)
    [warning] = corpus.inspect(recording).warnings
    assert "uV SD looks like microvolts that were taken for volts" in warning and "the file's header" in warning


@pytest.mark.journey
def test_a_store_of_signals_in_another_unit_or_filtered_is_refused(tmp_path):
    pd.DataFrame(signals().T, columns=["Fp1", "O1", "GSR1"]).to_csv(tmp_path / "x.csv", index=False)
    plain = "signals_rate_hz: 256\n"
    write_rows(tmp_path, [ROW | {"signals": "x.csv"}], plain)
    prepare_store(open_corpus("table", tmp_path), tmp_path / "store", PrepareConfig(faces=False))
    for changed in (plain + "signals_unit: mV\n", plain + "filtered: true\n", "signals_rate_hz: 512\n"):
        (tmp_path / "table.yaml").write_text(changed)
        with pytest.raises(BadStore, match=r"expected a store made with source = .*found one made with"):
            prepare_store(open_corpus("table", tmp_path), tmp_path / "store", PrepareConfig(faces=False))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,Fp1\n0,1\n4,2\n8,3\n", "expected seconds in column time, found 0.25 lines a second. Are they milli"),
        ("Fp1\n1\n2\n", "expected a column time, found none among Fp1. See signals_rate_hz"),
        ("time,Fp1\n0,1\n0.1,2\n9,3\n", "column time with even steps of seconds"),
        (f"time,Fp1\n{'9' * 400},1\n1,2\n", "expected a number in each row of column time"),
        ("time,Fp1\n1e300,1\n1.1e300,2\n", "expected seconds in column time, found 1e.300"),
        ("time,Fp1\ninf,1\ninf,2\n", "expected a number in each row of column time"),
        ("time,Fp1\n1e-9,1\n2e-9,2\n", r"expected a rate above 0, at most 1e\+06, found 1e\+09 samples a second"),
        ("Fp1;O1\n1,5;2\n", "expected a column time"),  # two columns, however they are separated
    ],
)
def test_a_text_file_whose_clock_does_not_tell_is_refused(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    write_rows(tmp_path, [ROW | {"signals": "x.csv"}])
    corpus, recording = only(tmp_path)
    with pytest.raises(BadRecording, match=message):
        corpus.signals(recording)


@pytest.mark.journey
def test_a_text_file_with_semicolons_and_decimal_commas_is_read(tmp_path):
    x = signals()
    pd.DataFrame(x.T, columns=["Fp1", "O1", "GSR1"]).to_csv(tmp_path / "x.csv", index=False, sep=";", decimal=",")
    write_rows(tmp_path, [ROW | {"signals": "x.csv"}], "signals_rate_hz: 256\n")
    corpus, recording = only(tmp_path)
    assert corpus.signals(recording).samples == pytest.approx(x[:, : 30 * RATE])


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"start_s": 2},
            r"expected signals from -1.00 to 2.00 s, found a file that begins at 0.00 s .* This is the baseline",
        ),
        (
            {"stop_s": 50},
            "expected signals from 10.00 to 50.00 s, found a file that begins at 0.00 s and ends at 40.00 s",
        ),
    ],
)
def test_signals_that_do_not_reach_are_reported(mine, change, message):
    write_rows(mine, [ROW | change])
    corpus, recording = only(mine)
    with pytest.raises(BadRecording, match=message):
        corpus.inspect(recording)


@pytest.mark.journey
def test_an_absent_channel_is_reported_with_near_names(mine):
    write_rows(mine, [ROW], "channels: {Fp2: eeg, O1: eeg}\n")
    corpus, recording = only(mine)
    with pytest.raises(
        BadRecording, match=r"expected channel Fp2 \(near it: EEG FP1-REF\), found EEG FP1-REF, O1, GSR1"
    ):
        corpus.signals(recording)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([ROW | {"valance": 1}], "", "found 'valance'. Did you mean valence"),
        ([{"subject": "a", "trial": "1", "start_s": 0, "stop_s": 1}], "", "found none named video or signals"),
        ([ROW], "rate: 128\n", "found 'rate'. Did you mean rate_hz"),
        ([ROW], "channels: {Fp1: brain}\n", "expected a kind of eeg, .* for channel Fp1, found 'brain'"),
        ([ROW], "signals_unit: kV\n", "expected uV, mV, V for signals_unit, found 'kV'"),
        ([ROW], "signals_unit: [uV]\n", "expected uV, mV, V for signals_unit, found"),
        ([ROW], "channels: [Fp1, O1]\n", "expected a kind for each name"),
        ([ROW], "channels: {T3: eeg, EEG T7-REF: eeg}\n", "each channel once, found T3 and EEG T7-REF, which are one"),
        ([ROW], "rate_hz: true\n", "expected a number from 1 to 10000 for rate_hz, found True"),
        ([ROW], "rate_hz: .inf\n", "expected a number from 1 to 10000 for rate_hz, found inf"),
        ([ROW], "frames_per_s: 10.5\n", "expected a whole number from 1 to 1000 for frames_per_s"),
        ([ROW], "baseline_s: -1\n", "expected a number of seconds from 0 to 3600 for baseline_s"),
        ([ROW], "filtered: perhaps\n", "expected true or false for filtered"),
        ([ROW], "signals_rate_hz: 256 Hz\n", "expected a number from 1 to 1000000 for signals_rate_hz"),
        ([ROW], "- rate_hz\n", "a name and a value in each line, found a list"),
        ([ROW | {"emotion": "joy"}], "", r"found 'emotion'. If it is a label, write into table.yaml: labels: \{v"),
        ([ROW | {"Subject": "a"}], "", "expected each column once, found subject twice"),
        ([ROW], "rate_hz: [", "a file that does not read"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(mine, rows, settings, message):
    write_rows(mine, rows, settings)
    with pytest.raises(BadRecording, match=message):
        assert open_corpus("table", mine).units


LABELS = """labels:
  valence: {scale: [0, 100], set: self}
  Stress: {classes: [none, some, much]}
  perceived_valence: {scale: [0, 100], set: perceived, of: valence}
"""
LABELLED = {key: value for key, value in ROW.items() if key != "valence"}


@pytest.mark.journey
def test_labels_are_what_the_settings_declare_and_go_into_the_store(mine, tmp_path):
    rows = [
        LABELLED | {"valence": 55.5, "Stress": "much", "perceived_valence": "low"},
        LABELLED
        | {"trial": "2", "start_s": 22, "stop_s": 30, "valence": "high", "Stress": "", "perceived_valence": ""},
    ]
    write_rows(mine, rows, LABELS)
    corpus = open_corpus("table", mine)
    assert [column.name for column in corpus.labels] == ["valence", "stress", "perceived_valence"]
    first, second = corpus.recordings("anna")
    assert first.ratings == {"valence": 55.5, "stress": "much", "perceived_valence": 0.0}
    assert second.ratings == {"valence": 100.0}
    assert first.warnings == ("perceived_valence is given as low, and stored as 0",)
    prepare_store(corpus, tmp_path / "store", PrepareConfig(faces=False))
    store = open_store(tmp_path / "store")
    assert store.labels == {column.name: column for column in corpus.labels}
    assert store.labels["perceived_valence"].of == "valence" and store.labels["valence"].label_set == "self"
    windows = store.windows.groupby("recording").first()
    assert windows["stress"].tolist() == ["much", ""]
    assert windows["valence"].tolist() == [55.5, 100.0]
    assert windows["perceived_valence"].isna().tolist() == [False, True]
    assert not {"arousal", "dominance"} & set(store.windows)  # exactly those that are declared


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stress": "lots"}, "expected stress none, some, much, found 'lots'.*`stress: {classes: .none, some, much.}`"),
        ({"stress": "Much"}, "found 'Much'"),
        ({"stress": "high"}, "found 'high'"),  # the words are for numbers
        ({"valence": "101"}, "expected valence from 0 to 100, or low or high, found '101'"),
        ({"valence": "much"}, "expected valence from 0 to 100, or low or high, found 'much'"),
        ({"valence": "nan"}, "found 'nan'"),
        ({"perceived_valence": "-1"}, "expected perceived_valence from 0 to 100"),
    ],
)
def test_a_label_that_is_not_declared_so_costs_its_row(mine, change, message):
    write_rows(mine, [LABELLED | change, {**GOOD, "valence": 1}], LABELS)
    by_line = errors(mine)
    assert by_line[3] is None and re.search(message, by_line[2]), by_line[2]


@pytest.mark.parametrize(
    ("settings", "columns", "line"),
    [
        ("", {"emotion": ["joy", "anger"]}, "labels: {valence: {scale: [1, 9]}, emotion: {classes: [anger, joy]}}."),
        (
            "",
            {"stress": ["yes", "no"], "valence": ["", ""]},
            "labels: {valence: {scale: [1, 9]}, stress: {classes: ['no', 'yes']}}.",
        ),
        (
            LABELS,
            {"boredom_rating": ["3", "1.5"]},
            "labels: {valence: {scale: [0, 100], set: self}, boredom_rating: {scale: [LOW, HIGH]}}, LOW and HIGH being",
        ),
        (
            LABELS,
            {"arousal": ["3", "low"]},
            "arousal: {scale: [LOW, HIGH]}}, LOW and HIGH being the ends of its scale.",
        ),
        ("", {"mood": ["joy", "joy"]}, "mood: {classes: [A, B]}}, A and B being its classes (joy here)."),
        (
            "",
            {"class": [f"c{k}" for k in range(20)]},
            "class: {classes: [A, B]}}, A and B being its classes (c0, c1, c10, c11 and 16 more here).",
        ),
        ("", {"quality": ["bad", "good"]}, "there are "),
        ("", {"quality": ["bad", "good"]}, "If it is a label, write into table.yaml: labels: {valence"),
    ],
)
def test_a_column_that_is_not_declared_is_refused_with_the_line_to_write(mine, settings, columns, line):
    n = len(next(iter(columns.values())))
    rows = [ROW | {"trial": str(k)} | {name: cells[k] for name, cells in columns.items()} for k in range(n)]
    write_rows(mine, rows, settings)
    with pytest.raises(BadRecording, match="expected columns that exist, found '") as caught:
        open_corpus("table", mine)
    assert line.lower() in str(caught.value).lower()


def test_the_suggested_line_is_one_that_works(mine):
    rows = [ROW | {"stress": cell, "trial": cell} for cell in ("yes", "no", "1e3", "so: so")]
    write_rows(mine, [row | {"trial": str(k)} for k, row in enumerate(rows)])
    with pytest.raises(BadRecording) as caught:
        open_corpus("table", mine)
    line = str(caught.value).split("write into table.yaml: ")[1].removesuffix(".")
    (mine / "table.yaml").write_text(line)
    corpus = open_corpus("table", mine)
    assert [column.name for column in corpus.labels] == ["valence", "stress"]
    assert set(corpus.labels[1].classes) == {"yes", "no", "1e3", "so: so"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("labels: [valence]\n", "label columns under `labels`, found other contents"),
        ("labels: {}\n", "at least one label column under `labels`, found none"),
        ("labels: {valence: 9}\n", r"valence: expected a mapping .*As in `labels: \{valence: \{scale: \[1, 9\]\}"),
        ("labels: {stress: {classes: [yes, no]}}\n", "found True.*put quotes around classes such as yes, no"),
        ("labels: {start_s: {scale: [1, 9]}}\n", "start_s: expected another name"),
        ("labels: {valence: {scale: [9, 1]}}\n", "expected its lowest and its highest value"),
        ("labels: {x y: {scale: [1, 9]}}\n", "'x y': expected a name"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(mine, settings, message):
    write_rows(mine, [ROW], settings)
    with pytest.raises(BadRecording, match=f"table.yaml: expected .*{message}"):
        open_corpus("table", mine)


def test_labels_without_a_line_are_the_usual_ratings(mine):
    write_rows(mine, [ROW], "labels:\n  # valence: {scale: [1, 9]}\n")
    assert open_corpus("table", mine).labels == RATING_COLUMNS


@pytest.mark.journey
def test_a_store_is_not_continued_with_other_labels(mine, tmp_path):
    write_rows(mine, [ROW], "labels: {valence: {scale: [1, 9]}}\n")
    prepare_store(open_corpus("table", mine), tmp_path / "store", PrepareConfig(faces=False))
    write_rows(mine, [ROW], "labels: {valence: {scale: [0, 10]}}\n")
    with pytest.raises(BadStore, match=r"made with labels.valence = {.scale.: \[0, 10\]}, found .*\[1, 9\]"):
        prepare_store(open_corpus("table", mine), tmp_path / "store", PrepareConfig(faces=False))


@pytest.mark.journey
def test_a_corrected_row_is_prepared_again(mine, tmp_path):
    write_rows(mine, [ROW])
    prepare_store(open_corpus("table", mine), tmp_path / "store", PrepareConfig(faces=False))
    assert prepare_store(open_corpus("table", mine), tmp_path / "store", PrepareConfig(faces=False)).n_reused == 1
    write_rows(mine, [ROW | {"valence": 2}])
    assert prepare_store(open_corpus("table", mine), tmp_path / "store", PrepareConfig(faces=False)).n_prepared == 1
    assert open_store(tmp_path / "store").windows["valence"].iloc[0] == 2


@pytest.mark.journey
@pytest.mark.parametrize("corrected", [{"baseline_start_s": 4}, {"start_s": 11, "stop_s": 15, "video_offset_s": -1}])
def test_a_row_with_other_seconds_of_the_signals_is_prepared_again(mine, tmp_path, corrected):
    config = PrepareConfig(faces=False)
    write_rows(mine, [ROW])
    prepare_store(open_corpus("table", mine), tmp_path / "store", config)
    assert prepare_store(open_corpus("table", mine), tmp_path / "store", config).n_reused == 1
    before = open_store(tmp_path / "store").read([0])[2]
    write_rows(mine, [ROW | corrected])
    assert prepare_store(open_corpus("table", mine), tmp_path / "store", config).n_prepared == 1
    assert not np.array_equal(open_store(tmp_path / "store").read([0])[2], before)


def test_a_template_pairs_files_and_is_never_overwritten(mine, capsys):
    for name in ("s02/x.mp4", "s02/x_raw.fif", "s02/y, z.avi"):
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_bytes(b"")
    assert main(["table", "init", str(mine)]) == 0
    assert "3 lines to fill in" in capsys.readouterr().out
    rows = pd.read_csv(mine / "recordings.csv", comment="#", dtype=str, keep_default_na=False)
    assert rows["signals"].tolist() == ["s02/x_raw.fif", "", "a_raw.fif"]
    assert rows["video"].tolist() == ["s02/x.mp4", "s02/y, z.avi", ""]
    assert rows["subject"].tolist() == ["s02", "s02", "s01"]
    settings = (mine / "table.yaml").read_text()
    assert '"EEG FP1-REF": eeg' in settings
    assert "GSR1: gsr" in settings
    open_corpus("table", mine)  # what it writes can be read
    with pytest.raises(BadInput, match="expected no table yet"):
        write_template(mine)


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        (
            ["video/s01_x.mp4", "eeg/s01_x_eeg.fif", "eeg/s01_y.fif"],
            ["s01,01,,video/s01_x.mp4,eeg/s01_x_eeg.fif", "s01,02,,,eeg/s01_y.fif"],
        ),
        (["a/1.mp4", "a/1.edf", "b/1.mp4", "b/1.edf"], ["a,01,,a/1.mp4,a/1.edf", "b,01,,b/1.mp4,b/1.edf"]),
        (["v/1.mp4", "v/2.1.mp4", "a/1.edf", "b/1.edf"],
         ["v,01,,v/1.mp4,", "v,02,,v/2.1.mp4,", "a,01,,,a/1.edf", "b,01,,,b/1.edf"]),
        (["x.1.mp4", "x.2.edf"], ["s01,01,,x.1.mp4,", "s01,02,,,x.2.edf"]),
        (["me & you/1.mp4"], ["me---you,01,,me & you/1.mp4,"]),
    ],
)  # fmt: skip
def test_files_of_one_name_are_paired_where_that_leaves_no_doubt(tmp_path, files, lines):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    write_template(tmp_path)
    text = (tmp_path / "recordings.csv").read_text().splitlines()
    assert [line.removesuffix(",,,,,,") for line in text if not line.startswith("#")][1:] == lines


def test_a_template_passes_over_what_macos_puts_beside_files(tmp_path):
    (tmp_path / "anna").mkdir()
    for name in ("film.mp4", "._film.mp4", "._film.edf"):
        (tmp_path / "anna" / name).touch()
    table, lines = write_template(tmp_path)
    assert lines == 1 and "._" not in table.read_text()


def test_tables_without_signals_are_left_out_of_a_template_and_that_is_reported(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant\tage\nanna\t30\n")
    (tmp_path / "x.csv").write_text("time,Fp1,on,mood: 1\n0,1,2,3\n")
    table, lines = write_template(tmp_path)
    assert lines == 1
    assert table.read_text().endswith("participants.tsv: no column is named like a signal (participant, age)\n")
    settings = (tmp_path / "table.yaml").read_text()
    assert '  # "on": which kind?\n  # "mood: 1": which kind?\n' in settings
    (tmp_path / "table.yaml").write_text(settings.replace("\n  # ", "\n  ").replace("which kind?", "emg"))
    assert [c.name for c in open_corpus("table", tmp_path).channels] == ["Fp1", "on", "mood: 1"]


@pytest.mark.journey
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample recordings are not here")
def test_a_real_face_with_real_signals_is_detected_but_where_it_is_covered_and_that_is_reported(tmp_path):
    """face_expressions.mp4, in which a hand wanders over the face from 2.5 to 9.5 s, and the same with a cloth over all
    of it from 5 to 9 s; with an EEG and an ECG of the same length that have nothing to do with it."""
    edfio = pytest.importorskip("edfio")
    eeg = np.loadtxt(SAMPLES / "eeg_ec.txt")[: 19 * 125]
    ecg = resample_poly(np.loadtxt(SAMPLES / "ecg.txt")[: 19 * 1000], 1, 8)
    eeg, ecg = (np.resize(x, 19 * 125) for x in (eeg, ecg))  # repeated to the length of the video
    made = [edfio.EdfSignal(x, 125, label=n, physical_dimension="uV") for n, x in (("EEG Oz", eeg), ("ECG", ecg))]
    edfio.Edf(made).write(tmp_path / "x.edf")
    (tmp_path / "hand.mp4").symlink_to(SAMPLES / "face_expressions.mp4")
    _cover(SAMPLES / "face_expressions.mp4", tmp_path / "cloth.avi", 5, 9)
    row = {"subject": "p1", "signals": "x.edf", "start_s": 0, "stop_s": 18, "valence": 8}
    rows = [{**row, "trial": file.split(".")[0], "video": file} for file in ("hand.mp4", "cloth.avi")]
    rows[1]["subject"] = "p2"  # the same seconds of one signal file are one trial's only
    rows[1]["signals"] = ""
    write_rows(tmp_path, rows, "baseline_s: 0\n")
    corpus = open_corpus("table", tmp_path)
    hand = corpus.recordings("p1")[0]
    assert corpus.inspect(hand).video_info.fps == Fraction(24000, 1001)
    summary = prepare_store(corpus, tmp_path / "store", PrepareConfig(face_side=32))
    store = open_store(tmp_path / "store")
    windows = store.windows.set_index(["trial", "start_s"])["has_face"]
    assert windows["hand"].all() and len(windows["hand"]) == 18  # the tracker follows the face behind the fingers
    # A frame may borrow a face from up to a second away: covered to more than that is what lies from 6 to 8 s.
    assert windows["cloth"].index[~windows["cloth"]].tolist() == [6.0, 7.0]
    assert [f for f in summary.warnings if "no face" in f] == ["p2_cloth: no face in 2 of 18 windows: 6 to 8 s"]


def _cover(source, target, from_s, to_s):
    """The same video with one colour over the whole picture for some seconds."""
    import av

    with av.open(str(source)) as inside, av.open(str(target), "w") as out:
        stream = inside.streams.video[0]
        made = out.add_stream("mpeg4", rate=stream.average_rate, width=stream.width, height=stream.height)
        made.bit_rate = 4_000_000
        for number, frame in enumerate(inside.decode(stream)):
            picture = frame.to_ndarray(format="rgb24")
            if from_s <= number / float(stream.average_rate) < to_s:
                picture[:] = (70, 80, 90)
            out.mux(made.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(made.encode())


@pytest.mark.journey
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"valence": "7_0"}, "valence from 0 to 100"),  # Python alone takes it for 70
        ({"start_s": "1_0"}, "a number of seconds in start_s"),
        ({"recording_start_utc": "1_700_000_000"}, "a date with a time zone in recording_start_utc"),
    ],
)
def test_digits_with_an_underscore_are_no_number(mine, changes, expected):
    write_rows(mine, [ROW | changes], "labels: {valence: {scale: [0, 100]}}\n")
    _, recording = only(mine)
    assert expected in recording.error and repr(next(iter(changes.values()))) in recording.error
