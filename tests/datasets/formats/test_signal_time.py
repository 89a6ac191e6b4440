"""Which seconds of a signal file are read: of channels of different rates, outside the file, and across pauses.

Files whose slow channel holds its own time say themselves which second was taken.
"""

import time
import warnings

import mne
import numpy as np
import pytest
from scipy.io import savemat

from gbvnet.config import PrepareConfig, Times
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.formats.bdf import open_bdf
from gbvnet.datasets.formats.segments import Segment, overlap
from gbvnet.datasets.formats.signal_file import open_signals, read_signals
from gbvnet.datasets.recording import Channel, Signals
from gbvnet.datasets.single_recording import open_recording
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.preprocessing.signals import preprocess
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from ...timed_signals import write_csv, write_edf, write_gdf, write_vhdr

EEG, GSR = Channel("Fp1", "eeg"), Channel("EDA", "gsr")
PLAIN = PrepareConfig(faces=False, filter=False, baseline="none")
HZ = 128


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(0, 20, n)


def clock_of(*segments, hz=HZ):
    """The time of each sample of some (start, stop) in seconds."""
    return np.concatenate([start + np.arange(round((stop - start) * hz)) / hz for start, stop in segments])


def table(folder, rows, settings=""):
    head = "subject,trial,signals,start_s,stop_s,baseline_start_s,valence"
    (folder / "recordings.csv").write_text("\n".join([head, *rows]) + "\n")
    (folder / "table.yaml").write_text(settings or "channels: {Fp1: eeg, EDA: gsr}\n")
    return open_corpus("table", folder)


def recordings_by_name(corpus):
    """Return by recording what check reports: its error or warnings."""
    return {r.name: r for unit in check_corpus(corpus) for r in unit.recordings}


def prepared(corpus, folder, config=PLAIN):
    """What prepare made: its summary, and windows by recording, (W, C, L)."""
    summary = prepare_store(corpus, folder, config)
    store = open_store(folder)
    windows = {
        name: store.read(rows.index.to_numpy(), faces=False)[2] for name, rows in store.windows.groupby("recording")
    }
    return summary, windows


# ---------------------------------------------------------------- several rates in one file


MIXED = {
    "slow_first.edf": ({"EDA": 4, "Fp1": 256}, 1.0, {}),
    "long_records.edf": ({"Fp1": 2560, "EDA": 40}, 10.0, {}),
    "odd_records.edf": ({"Fp1": 384, "EDA": 33}, 1.5, {}),
    "short_records.edf": ({"Fp1": 32, "EDA": 1}, 0.125, {"n_records": -1}),
    "notes.edf": ({"Fp1": 256, "EDA": 4}, 1.0, {"onsets": range(120), "texts": {3: b"+3.2\x14\xe4rgerlich\x14\0"}}),
    "fast_unused.edf": ({"Fp1": 128, "Öl": 1000, "EDA": 2}, 0.5, {}),
    "x.bdf": ({"EDA": 8, "Fp1": 512}, 1.0, {}),
    "notes.bdf": ({"Fp1": 256, "EDA": 4}, 1.0, {"onsets": range(120)}),
}


def write_mixed(path, per, record_s, more):
    n = round(120 / record_s)
    signals = {
        name: (m, np.arange(n * m) * record_s / m if name == "EDA" else noise(n * m), "uS" if name == "EDA" else "uV")
        for name, m in per.items()
    }
    write_edf(path, signals, record_s, **more)


@pytest.mark.journey
@pytest.mark.parametrize("name", MIXED)
def test_each_channel_at_its_own_rate_as_edfio_reads_it_from_any_second_on(tmp_path, name):
    import edfio

    write_mixed(tmp_path / name, *MIXED[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = edfio.read_bdf if name.endswith("bdf") else edfio.read_edf
        truth = {s.label.strip(): s for s in read(tmp_path / name, header_encoding="latin-1").signals}
    for begin, end in ((3, 20), (30.37, 95.2), (100.5, 102.5), (0, 120)):
        got = read_signals(tmp_path / name, begin, end, (EEG, GSR))
        for channel, row, hz in zip(("Fp1", "EDA"), got.samples, got.rates_hz, strict=True):
            first = got.start_s * hz
            assert first == pytest.approx(round(first), abs=1e-6)  # all channels begin at one moment
            assert hz == truth[channel].sampling_frequency
            assert got.start_s <= begin and got.start_s + len(row) / hz >= end - 1e-9
            assert row == pytest.approx(truth[channel].data[round(first) :][: len(row)], abs=1e-6)


@pytest.mark.journey
@pytest.mark.parametrize("suffix", ["edf", "bdf"])
@pytest.mark.parametrize("slow_hz", [4, 32, 128])
def test_any_slice_of_any_channel_is_what_edfio_reads(tmp_path, suffix, slow_hz):
    """Beside 256 Hz, in records of 1 s: MNE alone shifts a slice that begins within a record, or gives zeros."""
    import edfio

    path = tmp_path / f"a.{suffix}"
    write_mixed(path, {"Fp1": 256, "EDA": slow_hz}, 1.0, {})
    truth = {s.label: s.data for s in (edfio.read_bdf if suffix == "bdf" else edfio.read_edf)(path).signals}
    rng = np.random.default_rng(slow_hz)
    begins = [300.5 - 240, 30.37, *rng.uniform(0, 100, 20)]
    for begin, seconds in zip(begins, [2, 64.8, *rng.uniform(0.5, 20, 20)], strict=True):
        for channels in ((EEG, GSR), (GSR,), (GSR, EEG)):
            got = read_signals(path, begin, begin + seconds, channels)
            rates = got.rates_hz or [got.rate_hz] * len(channels)
            for channel, row, hz in zip(channels, got.samples, rates, strict=True):
                first = round(got.start_s * hz)
                assert hz == (256 if channel is EEG else slow_hz)
                assert got.start_s - begin < 0.5 / hz + 1e-9 and (first + len(row)) / hz >= begin + seconds - 0.5 / hz
                assert row == pytest.approx(truth[channel.name][first : first + len(row)], abs=1e-9)
                if channel is GSR:  # its value is its time: to the steps of 16 bits
                    assert row == pytest.approx((first + np.arange(len(row))) / hz, abs=0.003)


@pytest.mark.journey
@pytest.mark.parametrize("name", ["long_records.edf", "odd_records.edf", "x.bdf"])
@pytest.mark.parametrize("start", [40, 40.5, 41.37])
def test_windows_of_a_slow_channel_hold_the_requested_seconds(tmp_path, name, start):
    write_mixed(tmp_path / name, *MIXED[name])
    corpus = table(tmp_path, [f"anna,1,{name},{start},{start + 30},,7"])
    assert recordings_by_name(corpus)["anna_1"].error is None
    summary, windows = prepared(corpus, tmp_path / "store")
    assert (summary.n_prepared, windows["anna_1"].shape) == (1, (30, 2, HZ))
    times = start + np.arange(30 * HZ) / HZ
    assert np.concatenate(windows["anna_1"][:, 1]) == pytest.approx(times, abs=0.006)


@pytest.mark.journey
def test_in_a_file_of_several_rates_a_channel_is_what_it_is_in_one_of_its_own(tmp_path):
    x, slow = noise(256 * 60), np.arange(60 * 16) / 16
    write_edf(tmp_path / "both.edf", {"EDA": (16, slow, "uS"), "Fp1": (256, x, "uV")})
    write_edf(tmp_path / "one.edf", {"Fp1": (256, x, "uV")})
    corpus = table(tmp_path, ["anna,1,both.edf,20,40,,7"])
    alone = table(tmp_path, ["anna,1,one.edf,20,40,,7"], "channels: {Fp1: eeg}\n")
    config = PrepareConfig(faces=False)
    mixed = prepared(table(tmp_path, ["anna,1,both.edf,20,40,,7"]), tmp_path / "a", config)[1]["anna_1"]
    single = prepared(alone, tmp_path / "b", config)[1]["anna_1"]
    assert corpus.channels[0].kind == "eeg"
    assert np.array_equal(mixed[:, 0], single[:, 0])


def test_an_end_of_infinity_is_the_files(tmp_path):
    write_csv(tmp_path / "a.csv", {"Fp1": noise(HZ * 20), "EDA": np.arange(HZ * 20) / HZ}, HZ)
    got = read_signals(tmp_path / "a.csv", 5, np.inf, (GSR,))
    assert got.samples[0, [0, -1]] == pytest.approx([5, 20 - 1 / HZ])


@pytest.mark.journey
def test_an_edf_is_opened_once_for_all_of_its_trials(tmp_path, monkeypatch):
    write_mixed(tmp_path / "a.edf", {"Fp1": 256, "EDA": 4}, 1.0, {"onsets": range(120)})
    corpus = table(tmp_path, [f"anna,{k},a.edf,{10 + 5 * k},{14 + 5 * k},,7" for k in range(8)])
    opened = []
    read_raw = mne.io.read_raw
    monkeypatch.setattr(mne.io, "read_raw", lambda *a, **k: opened.append(k.get("include")) or read_raw(*a, **k))
    recordings = recordings_by_name(corpus)
    assert not any(r.error for r in recordings.values())
    assert opened == [None, ["EDA"]]  # and once for the channels of a rate of their own
    write_mixed(tmp_path / "a.edf", {"Fp1": 256, "EDA": 8}, 1.0, {})  # another file of that name is read anew
    assert read_signals(tmp_path / "a.edf", 10, 20, (EEG, GSR)).rates_hz == (256, 8)


@pytest.mark.journey
def test_a_file_ends_where_its_last_whole_record_does(tmp_path):
    write_mixed(tmp_path / "a.edf", *MIXED["slow_first.edf"])
    whole = (tmp_path / "a.edf").read_bytes()
    (tmp_path / "a.edf").write_bytes(whole[:-100])
    by_name = recordings_by_name(table(tmp_path, ["anna,1,a.edf,90,118,,7", "bert,1,a.edf,118,119.5,,7"]))
    assert by_name["anna_1"].error is None and "ends at 119.00 s" in by_name["bert_1"].error
    for size in (0, 256, 3 * 256, 3 * 256 + 7):
        (tmp_path / "a.edf").write_bytes(whole[:size])
        with pytest.raises(BadRecording):
            read_signals(tmp_path / "a.edf", 0, 1, (EEG, GSR))


def test_a_gdf_of_several_rates(tmp_path):
    x, slow, heart = noise(256 * 60), np.arange(60 * 4) / 4, noise(64 * 60, 1)
    write_gdf(tmp_path / "a.gdf", {"EDA": (4, slow, "uS"), "Fp1": (256, x, "uV"), "ECG": (64, heart, "uV")})
    got = read_signals(tmp_path / "a.gdf", 10.4, 20.1, (EEG, Channel("ECG", "ecg"), GSR))
    assert (got.start_s, got.rates_hz) == (10.25, (256, 64, 4))
    for row, hz, true in zip(got.samples, got.rates_hz, (x, heart, slow), strict=True):
        assert row == pytest.approx(true[round(10.25 * hz) :][: len(row)], abs=3e-3)
    one = read_signals(tmp_path / "a.gdf", 10.4, 20.1, (Channel("ECG", "ecg"),))
    assert one.samples[0] == pytest.approx(heart[round(one.start_s * 64) :][: one.samples.shape[1]], abs=3e-3)


def test_a_corpus_of_one_rate_does_not_take_a_bdf_of_several(tmp_path):
    """DEAP and MAHNOB-HCI have one rate; MNE would shift the slower channels of any slice."""
    write_edf(tmp_path / "a.bdf", {"Fp1": (256, noise(2560), "uV"), "GSR1": (32, noise(320), "uS")})
    with pytest.raises(BadRecording, match=r"channels of one rate, .* found 32, 256 samples of them"):
        open_bdf(tmp_path / "a.bdf")


def test_slow_channels_keep_their_level_and_too_slow_ones_are_reported_with_their_own_rate():
    level, x = np.full(4 * 30, 33.0), noise(256 * 30)
    both = Signals((x, level), 256.0, 0, (EEG, GSR), rates_hz=(256.0, 4.0))
    made = preprocess(both, PLAIN, 128.0, 0.0).x
    assert made.shape == (2, 30 * 128) and made[1] == pytest.approx(33.0, abs=1e-9)
    slow_eeg = Signals((level, x), 256.0, 0, (EEG, GSR), rates_hz=(4.0, 256.0))
    with pytest.raises(BadConfig, match="signals at 4 Hz hold nothing of 4 to 45 Hz"):
        preprocess(slow_eeg, PrepareConfig(), 128.0, 0.0)
    assert both.select([1]).rates_hz == (4.0,) and both.select([0, 1]) is both


# ---------------------------------------------------------------- outside the file


def write_late(path, start, seconds=60):
    """A file on a clock that begins at `start`."""
    write_csv(path, {"Fp1": noise(seconds * HZ), "EDA": start + np.arange(seconds * HZ) / HZ}, HZ, start,
              "\t" if path.suffix == ".tsv" else ",")  # fmt: skip


@pytest.mark.journey
def test_a_trial_outside_of_its_file_is_refused_by_check_and_prepare_and_stops_no_other(tmp_path):
    rows = {
        "before": "late.csv,20,22,", "partly": "late.csv,20,40,", "after": "late.csv,90,95,", "unix": "unix.tsv,20,40,",
        "second": "a.edf,40,61,", "base": "late.csv,26,30,", "base2": "late.csv,26.5,40,20", "early": "a.edf,2,10,",
        "good": "a.edf,40,60,", "good2": "late.csv,28,85,", "good3": "unix.tsv,1700000010,1700000020,",
    }  # fmt: skip
    for subject, row in rows.items():  # trials of one file must not overlap: each has its own
        file = tmp_path / f"{subject}_{row.split(',')[0]}"
        if file.suffix == ".edf":
            write_edf(file, {"Fp1": (HZ, noise(60 * HZ), "uV"), "EDA": (HZ, np.arange(60 * HZ) / HZ, "uS")})
        else:
            write_late(file, 1.7e9 if file.suffix == ".tsv" else 25.0)
    corpus = table(tmp_path, [f"{subject},1,{subject}_{row},7" for subject, row in rows.items()])
    errors = {name: r.error for name, r in recordings_by_name(corpus).items()}
    for subject in ("before", "partly", "after"):
        assert "found a file that begins at 25.00 s and ends at 85.00 s" in errors[f"{subject}_1"]
    assert "begins at 1700000000.00 s" in errors["unix_1"]
    assert (
        "expected signals from 40.00 to 61.00 s, found a file that begins at 0.00 s and ends at 60.00 s"
        in errors["second_1"]
    )
    for subject, span in (("base", "23.00 to 26.00"), ("base2", "20.00 to 23.00"), ("early", "-1.00 to 2.00")):
        error = errors[f"{subject}_1"]
        assert f"expected signals from {span} s" in error and "This is the baseline" in error
    summary, windows = prepared(corpus, tmp_path / "store")
    assert (summary.n_prepared, len(summary.bad)) == (3, 8)
    assert {p.split(": ")[0] for p in summary.bad} == {p.split(": ")[0] for p in errors.values() if p}
    assert {name: w[:, 1, 0].tolist() for name, w in windows.items()} == {
        "good_1": pytest.approx(list(range(40, 60)), abs=0.01),
        "good2_1": pytest.approx(list(range(28, 85)), abs=0.01),
        "good3_1": pytest.approx([1.7e9 + t for t in range(10, 20)], abs=130),  # float32 is that coarse
    }


@pytest.mark.journey
def test_a_trial_that_ends_with_its_file_is_whole_and_one_beyond_loses_a_window_with_a_message(tmp_path):
    signals = {"Fp1": (64, noise(3840), "uV"), "EDA": (64, np.arange(3840) / 64, "uS")}
    for subject in "abc":
        write_edf(tmp_path / f"{subject}.edf", signals)
    stops = {"a": 60, "b": 60 + 1 / 64, "c": 60.1}
    corpus = table(tmp_path, [f"{subject},1,{subject}.edf,50,{stop},,7" for subject, stop in stops.items()])
    assert [bool(r.error) for r in recordings_by_name(corpus).values()] == [False, False, True]
    _, windows = prepared(corpus, tmp_path / "store")
    assert [len(w) for w in windows.values()] == [10, 10]
    config = PrepareConfig(faces=False, filter=False, baseline="none", window_s=(10 + 1 / 64) / 2)
    summary, windows = prepared(corpus, tmp_path / "store2", config)
    assert len(windows["b_1"]) == 1
    assert "b_1: the signals end before the last 1 of 2 windows, which are left out" in summary.warnings


@pytest.mark.journey
def test_a_trial_shorter_than_a_window_is_reported_by_check_as_prepare_refuses_it(tmp_path):
    n = HZ * 40
    write_csv(tmp_path / "a.csv", {"Fp1": noise(n), "EDA": np.arange(n) / HZ}, HZ)
    rows = ["anna,1,a.csv,10,10.5,,7", "anna,2,a.csv,20,21,,7", "anna,3,a.csv,30,32.7,,7"]
    corpus = table(tmp_path, rows, "channels: {Fp1: eeg, EDA: gsr}\nbaseline_s: 0\n")
    recordings = recordings_by_name(corpus)
    window_warnings = [[f for f in recordings[f"anna_{k}"].warnings if "shorter than a window" in f] for k in (1, 2, 3)]
    assert window_warnings == [
        ["of 0.5 s, shorter than a window: `gbvnet prepare` refuses it without --window_s"],
        [],
        [],
    ]
    _, windows = prepared(corpus, tmp_path / "store")
    assert {name: len(x) for name, x in windows.items()} == {"anna_2": 1, "anna_3": 2}


@pytest.mark.parametrize(
    ("at", "level", "message"),
    [
        (27, 28.5, None), (25.5, 27, None), (35, 36.5, None), (50, 51.5, None), (57, 58.5, None),
        (58, 59, "2.00 of the 3 s from 58 s on"), (-1, 1, "2.00 of the 3 s from -1 s on"),
        (-5, 31.5, "nothing of the 3 s from -5 s on"), (70, 31.5, "nothing of the 3 s from 70 s on"),
        (None, 28.5, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["edf", "csv"])
def test_a_baseline_may_be_anywhere_in_the_file_and_a_missing_part_is_reported(tmp_path, at, level, message, suffix):
    file = tmp_path / f"a.{suffix}"
    x, clock = noise(60 * HZ), np.arange(60 * HZ) / HZ
    if suffix == "edf":
        write_edf(file, {"Fp1": (HZ, x, "uV"), "EDA": (HZ, clock, "uS")})
    else:
        write_csv(file, {"Fp1": x, "EDA": clock}, HZ)
    made = open_recording([file], (EEG, GSR), 128.0, 3.0, Times(start_s=30, stop_s=50, baseline_start_s=at))
    recording = made.inspect(made.recording)
    cleaned = preprocess(made.signals(recording), PrepareConfig(filter=False), 128.0, 3.0)
    assert cleaned.x[1, cleaned.onset] == pytest.approx(30 - level, abs=0.02)
    notes = [f for f in recording.warnings if f.startswith("baseline")]
    assert notes == [] if message is None else message in notes[0]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            {"start_s": 90},
            "expected a recording that is not over, found one that ends at 85.00 s, requested from 90 s",
        ),
        ({"start_s": 50, "stop_s": 40}, "--times.stop_s 40 is not after --times.start_s 50"),
        ({"stop_s": 20}, "expected signals before 20 s, found a file that begins at 25.00 s"),
    ],
)
def test_a_part_that_is_not_in_the_recording_is_refused(tmp_path, times, message):
    write_late(tmp_path / "late.csv", 25.0)
    made = open_recording([tmp_path / "late.csv"], (EEG, GSR), 128.0, 3.0, Times(**times))
    with pytest.raises((BadRecording, BadConfig), match=message):
        made.inspect(made.recording)


@pytest.mark.journey
def test_a_part_from_before_the_first_sample_on_begins_with_it_and_is_reported(tmp_path):
    write_late(tmp_path / "late.csv", 25.0)
    made = open_recording([tmp_path / "late.csv"], (EEG, GSR), 128.0, 3.0, Times(start_s=26, stop_s=40))
    recording = made.inspect(made.recording)
    cleaned = preprocess(made.signals(recording), PrepareConfig(filter=False), 128.0, 3.0)
    assert cleaned.x[1, cleaned.onset] == pytest.approx(-1.5, abs=0.02)  # its own first 3 s
    assert any("no 3 s right before 26 s" in f for f in recording.warnings)
    made = open_recording([tmp_path / "late.csv"], (EEG, GSR), 128.0, 3.0, Times(start_s=20, stop_s=40))
    recording = made.inspect(made.recording)
    assert recording.seconds == 15 and "begins at 25.00 s of its clock" in recording.warnings[0]


def test_no_index_reaches_behind_the_first_sample():
    x = np.stack([noise(10 * HZ), np.arange(10 * HZ) / HZ])
    for onset, baseline in ((-HZ, None), (HZ, (-HZ, 2 * HZ)), (HZ, (9 * HZ, 12 * HZ))):
        with pytest.raises(BadConfig):
            preprocess(Signals(x, 128.0, onset, (EEG, GSR), baseline), PrepareConfig(filter=False), 128.0, 3.0)


@pytest.mark.journey
def test_what_a_library_does_not_expect_in_one_recording_loses_no_other(tmp_path, monkeypatch):
    write_late(tmp_path / "good.csv", 0.0)
    write_late(tmp_path / "odd.csv", 0.0)
    corpus = table(tmp_path, ["anna,1,odd.csv,20,30,,7", "bert,1,good.csv,20,30,,7"])
    real = type(corpus).signals

    def signals(self, recording):
        if recording.subject == "anna":
            raise ValueError("zero-size array")
        return real(self, recording)

    monkeypatch.setattr(type(corpus), "signals", signals)
    summary, windows = prepared(corpus, tmp_path / "store")
    assert list(windows) == ["bert_1"] and "odd.csv" in summary.bad[0] and "zero-size array" in summary.bad[0]


def test_parts_of_spans():
    two = (Segment(0, 40, 0), Segment(100, 80, 40))
    assert overlap(two, 38, 41) == (38, 40) and overlap(two, 50, 60) is None and overlap(two, 39, 105) == (100, 105)


# ---------------------------------------------------------------- pauses


PARTS = ((0, 40), (100, 180))  # seconds of the clock that were recorded


def write_paused(path, hz=HZ):
    """The same recording, paused from 40 to 100 s, as each format tells it; EDA holds the clock."""
    x, clock = noise(120 * hz), clock_of(*PARTS, hz=hz)
    info = mne.create_info(["Fp1", "EDA"], hz, ["eeg", "misc"])
    both = np.stack([x * 1e-6, clock])
    if path.suffix in (".edf", ".bdf"):
        onsets = [r if r < 40 else r + 60 for r in range(120)]
        write_edf(path, {"Fp1": (hz, x, "uV"), "EDA": (hz, clock, "uS")}, onsets=onsets, kind="D")
    elif path.suffix == ".vhdr":
        day = "202401011000{:02d}000000", "202401011001{:02d}000000"
        times = [(1, day[0].format(0)), (40 * hz + 1, day[1].format(40))]
        write_vhdr(path, {"Fp1": x, "EDA": clock}, hz, times)
    elif path.suffix == ".set":
        write_eeglab(path, np.stack([x, clock]), hz, [("boundary", 40 * hz + 0.5, 60 * hz), ("stimulus", 50 * hz, 0)])
    elif path.name == "skip_raw.fif":
        whole = np.zeros((2, 180 * hz))
        whole[:, : 40 * hz], whole[:, 100 * hz :] = both[:, : 40 * hz], both[:, 40 * hz :]
        raw = mne.io.RawArray(whole, info, first_samp=77, verbose="error")
        raw.set_annotations(mne.Annotations([40.0], [60.0], ["BAD_ACQ_SKIP"])).save(path, verbose="error")
    return x, clock


def write_eeglab(path, x, hz, events):
    places = np.array([(n, "EEG") for n in ("Fp1", "EDA")], [("labels", "O"), ("type", "O")])
    made = np.array(
        [(t, float(at), float(n)) for t, at, n in events], [("type", "O"), ("latency", "O"), ("duration", "O")]
    )
    held = {"data": x, "srate": float(hz), "nbchan": 2, "pnts": x.shape[1], "trials": 1, "xmin": 0, "chanlocs": places}
    savemat(path, {"EEG": held | {"event": made, "epoch": np.array([]), "setname": "x"}})


PAUSED_FILES = ["a.edf", "a.bdf", "a.vhdr", "a.set", "skip_raw.fif"]


@pytest.mark.journey
@pytest.mark.parametrize("name", PAUSED_FILES)
def test_a_span_is_of_the_true_time_and_one_across_a_pause_is_refused(tmp_path, name):
    write_paused(tmp_path / name)
    assert [s[:2] for s in open_signals(tmp_path / name).segments] == [pytest.approx((a, b - a)) for a, b in PARTS]
    rows = {
        "first": "20,40,", "second": "103,118,", "last": "170,180,", "far": "103,110,10", "across": "30,50,",
        "within": "60,70,", "over": "39,101,", "base": "101,110,", "margin": "103,104,",
    }  # fmt: skip
    corpus = table(tmp_path, [f"{subject},1,{name},{row},7" for subject, row in rows.items()])
    for row in rows:  # they overlap in one table, so that each is alone in its own
        corpus = table(tmp_path, [f"{row},1,{name},{rows[row]},7"])
        (recording,) = recordings_by_name(corpus).values()
        if row in ("across", "within", "over", "base"):
            assert "a pause from 40.00 to 100.00 s" in recording.error
            continue
        assert recording.error is None
        notes = [f for f in recording.warnings if "a pause from 40.00 to 100.00 s" in f]
        assert bool(notes) == (row != "first")
        cleaned = preprocess(corpus.signals(recording), PLAIN, 128.0, 3.0)
        seconds = cleaned.x[1, cleaned.onset :][::HZ]
        start = float(rows[row].split(",")[0])
        assert seconds[0] == pytest.approx(start, abs=0.02)
        if row == "far":
            assert cleaned.baseline[1].mean() == pytest.approx(11.5, abs=0.02)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has no time zone of a process")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Tokyo"])
def test_a_pause_of_brainvision_is_as_long_in_every_time_zone(tmp_path, zone, monkeypatch):
    """The clock of the recorder, in Tokyo, went on; in Berlin 02:00 to 03:00 of this night did not exist."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        x = noise(20 * HZ)
        times = [(1, "20240331015950000000"), (10 * HZ + 1, "20240331030010000000")]
        write_vhdr(tmp_path / "a.vhdr", {"Fp1": x}, HZ, times)
        assert [s[:2] for s in open_signals(tmp_path / "a.vhdr").segments] == [(0, 10), (3620, 10)]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.journey
def test_a_trial_across_a_break_of_unknown_length_is_refused(tmp_path):
    x, clock = noise(120 * HZ), clock_of(*PARTS)
    info = mne.create_info(["Fp1", "EDA"], HZ, ["eeg", "misc"])
    parts = [mne.io.RawArray(np.stack([x * 1e-6, clock])[:, p], info, first_samp=500, verbose="error")
             for p in (slice(0, 40 * HZ), slice(40 * HZ, None))]  # fmt: skip
    mne.concatenate_raws(parts, verbose="error").save(tmp_path / "a_raw.fif", verbose="error")
    write_vhdr(tmp_path / "b.vhdr", {"Fp1": x, "EDA": clock}, HZ, [(1, "20240101100000000000"), (40 * HZ + 1, "")])
    write_eeglab(tmp_path / "c.set", np.stack([x, clock]), HZ, [("boundary", 40 * HZ + 0.5, np.nan)])
    for name in ("a_raw.fif", "b.vhdr", "c.set"):
        for span, error in (("20,40", None), ("30,50", "a break at 40.00 s"), ("60,70", None)):
            (recording,) = recordings_by_name(table(tmp_path, [f"anna,1,{name},{span},,7"])).values()
            assert recording.error is None if error is None else error in recording.error
            assert any("counted as if nothing were missing" in f for f in recording.warnings) == (span == "60,70")


def test_a_recording_of_several_pauses_that_begins_late(tmp_path):
    """EDF+D whose first record is at 5.0 s, a record of 0.5 s, times written with a fraction."""
    starts = [5 + k / 2 for k in range(20)] + [30.25 + k / 2 for k in range(20)] + [50 + k / 2 for k in range(30)]
    clock = np.concatenate([s + np.arange(64) / HZ for s in starts])
    write_edf(
        tmp_path / "a.edf", {"Fp1": (64, noise(len(clock)), "uV"), "EDA": (64, clock, "uS")}, 0.5, starts, kind="D"
    )
    segments = open_signals(tmp_path / "a.edf").segments
    assert [s[:2] for s in segments] == [(5, 10), (30.25, 10), (50, 15)]
    got = read_signals(tmp_path / "a.edf", 33, 38, (EEG, GSR), margin_s=30)
    assert (got.start_s, got.seconds) == (30.25, 10) and "5.00 s" not in got.notes[0]
    assert got.samples[1] == pytest.approx(30.25 + np.arange(1280) / HZ, abs=0.01)
    with pytest.raises(BadRecording, match=r"begins at 5.00 s and ends at 65.00 s"):
        read_signals(tmp_path / "a.edf", 1, 4, (EEG, GSR))
    with pytest.raises(BadRecording, match=r"a pause from 15.00 to 30.25 s, a pause from 40.25 to 50.00 s"):
        read_signals(tmp_path / "a.edf", 10, 55, (EEG, GSR))


def test_a_fraction_of_the_first_records_time_belongs_to_the_header(tmp_path):
    """As MNE and edfio have it: second 0 is the first sample."""
    starts = [f"{k + 0.25:g}" for k in range(60)]
    for kind in "CD":
        write_edf(tmp_path / "a.edf", {"Fp1": (HZ, noise(60 * HZ), "uV")}, onsets=starts, kind=kind)
        assert open_signals(tmp_path / "a.edf").segments == ((0.0, 60.0, 0.0, True),)


def test_times_of_records_that_run_backwards_are_refused(tmp_path):
    starts = [*range(40), *range(20, 40)]
    write_edf(tmp_path / "a.edf", {"Fp1": (HZ, noise(60 * HZ), "uV")}, onsets=starts, kind="D")
    with pytest.raises(BadRecording, match=r"record 41 at 20.00 s, after one of 1 s at 39.00 s"):
        read_signals(tmp_path / "a.edf", 1, 4, (EEG,))


def test_boundaries_in_the_annotations_of_other_formats_and_events_that_are_only_called_so(tmp_path):
    signals = {"Fp1": (HZ, noise(60 * HZ), "uV"), "EDA": (HZ, np.arange(60 * HZ) / HZ, "uS")}
    for label, whole in (
        (b"EDGE boundary", False),
        (b"boundary", False),
        (b"block boundary", True),
        (b"BAD eyes", True),
    ):
        texts = {25: b"+25\x14" + label + b"\x14\0"}
        write_edf(tmp_path / "a.edf", signals, onsets=range(60), texts=texts)
        assert len(open_signals(tmp_path / "a.edf").segments) == (1 if whole else 2)


def test_records_whose_times_drift_away_from_their_length_are_no_one_segment(tmp_path):
    """Each record a millisecond late: by the file's own times, its last one is a minute's worth late."""
    onsets = [f"{k * 1.001:.3f}" for k in range(120)]
    write_edf(tmp_path / "a.edf", {"Fp1": (HZ, noise(120 * HZ), "uV")}, onsets=onsets, kind="D")
    segments = open_signals(tmp_path / "a.edf").segments
    assert len(segments) == 3
    got = read_signals(tmp_path / "a.edf", 110, 112, (EEG,))
    true = [k * 1.001 + m / HZ for k in range(120) for m in range(HZ)]
    assert true[round((got.start_s - segments[-1].start_s + segments[-1].at_s) * HZ)] == pytest.approx(110, abs=0.05)


@pytest.mark.journey
def test_skips_are_left_out_and_one_at_the_begin_is_no_pause(tmp_path):
    """MNE leaves out a skip at the begin when it saves, and then tells of skips where samples are."""
    info = mne.create_info(["Fp1", "EDA"], HZ, ["eeg", "misc"])
    clock = 1 + np.arange(60 * HZ) / HZ
    raw = mne.io.RawArray(np.stack([noise(60 * HZ) * 1e-6, clock]), info, verbose="error")
    for skips, segments, first_s in (
        ([(20, 5), (40, 3)], [(0, 20), (25, 15), (43, 17)], 0),
        ([(0, 10), (20, 5)], [(0, 10), (15, 35)], 10),
    ):
        starts, lengths = zip(*skips, strict=True)
        raw.set_annotations(mne.Annotations(starts, lengths, ["BAD_ACQ_SKIP"] * len(skips)))
        raw.save(tmp_path / "a_raw.fif", overwrite=True, verbose="error")
        assert [s[:2] for s in open_signals(tmp_path / "a_raw.fif").segments] == segments
        for start, seconds in segments:
            held = read_signals(tmp_path / "a_raw.fif", start, start + seconds, (EEG, GSR)).samples[1]
            assert held == pytest.approx(1 + first_s + start + np.arange(seconds * HZ) / HZ, abs=1e-4)


def test_predict_takes_a_part_of_a_paused_recording_and_refuses_the_whole(tmp_path):
    write_paused(tmp_path / "a.edf")
    whole = open_recording([tmp_path / "a.edf"], (EEG, GSR), 128.0, 3.0)
    with pytest.raises(BadRecording, match=r"a pause from 40.00 to 100.00 s. --times.start_s and"):
        whole.inspect(whole.recording)
    for times, start, level, message in (
        (Times(start_s=110, stop_s=120), 110, 108.5, ""),
        (Times(start_s=110, stop_s=120, baseline_start_s=20), 110, 21.5, ""),
        (Times(start_s=110, stop_s=120, baseline_start_s=39), 110, 39.5, "baseline: a.edf has 1.00 of the 3 s"),
        (Times(start_s=101, stop_s=120), 101, 102.5, "baseline: a.edf has no 3 s right before 101 s"),
        (Times(stop_s=40), 0, 1.5, ""),
    ):
        made = open_recording([tmp_path / "a.edf"], (EEG, GSR), 128.0, 3.0, times)
        recording = made.inspect(made.recording)
        cleaned = preprocess(made.signals(recording), PrepareConfig(filter=False), 128.0, 3.0)
        assert cleaned.x[1, cleaned.onset] == pytest.approx(start - level, abs=0.02)
        assert any(f.startswith("baseline") for f in recording.warnings) == bool(message)
        assert not message or any(message in f for f in recording.warnings)


def test_a_fif_that_begins_with_another_sample_is_one_segment_whatever_its_annotations(tmp_path):
    info = mne.create_info(["Fp1", "EDA"], HZ, ["eeg", "misc"])
    raw = mne.io.RawArray(
        np.stack([noise(60 * HZ) * 1e-6, np.arange(60 * HZ) / HZ]), info, first_samp=1000, verbose="error"
    )
    raw.set_annotations(mne.Annotations([10.0, 20.0], [1.0, 2.0], ["stimulus", "BAD blink"]))
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    assert open_signals(tmp_path / "a_raw.fif").segments == ((0.0, 60.0, 0.0, True),)
    got = read_signals(tmp_path / "a_raw.fif", 30, 40, (EEG, GSR))
    assert got.samples[1] == pytest.approx(30 + np.arange(10 * HZ) / HZ, abs=1e-5)


@pytest.mark.journey
def test_live_plays_a_paused_file_at_its_true_times(tmp_path):
    from gbvnet.config import LiveSources
    from gbvnet.inference.streaming.live_inputs import replay_file

    starts = [r if r < 40 else r + 60 for r in range(120)]
    x, slow = noise(120 * 256), clock_of(*PARTS, hz=4)
    write_edf(tmp_path / "a.edf", {"EDA": (4, slow, "uS"), "Fp1": (256, x, "uV")}, onsets=starts, kind="D")
    file = replay_file(tmp_path / "a.edf", LiveSources(), (EEG, GSR))
    assert file[2:] == (256, 0, 180, ["a.edf has a pause from 40.00 to 100.00 s"])
    *events, end = file.events
    assert end.ended and not any(event.ended for event in events)
    times = np.concatenate([event.time_s + np.arange(event.chunk.shape[1]) / 256 for event in events])
    held = np.concatenate([event.chunk[1] for event in events])
    inside = (abs(times - 40) > 1) & (abs(times - 100) > 1) & (times > 1) & (times < 179)
    assert held[inside] == pytest.approx(times[inside], abs=0.02)
