"""One recording in the format of every device gives the same windows, in a table, in predict and in a replay."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from gbvnet.config import LiveSources, PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.datasets.formats.device_files import open_device
from gbvnet.datasets.formats.signal_file import TextProperties
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.recording_files import open_files
from gbvnet.datasets.single_recording import open_recording
from gbvnet.datasets.table_template import write_template
from gbvnet.inference.streaming.live_inputs import replay_file
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from .. import device_writers as write
from ..timed_signals import write_csv

HZ = 32
PLAIN = PrepareConfig(filter=False, baseline="none", faces=False)
# Where a format holds a planted signal: name, kind and the level that the device adds, in stored units.
DIALECTS = {
    "e4": (lambda p: write.write_empatica(p), {"EDA": ("gsr", write.eda, 1, 0), "BVP": ("ppg", write.pulse, 1, 0)}),
    "e4.zip": (
        lambda p: write.write_empatica_zip(p), {"EDA": ("gsr", write.eda, 1, 0), "BVP": ("ppg", write.pulse, 1, 0)},
    ),
    "shimmer.csv": (
        write.write_shimmer,
        {"GSR_Skin_Conductance": ("gsr", write.eda, 1, 0), "PPG_A13": ("ppg", write.pulse, 1e3, 1.5e6)},
    ),
    "openbci.txt": (
        write.write_openbci,
        {"EXG Channel 0": ("eeg", write.eeg, 1, 0), "EXG Channel 1": ("ppg", write.pulse, 1, 0)},
    ),
    "older.txt": (
        write.write_older_openbci,
        {"EXG Channel 0": ("eeg", write.eeg, 1, 0), "EXG Channel 1": ("ppg", write.pulse, 1, 0)},
    ),
    "muse.csv": (
        write.write_mind_monitor, {"AF7": ("eeg", write.eeg, 1, 800), "PPG_IR": ("ppg", write.pulse, 1, 9000)},
    ),
    "emotiv.csv": (
        write.write_emotiv, {"AF3": ("eeg", write.eeg, 1, 4200), "T7": ("eeg", write.pulse, 1, 4200)},
    ),
    "xavier.csv": (
        write.write_xavier, {"AF3": ("eeg", write.eeg, 1, 4200), "T7": ("eeg", write.pulse, 1, 4200)},
    ),
    "biopac.acq": (
        lambda p: p.write_bytes(write.acq_bytes()),
        {"EDA": ("gsr", write.eda, 1, 0), "PPG100C": ("ppg", write.pulse, 1e6, 0), "Fp1": ("eeg", write.eeg, 1, 0)},
    ),
}  # fmt: skip


def table(folder, signals, channels, more="", start=(10, 40)):
    head = "subject,trial,signals,start_s,stop_s,valence" + (",recording_start_utc" if more else "")
    line = f"anna,1,{signals},{start[0]},{start[1]},7" + (f",{more}" if more else "")
    (folder / "recordings.csv").write_text(f"{head}\n{line}\n")
    kinds = "".join(f'  "{name}": {kind}\n' for name, kind in channels.items())
    (folder / "table.yaml").write_text(f"rate_hz: {HZ}\nbaseline_s: 0\nchannels:\n{kinds}")
    return open_corpus("table", folder)


def windows(folder, corpus):
    """The windows of the one recording of a corpus, (W, C, L), and its warnings."""
    summary = prepare_store(corpus, folder / "store", PLAIN)
    assert summary.n_prepared == 1, summary
    store = open_store(folder / "store")
    [recording] = corpus.recordings("anna")
    return store.read(np.arange(len(store)), faces=False)[2], corpus.inspect(recording).warnings


def standard(folder, signals):
    """The windows of the same signals in a plain table of 1000 Hz: name -> (W, L)."""
    t = write.times(1000)
    write_csv(folder / "standard.csv", {name: signal(t) for name, signal in signals.items()}, 1000)
    corpus = table(folder, "standard.csv", dict.fromkeys(signals, "ppg"))
    return dict(zip(signals, windows(folder, corpus)[0].transpose(1, 0, 2), strict=True))


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return standard(tmp_path_factory.mktemp("truth"), {"eda": write.eda, "pulse": write.pulse, "eeg": write.eeg})


@pytest.mark.journey
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_same_windows(name, truth, tmp_path):
    if name.endswith(".acq"):
        pytest.importorskip("bioread")
    writer, channels = DIALECTS[name]
    writer(tmp_path / name)
    corpus = table(tmp_path, name, {channel: kind for channel, (kind, *_) in channels.items()})
    made, _ = windows(tmp_path, corpus)
    assert made.shape == (30, len(channels), HZ)
    for k, (channel, (_, signal, scale, level)) in enumerate(channels.items()):
        expected = truth[signal.__name__]
        own = (made[:, k] - level) / scale
        # 0.02 uS of 1 uS, as 4 Hz round the onset of the response; 0.5 uV of blinks and pulses of 150 and 70 uV
        allowed = 0.02 if signal is write.eda else 0.5
        difference = np.abs(own - expected)
        assert np.quantile(difference, 0.99) < allowed, channel
        assert np.corrcoef(own.ravel(), expected.ravel())[0, 1] > 0.9999, channel


@pytest.mark.journey
@pytest.mark.parametrize("name", ["e4", "shimmer.csv", "muse.csv"])
def test_planted_events_are_in_the_windows_in_which_they_happened(name, tmp_path):
    writer, channels = DIALECTS[name]
    writer(tmp_path / name)
    corpus = table(tmp_path, name, {channel: kind for channel, (kind, *_) in channels.items()})
    made, _ = windows(tmp_path, corpus)
    if "AF7" in channels:
        peaks = np.ptp(made[:, 0], axis=1)
        assert set(np.argsort(peaks)[-2:]) <= {0, 19, 20}  # the blinks at 10 and 30 s lie on edges of windows
    else:
        rise = np.diff(made[:, 0].mean(axis=1))
        assert np.argmax(rise) in (9, 10)  # the conductance rises most in the second after 20 s
    if name != "muse.csv":
        spectrum = np.abs(np.fft.rfft(np.concatenate(made[:, 1]) - made[:, 1].mean()))
        assert np.fft.rfftfreq(30 * HZ, 1 / HZ)[np.argmax(spectrum)] * 60 == pytest.approx(72)


@pytest.mark.journey
@pytest.mark.parametrize("utc", ["2023-11-14T22:13:10Z", "2023-11-14T23:13:10+01:00", "1699999990"])
def test_a_device_that_knows_its_start_is_placed_by_that_of_the_recording(utc, tmp_path):
    """The recording began 10 s before the wristband: seconds 20 to 50 of the row are 10 to 40 of the wristband."""
    write.write_empatica(tmp_path / "e4")
    plain = windows(tmp_path, table(tmp_path, "e4", {"EDA": "gsr", "BVP": "ppg"}))[0]
    (tmp_path / "other").mkdir()
    write.write_empatica(tmp_path / "other" / "e4")
    corpus = table(tmp_path / "other", "e4", {"EDA": "gsr", "BVP": "ppg"}, utc, (20, 50))
    assert np.abs(windows(tmp_path / "other", corpus)[0] - plain).max() < 1e-4


@pytest.mark.journey
def test_a_device_beside_an_eeg_is_placed_by_its_own_clock_or_by_an_offset(tmp_path):
    t = write.times(256)
    write_csv(tmp_path / "eeg.csv", {"Fp1": write.eeg(t)}, 256)
    write.write_empatica(tmp_path / "e4", write.empatica_files(start=write.START - 5))
    channels = {"Fp1": "eeg", "EDA": "gsr"}
    by_clock = windows(tmp_path, table(tmp_path, "eeg.csv + e4", channels, "2023-11-14T22:13:20Z", (10, 40)))[0]
    (tmp_path / "store").rename(tmp_path / "store 1")
    by_offset = windows(tmp_path, table(tmp_path, "eeg.csv + e4@-5", channels))[0]
    assert np.abs(by_clock - by_offset).max() < 1e-5


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "utc", "message"),
    [
        ("muse.csv", "2023-11-14T22:13:20Z", "found the local time 2023-11-14 22:13:20.* without a zone. Leave"),
        ("e4", "2023-11-14T22:13:20", "a date with a time zone in recording_start_utc, .* found '2023-11-14T22:13:20'"),
        ("e4", "2023-11-14T12:13:20Z", "signals from .* found a file that begins at"),
    ],
)
def test_a_start_that_cannot_be_used_is_refused(name, utc, message, tmp_path):
    writer, channels = DIALECTS[name]
    writer(tmp_path / name)
    corpus = table(tmp_path, name, {channel: kind for channel, (kind, *_) in channels.items()}, utc)
    [recording] = corpus.recordings("anna")
    text = recording.error
    if text is None:
        with pytest.raises(Exception, match=message):
            corpus.inspect(recording)
    else:
        assert re.search(message, text)


@pytest.mark.parametrize(
    ("cell", "offset_s"), [("eeg.csv + e4@0", 0.0), ("eeg.csv + e4@1.5", 1.5), ("eeg.csv + e4", -2.0)]
)
def test_an_offset_that_is_given_goes_before_the_start_of_the_recording_and_0_is_one(cell, offset_s, tmp_path):
    write.write_empatica(tmp_path / "e4")
    write_csv(tmp_path / "eeg.csv", {"Fp1": np.zeros(60 * HZ)}, HZ)
    began = datetime.fromtimestamp(open_device(tmp_path / "e4").start_unix_s + 2, UTC).isoformat()
    [recording] = table(tmp_path, cell, {"Fp1": "eeg", "EDA": "gsr"}, began).recordings("anna")
    assert open_files(recording.sources, TextProperties()).sources[1].offset_s == offset_s


@pytest.mark.journey
def test_trials_of_one_wristband_with_starts_of_their_own_do_not_overlap(tmp_path):
    write.write_empatica(tmp_path / "e4")
    (tmp_path / "recordings.csv").write_text(
        "subject,trial,signals,start_s,stop_s,recording_start_utc\n"
        "anna,1,e4,0,20,2023-11-14T22:13:20Z\nanna,2,e4,0,20,2023-11-14T22:13:40Z\nanna,3,e4,0,20,2023-11-14T22:13:50Z\n"
    )
    (tmp_path / "table.yaml").write_text("baseline_s: 0\n")
    one, two, three = open_corpus("table", tmp_path).recordings("anna")
    assert one.error is None and "trials that do not overlap" in two.error and "anna_2" in three.error


@pytest.mark.journey
def test_notes_on_lost_samples_and_events_reach_the_user(tmp_path):
    write.write_openbci(tmp_path / "a.txt", lost=(5000, 5001))
    _, warnings = windows(tmp_path, table(tmp_path, "a.txt", {"EXG Channel 0": "eeg"}))
    assert any("a.txt: 2 of 15000 samples are lost (0.013 %), in 1 places, by Sample Index" in w for w in warnings)


@pytest.mark.journey
def test_table_init_lists_devices(tmp_path):
    write.write_empatica(tmp_path / "anna" / "wrist")
    (tmp_path / "ben").mkdir()
    write.write_empatica_zip(tmp_path / "ben" / "E4.zip")
    write.write_shimmer(tmp_path / "ben" / "gsr.csv")
    write.write_openbci(tmp_path / "cara_1_eeg.txt")
    (tmp_path / "dan.acq").write_bytes(write.acq_bytes()[:5000])
    (tmp_path / "questions.csv").write_text("mood,key\n1,2\n")
    path, n = write_template(tmp_path)
    lines = path.read_text().splitlines()
    rows = [line for line in lines if not line.startswith(("#", "subject"))]
    assert n == 4 and rows == [
        "anna,01,,,anna/wrist,,,,,,", "ben,01,,,ben/E4.zip,,,,,,", "ben,02,,,ben/gsr.csv,,,,,,",
        "cara,01,,,cara_1_eeg.txt,,,,,,",
    ]  # fmt: skip
    assert [line for line in lines if line.startswith("# Not taken")] == [
        line for line in lines if "dan.acq: expected" in line or "questions.csv: no column" in line
    ]
    settings = (tmp_path / "table.yaml").read_text()
    assert "  EDA: gsr\n  TEMP: temp\n  BVP: ppg\n" in settings and '  # "ACC_x": which kind?' in settings


@pytest.mark.journey
@pytest.mark.parametrize("name", ["e4", "e4.zip", "shimmer.csv", "muse.csv"])
def test_predict_and_live_read_what_a_table_reads(name, tmp_path):
    writer, channels = DIALECTS[name]
    writer(tmp_path / name)
    wanted = tuple(Channel(channel, kind) for channel, (kind, *_) in channels.items())
    corpus = open_recording([tmp_path / name], wanted, HZ, 3.0)
    recording = corpus.inspect(corpus.recordings(corpus.units[0])[0])
    assert recording.seconds == pytest.approx(60, abs=0.1)
    signals = corpus.signals(recording)
    replayed = replay_file(tmp_path / name, LiveSources(), wanted)
    assert replayed.begin_s == 0 and replayed.end_s == pytest.approx(60, abs=0.1)
    chunks = [event.chunk for event in replayed.events if event.chunk is not None]
    n = sum(chunk.shape[1] for chunk in chunks)
    assert n == pytest.approx(60 * replayed.rate_hz, abs=replayed.rate_hz / 4)
    fastest = int(np.argmax(signals.rates_hz)) if signals.rates_hz else 0
    both = min(n, len(signals.samples[fastest])) - 400
    got = np.concatenate(chunks, axis=1)[fastest]
    assert got[400:both] == pytest.approx(signals.samples[fastest][400:both], rel=1e-3, abs=1e-3)


@pytest.mark.journey
def test_channels_are_renamed_for_predict(tmp_path):
    write.write_openbci(tmp_path / "a.txt")
    fp1 = (Channel("Fp1", "eeg"),)
    corpus = open_recording([tmp_path / "a.txt"], fp1, 128, 0.0, rename={"Fp1": "EXG Channel 0"})
    signals = corpus.signals(corpus.inspect(corpus.recordings("a")[0]))
    assert signals.samples[0] == pytest.approx(write.eeg(np.arange(signals.samples.shape[1]) / 250), abs=0.5)
