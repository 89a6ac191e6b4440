"""Several signal files of one recording on the clock of the first. Slow channels hold their own time, so that each
window says which second it holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.signal import resample

from gbvnet.config import LiveSources, PrepareConfig, Times
from gbvnet.datasets import open_corpus
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.duplicates import same_bytes
from gbvnet.datasets.formats import signal_file
from gbvnet.datasets.formats.signal_file import TextProperties, read_signals
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.recording_files import moved, open_files
from gbvnet.datasets.signal_sources import SignalSource
from gbvnet.datasets.single_recording import open_recording
from gbvnet.datasets.table_template import write_template
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.inference.streaming.live_inputs import replay_file
from gbvnet.preprocessing.signals import preprocess
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from ..timed_signals import write_csv, write_edf

EEG, EDA, TEMP = Channel("Fp1", "eeg"), Channel("EDA", "gsr"), Channel("TEMP", "temp")
PLAIN = PrepareConfig(faces=False, filter=False, baseline="none")
HZ = 128


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(0, 20, n)


def write_eeg(path, seconds=120, hz=256):
    """Fp1 in noise, and CLOCK, which holds the file's time."""
    x = {"Fp1": (hz, noise(seconds * hz), "uV"), "CLOCK": (hz, np.arange(seconds * hz) / hz, "uS")}
    write_edf(path, x)
    return x["Fp1"][1]


def write_wrist(path, hz=4, start=0.0, seconds=120, offset=0.0, **more):
    """EDA, which holds the time on the first file's clock, in a file on a clock of its own."""
    clock = start + np.arange(round(seconds * hz)) / hz
    write_csv(path, {"EDA": clock + offset} | {k: np.full(len(clock), v) for k, v in more.items()}, hz, start)


def in_yaml(folder, *rows, **settings):
    rows = [{"subject": "anna", "trial": str(k), "valence": 7} | row for k, row in enumerate(rows, 1)]
    text = yaml.safe_dump({"channels": {"Fp1": "eeg", "EDA": "gsr"}} | settings | {"recordings": rows}, sort_keys=False)
    (folder / "table.yaml").write_text(text)
    return open_corpus("table", folder)


def status(corpus):
    return {r.name: r for unit in check_corpus(corpus) for r in unit.recordings}


def prepared(corpus, folder, config=PLAIN):
    summary = prepare_store(corpus, folder, config)
    store = open_store(folder)
    windows = {
        name: store.read(rows.index.to_numpy(), faces=False)[2] for name, rows in store.windows.groupby("recording")
    }
    return summary, windows


@pytest.mark.journey
@pytest.mark.parametrize("hz", [4, 32, 51.2, 64, 128, 300])
@pytest.mark.parametrize("offset", [0.0, -3.2, 7.123, -1_700_000_000.4])
def test_windows_hold_the_seconds_of_the_first_files_clock(tmp_path, hz, offset):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv", hz, 5 - offset, 110, offset)
    (tmp_path / "table.yaml").write_text("channels: {Fp1: eeg, CLOCK: resp, EDA: gsr}\n")
    row = {"subject": "anna", "signals": f"eeg.edf + wrist.csv@{offset!r}"}
    rows = [row | {"trial": k, "start_s": a, "stop_s": a + 20} for k, a in ((1, 20), (2, 60.37))]
    pd.DataFrame(rows).to_csv(tmp_path / "recordings.csv", index=False)
    corpus = open_corpus("table", tmp_path)
    assert [r.error for r in status(corpus).values()] == [None, None]
    _, windows = prepared(corpus, tmp_path / "store")
    for name, start in (("anna_1", 20), ("anna_2", 60.37)):
        own, other = (np.concatenate(windows[name][:, c]) for c in (1, 2))
        times = start + np.arange(20 * HZ) / HZ
        assert own == pytest.approx(times, abs=0.5 / HZ + 0.004)
        assert other - own == pytest.approx(0, abs=0.005 + 0.01 / hz)  # far below a sample of either


@pytest.mark.journey
def test_the_channels_of_the_first_file_are_what_they_are_alone(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv")
    span = {"start_s": 30, "stop_s": 50}
    config = PrepareConfig(faces=False)
    both = in_yaml(tmp_path, span | {"signals": "eeg.edf + wrist.csv"})
    together = prepared(both, tmp_path / "a", config)[1]["anna_1"]
    alone = prepared(in_yaml(tmp_path, span | {"signals": "eeg.edf"}, channels={"Fp1": "eeg"}), tmp_path / "b", config)
    assert np.array_equal(together[:, 0], alone[1]["anna_1"][:, 0])


def test_a_moved_channel_is_the_signal_between_its_samples():
    """Against scipy's Fourier interpolation of a periodic signal."""
    x = resample(np.random.default_rng(0).normal(size=40), 400)  # nothing above a tenth of its rate
    fine = resample(x, 4000)
    for tenth in (1, 5, 9):
        assert moved(x, 3 + tenth / 10)[20:-20] == pytest.approx(fine[30 + tenth :: 10][20:-20], abs=0.004)
    assert np.array_equal(moved(x, 7.0), x[7:]) and moved(np.full(50, 33.0), 0.3) == pytest.approx(33.0, abs=1e-12)


def test_a_span_of_several_files_has_each_channel_at_its_own_rate_from_one_time_on(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv", 4, start=3.1, offset=-3.2)
    write_wrist(tmp_path / "skin.csv", 32, seconds=50, TEMP=33.0)
    sources = [SignalSource(tmp_path / "eeg.edf"), SignalSource(tmp_path / "wrist.csv", -3.2),
               SignalSource(tmp_path / "skin.csv", 0.01, prefix="skin_", rename=(("TEMP", "TEMP"),))]  # fmt: skip
    files = open_files(sources, TextProperties())
    assert [s[:2] for s in files.segments] == [pytest.approx((0.01, 50))]
    assert files.name == "eeg.edf + wrist.csv@-3.2 + skin.csv@0.01"
    got = files.read(20.3, 40, (TEMP, EEG, EDA, Channel("skin_EDA", "gsr")), margin_s=5)
    assert got.rates_hz == (32, 256, 4, 32) and got.rate_hz == 256
    assert got.start_s == pytest.approx(15.3, abs=0.5 / 256)
    for row, hz in zip(got.samples, got.rates_hz, strict=True):
        assert got.start_s + len(row) / hz >= 45 - 1 / hz and len(row) / hz == pytest.approx(got.seconds, abs=1 / hz)
    wrist, skin = got.samples[2], got.samples[3]
    assert wrist == pytest.approx(got.start_s + np.arange(len(wrist)) / 4, abs=0.002)
    assert skin == pytest.approx(got.start_s - 0.01 + np.arange(len(skin)) / 32, abs=0.002)
    assert got.samples[0] == pytest.approx(33.0)


@pytest.mark.journey
def test_a_file_that_does_not_hold_the_seconds_is_refused_by_its_name_and_on_its_own_clock(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "short.csv", seconds=40)
    write_wrist(tmp_path / "late.csv", start=100, seconds=70)  # seconds 25 to 95 of the first file
    rows = [{"signals": f"eeg.edf + {file}", "start_s": a, "stop_s": b}
            for file, a, b in (("short.csv", 30, 45), ("late.csv@-75", 10, 20), ("late.csv@-75", 26, 29),
                               ("short.csv", 21, 25), ("late.csv@-75", 50, 60))]  # fmt: skip
    rows[2]["subject"], rows[3]["subject"] = "bert", "carl"
    corpus = in_yaml(tmp_path, *rows)
    by_name = {name: r.error for name, r in status(corpus).items()}
    assert "short.csv: expected signals from 30.00 to 45.00 s, found a file that begins at 0.00 s" in by_name["anna_1"]
    assert "late.csv: expected signals from 85.00 to 95.00 s, found a file that begins at 100.00" in by_name["anna_2"]
    assert "late.csv's own clock: -75 s gives the first file's" in by_name["anna_2"]
    assert "late.csv: expected signals from 98.00 to 101.00 s" in by_name["bert_3"]
    assert "This is the baseline" in by_name["bert_3"]
    assert by_name["carl_4"] is None and by_name["anna_5"] is None


@pytest.mark.journey
def test_a_channel_of_two_files_is_refused_with_both_unless_one_is_renamed(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "left.csv")
    write_wrist(tmp_path / "right.csv", 32)
    span = {"start_s": 30, "stop_s": 50}
    row = span | {"signals": "eeg.edf + left.csv + right.csv"}
    error = status(in_yaml(tmp_path, row))["anna_1"].error
    for part in (
        "channel EDA in one of the files",
        "EDA in ",
        "left.csv and EDA in ",
        "right.csv",
        "rename: {EDA: NAME}",
    ):
        assert part in error
    for more, kinds in (
        ({"prefix": "right_"}, {"Fp1": "eeg", "EDA": "gsr", "right_EDA": "gsr"}),
        ({"rename": {"EDA": "EDA2"}}, {"Fp1": "eeg", "EDA": "gsr", "EDA2": "gsr"}),
    ):
        row = span | {"signals": ["eeg.edf", "left.csv", {"file": "right.csv"} | more]}
        corpus = in_yaml(tmp_path, row, channels=kinds)
        assert status(corpus)["anna_1"].error is None
        assert corpus.signals(corpus.recordings("anna")[0]).rates_hz == (256, 4, 32)
    corpus = in_yaml(tmp_path, row, channels={})  # by their names alone
    assert {c.name: c.kind for c in corpus.channels} == {"Fp1": "eeg", "EDA": "gsr", "EDA2": "gsr"}
    only = in_yaml(tmp_path, span | {"signals": "eeg.edf + left.csv + right.csv"}, channels={"Fp1": "eeg"})
    assert status(only)["anna_1"].error is None  # the doubles are not used


@pytest.mark.journey
def test_each_file_has_a_rate_and_a_unit_of_its_own(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    pd.DataFrame({"EDA": np.arange(120 * 4) / 4, "TEMP": 91.4}).to_csv(tmp_path / "wrist.csv", index=False)
    row = {"start_s": 30, "stop_s": 50}
    kinds = {"Fp1": "eeg", "EDA": "gsr", "TEMP": "temp"}
    wrist = {"file": "wrist.csv", "rate_hz": 4, "unit": "nS"}
    corpus = in_yaml(tmp_path, row | {"signals": ["eeg.edf", wrist]}, channels=kinds)
    warnings = corpus.inspect(corpus.recordings("anna")[0]).warnings
    assert any("TEMP has no unit" in w for w in warnings) and not any("EDA" in w and "unit" in w for w in warnings)
    got = corpus.signals(corpus.recordings("anna")[0])
    assert got.rates_hz == (256, 4, 4) and got.samples[1].mean() * 1e3 == pytest.approx(40, abs=8)  # nS -> uS
    corpus = in_yaml(tmp_path, row | {"signals": ["eeg.edf", {"file": "wrist.csv"}]}, channels=kinds)
    assert "wrist.csv: expected a column time, found none" in status(corpus)["anna_1"].error


@pytest.mark.journey
def test_a_change_of_any_file_or_offset_is_noticed(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv")
    row = {"start_s": 30, "stop_s": 50, "signals": "eeg.edf + wrist.csv"}
    config = PrepareConfig(faces=False)
    assert prepare_store(in_yaml(tmp_path, row), tmp_path / "store", config).n_prepared == 1
    assert prepare_store(in_yaml(tmp_path, row), tmp_path / "store", config).n_reused == 1
    assert open_store(tmp_path / "store").recordings["signals"].tolist() == ["eeg.edf + wrist.csv"]
    row["signals"] = "eeg.edf + wrist.csv@-3"
    assert prepare_store(in_yaml(tmp_path, row), tmp_path / "store", config).n_prepared == 1
    write_wrist(tmp_path / "wrist.csv", seconds=119)
    assert prepare_store(in_yaml(tmp_path, row), tmp_path / "store", config).n_prepared == 1
    assert open_store(tmp_path / "store").recordings["signals"].tolist() == ["eeg.edf + wrist.csv@-3"]


@pytest.mark.journey
def test_trials_share_no_seconds_of_any_file_and_copies_are_reported(tmp_path):
    write_eeg(tmp_path / "a.edf")
    write_edf(tmp_path / "b.edf", {"Fp1": (256, noise(256 * 120, 1), "uV")})
    write_wrist(tmp_path / "wrist.csv", seconds=300)
    rows = [{"signals": f"{eeg}.edf + wrist.csv@{offset}", "start_s": 30, "stop_s": 50}
            for eeg, offset in (("a", 0), ("b", -15))]  # fmt: skip
    assert ["seconds of wrist.csv that" in r.error for r in status(in_yaml(tmp_path, *rows)).values()] == [True, True]
    rows[1]["signals"] = "b.edf + wrist.csv@-20"
    assert [r.error for r in status(in_yaml(tmp_path, *rows)).values()] == [None, None]
    (tmp_path / "copy.csv").write_bytes((tmp_path / "wrist.csv").read_bytes())
    rows[1]["signals"] = "b.edf + copy.csv@-20"
    corpus = in_yaml(tmp_path, *rows)
    assert any("copy.csv and wrist.csv hold the same bytes" in n for n in same_bytes(corpus.recordings("anna")))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ("eeg.edf + lost.csv@-3", "line 5 .*expected the file in column signals, found no .*lost.csv"),
        ("eeg.edf@3 + wrist.csv", "expected no offset of the first signal file"),
        ("eeg.edf + wrist.csv@soon", "expected a number of seconds behind the @ of wrist.csv, found 'soon'"),
        ([{"file": "eeg.edf", "gain": 2}], "known keys of a signal file, found 'gain'"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line_and_no_other(tmp_path, signals, message):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv")
    good = {"start_s": 60, "stop_s": 70, "signals": "eeg.edf + wrist.csv"}
    by_name = status(in_yaml(tmp_path, {"start_s": 30, "stop_s": 50, "signals": signals}, good))
    assert by_name["anna_2"].error is None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(by_name["anna_1"].error)


@pytest.mark.journey
def test_text_files_of_a_recording_are_parsed_once_for_all_trials(tmp_path, monkeypatch):
    write_csv(tmp_path / "eeg.csv", {"Fp1": noise(HZ * 120)}, HZ)
    write_wrist(tmp_path / "wrist.csv")
    rows = [{"signals": "eeg.csv + wrist.csv", "start_s": 10 + 5 * k, "stop_s": 14 + 5 * k} for k in range(8)]
    corpus, read = in_yaml(tmp_path, *rows), []
    table = signal_file.read_text_table
    monkeypatch.setattr(signal_file, "read_text_table", lambda p, **k: read.append((p.name, *k)) or table(p, **k))
    assert not any(r.error for r in status(corpus).values())
    assert sorted(name for name, *k in read if not k) == ["eeg.csv", "wrist.csv"]


# ---------------------------------------------------------------- predict


@pytest.mark.journey
def test_a_recording_of_several_files_is_read_as_in_a_table(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv", 32, start=100, seconds=70, offset=-75)
    row = {"start_s": 40, "stop_s": 60, "signals": "eeg.edf + wrist.csv@-75"}
    corpus = in_yaml(tmp_path, row)
    wanted = preprocess(corpus.signals(corpus.recordings("anna")[0]), PLAIN, 128.0, 3.0)
    files = [tmp_path / "eeg.edf", tmp_path / "wrist.csv@-75"]
    made = open_recording(files, (EEG, EDA), 128.0, 3.0, Times(start_s=40, stop_s=60))
    recording = made.inspect(made.recording)
    assert recording.seconds == 20
    got = preprocess(made.signals(recording), PLAIN, 128.0, 3.0)
    n = 20 * HZ
    assert got.x[:, got.onset :][:, :n] == pytest.approx(wanted.x[:, wanted.onset :][:, :n], abs=0.02)
    assert got.baseline == pytest.approx(wanted.baseline, abs=0.02)
    whole = open_recording(files, (EEG, EDA), 128.0, 3.0)
    recording = whole.inspect(whole.recording)
    assert recording.seconds == 70  # from 25 to 95 s, what both have
    assert "wrist.csv begins at 25.00 s of the clock of eeg.edf: that is second 0 here" in recording.warnings
    got = preprocess(whole.signals(recording), PLAIN, 128.0, 3.0)
    assert got.x[1, got.onset] == pytest.approx(25, abs=0.05)
    part = open_recording(files, (EEG, EDA), 128.0, 3.0, Times(start_s=50, stop_s=60, baseline_start_s=26))
    cleaned = preprocess(part.signals(part.inspect(part.recording)), PrepareConfig(filter=False), 128.0, 3.0)
    assert cleaned.x[1, cleaned.onset] == pytest.approx(50 - 27.5, abs=0.02)


def test_a_channel_of_two_files_is_chosen_by_its_file(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "left.csv")
    write_wrist(tmp_path / "right.csv", 32)
    files = [tmp_path / name for name in ("eeg.edf", "left.csv", "right.csv")]
    with pytest.raises(BadRecording, match=r"channel EDA in one of the files, .*--rename EDA=right.csv:EDA"):
        open_recording(files, (EEG, EDA), 128.0, 3.0)
    made = open_recording(files, (EEG, EDA), 128.0, 3.0, rename={"EDA": "right.csv:EDA"})
    assert made.signals(made.inspect(made.recording)).rates_hz == (256, 32)
    with pytest.raises(BadRecording, match=r"expected channel TEMP, found Fp1, CLOCK, .*--rename"):
        open_recording(files, (EEG, TEMP), 128.0, 3.0)


def test_files_that_cannot_be_one_recording_are_refused(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv", start=1.7e9)
    made = open_recording([tmp_path / "eeg.edf", tmp_path / "wrist.csv"], (EEG, EDA), 128.0, 3.0)
    with pytest.raises(BadRecording, match=r"signal files that share seconds, found eeg.edf from 0.00 to 120.00 s, wr"):
        made.inspect(made.recording)
    with pytest.raises(BadRecording, match="no offset of the first signal file"):
        open_recording([tmp_path / "eeg.edf@3", tmp_path / "wrist.csv"], (EEG, EDA), 128.0, 3.0)
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises((BadConfig, BadRecording)):
        open_recording([tmp_path / "film.mp4@3"], (), 128.0, 3.0)


def test_one_file_gives_what_it_always_gave(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    one = read_signals(tmp_path / "eeg.edf", 20.3, 40, (EEG,), margin_s=5)
    same = open_files([SignalSource(tmp_path / "eeg.edf")], TextProperties()).read(20.3, 40, (EEG,), margin_s=5)
    assert np.array_equal(one.samples, same.samples) and one[1:] == same[1:]


@pytest.mark.journey
def test_live_replays_several_files_on_the_clock_of_the_first(tmp_path):
    write_eeg(tmp_path / "eeg.edf")
    write_wrist(tmp_path / "wrist.csv", 32, start=100, seconds=70, offset=-75)
    both = Path(f"{tmp_path / 'eeg.edf'} + {tmp_path / 'wrist.csv'}@-75")
    made = replay_file(both, LiveSources(signals=both), (EEG, EDA))
    assert made[2:5] == (256, 25, 95) and made.name == "eeg.edf + wrist.csv@-75"
    *events, end = made.events
    assert end.ended == "signals"
    times = np.concatenate([event.time_s + np.arange(event.chunk.shape[1]) / 256 for event in events])
    held = np.concatenate([event.chunk[1] for event in events])
    assert held[256:-256] == pytest.approx(times[256:-256], abs=0.02)
    with pytest.raises(BadConfig, match="one stream only"):
        LiveSources(lsl="BioSemi + Shimmer")


@pytest.mark.journey
def test_the_rows_that_a_template_shows_can_be_read(tmp_path):
    """`gbvnet table init` writes them as comments into table.yaml, and the short form into recordings.csv."""
    write_eeg(tmp_path / "eeg.edf")
    for name in ("left.csv", "right.csv"):
        pd.DataFrame({"EDA": np.arange(480) / 4}).to_csv(tmp_path / name, index=False)
    table, _ = write_template(tmp_path)
    assert "eeg.edf + wrist.csv@-3.2" in table.read_text()
    text = (tmp_path / "table.yaml").read_text().replace("signals_rate_hz: null", "signals_rate_hz: 4")
    shown = text[text.index("# recordings:") : text.index("# The columns that are labels")].replace("# ", "")
    kinds = "channels: {Fp1: eeg, left_EDA: gsr, right_EDA: gsr}\n"
    (tmp_path / "mine.yaml").write_text(kinds + "signals_rate_hz: 4\n" + shown)
    corpus = open_corpus("table", tmp_path / "mine.yaml")
    assert [r.error for r in status(corpus).values()] == [None]
    got = corpus.signals(corpus.recordings("anna")[0])
    assert [c.name for c in got.channels] == ["Fp1", "left_EDA", "right_EDA"] and got.rates_hz == (256, 4, 4)
