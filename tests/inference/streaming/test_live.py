"""Live sessions: sources are merged by time, the table is complete whenever it stops, missing devices are reported."""

import io
import itertools
import json
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from gbvnet.cli.live import run_live
from gbvnet.cli.main import main
from gbvnet.config import LiveSources
from gbvnet.errors import BadConfig, BadRecording, GbvnetError
from gbvnet.inference.model_outputs import model_outputs
from gbvnet.inference.streaming import emotion_stream as streams
from gbvnet.inference.streaming import live_inputs
from gbvnet.inference.streaming import sources as stream_sources
from gbvnet.inference.streaming.emotion_stream import EmotionStream
from gbvnet.inference.streaming.lsl import lsl_chunks, open_lsl
from gbvnet.inference.streaming.row_file import RowOutput, row_file
from gbvnet.inference.streaming.sources import Event, MergedSources, camera_frames, replay_samples
from gbvnet.inference.streaming.terminal_plot import TerminalPlot, bars, format_row

from ...stream_fixtures import DEVICE, RATE, RENAME, fake_landmarker, picture, signals, write_model

VALENCE = model_outputs({"targets": ["valence"]}, 1)
ROW = {"start_s": 3.0, "stop_s": 4.0, "valence": 0.25, "gate_face": math.nan, "gate_bio": 0.5, "face_ok": 0.8,
       "has_signals": True, "flags": "frames late"}  # fmt: skip


@pytest.fixture(autouse=True)
def faked(monkeypatch):
    monkeypatch.setattr(streams, "open_landmarker", fake_landmarker)
    monkeypatch.setattr(live_inputs, "VideoFile", FakeVideoFile)


class FakeVideoFile:
    """8 s of frames; the first is shown at `begin_s` of the file's clock."""

    begin_s = 0.0
    notes = ("the frame rate varies",)

    def __init__(self, path):
        self.path, self.end_s = path, self.begin_s + 8.0

    def __iter__(self):
        for k in range(80):
            yield Event(self.begin_s + k / 10, self.begin_s + k / 10, frame=picture(k))
        yield Event(self.end_s, self.end_s, ended="video", note="3 of 80 frames are damaged")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("live") / "model")


@pytest.fixture
def table(tmp_path):
    """8 s of signals as a device's program saves them."""
    return saved(tmp_path / "x.csv", signals(8))


def saved(file, x, begin_s=0.0):
    times = begin_s + np.arange(x.shape[1]) / RATE
    pd.DataFrame(np.column_stack([times, x.T]), columns=["time", *DEVICE]).to_csv(file, index=False)
    return file


def run(model, lines=None, out=None, overwrite=False, **options):
    names = ("video", "signals", "lsl", "fast", "running_s", "baseline_start_s", "video_offset_s")
    sources = {k: options.pop(k) for k in names if k in options}
    lines = [] if lines is None else lines
    output = RowOutput(out, overwrite) if out is not None else None
    rename = RENAME if {"signals", "lsl"} & set(sources) else None
    run_live(model, LiveSources(**sources), lines.append, device="cpu", rename=rename, output=output, **options)
    return lines


@pytest.mark.journey
def test_files_give_what_a_stream_fed_by_hand_gives(model, table, tmp_path):
    lines = run(model, video="film.mp4", signals=table, fast=True, out=tmp_path / "deep/o.csv")
    written = pd.read_csv(tmp_path / "deep/o.csv", keep_default_na=False)
    with EmotionStream(streams.Predictor(model, "cpu"), RATE, DEVICE, rename=RENAME) as stream:
        rows = []
        x = signals(8)
        for k in range(80):
            rows += stream.frame(picture(k), k / 10) + stream.samples(x[:, 20 * k : 20 * k + 20])
        rows += stream.finish()
    assert list(written.columns) == list(stream.columns)
    assert written["start_s"].tolist() == [3, 4, 5, 6, 7] == [row["start_s"] for row in rows]
    assert written["valence"].to_numpy() == pytest.approx([row["valence"] for row in rows], abs=1e-5)
    assert written["has_signals"].all() and (written["face_ok"] == 1).all()
    assert "note 3 of 80 frames are damaged" in lines
    about = json.loads((tmp_path / "deep/o.json").read_text())
    assert about["filters"] == "causal" and about["stamps"] == ["model trained on synthetic data"]
    assert about["video"] == "film.mp4" and about["signals"] == "x.csv"
    assert lines[:2] == ["note the frame rate varies", "note model trained on synthetic data"]
    assert "unseen subjects" in lines[2] and about["worth"] == lines[2].removeprefix("note ")
    assert about["messages"] == ["3 of 80 frames are damaged"] and "note 3 of 80 frames are damaged" in lines
    assert lines[-2].startswith("5 windows in ") and lines[-1] == str(tmp_path / "deep/o.csv")


@pytest.mark.journey
def test_real_time_is_kept_and_seconds_end_it(model, table):
    start = time.monotonic()
    lines = run(model, video="film.mp4", signals=table, seconds=2.2, running_s=0.5)
    assert 2.2 <= time.monotonic() - start < 10
    assert [line[:12] for line in lines[3:4]] == ["0.5 to 1.5 s"]
    assert "of its last frame or sample" in lines[-1]


@pytest.mark.journey
def test_ctrl_c_is_a_good_end_and_leaves_the_table_whole(model, table, tmp_path, monkeypatch):
    taken = EmotionStream.frame

    def interrupted(self, rgb, time_s):
        if time_s >= 6:
            raise KeyboardInterrupt
        return taken(self, rgb, time_s)

    monkeypatch.setattr(EmotionStream, "frame", interrupted)
    assert main(["live", str(model), "--video", "a.mp4", "--signals", str(table), "--fast", "--rename", "ECG=EKG",
                 "--out", str(tmp_path / "o.csv"), "--device", "cpu"]) == 0  # fmt: skip
    text = (tmp_path / "o.csv").read_text()
    assert text.endswith("\n")
    assert pd.read_csv(tmp_path / "o.csv")["start_s"].tolist() == [3, 4, 5]
    assert not [t for t in threading.enumerate() if t.name == "source"]


@pytest.mark.journey
def test_each_row_is_on_the_disk_before_the_next(model, table, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        "gbvnet.cli.live.format_row", lambda row, targets: lines.append((tmp_path / "o.csv").read_text().count("\n"))
    )
    run(model, video="a.mp4", signals=table, fast=True, out=tmp_path / "o.csv")
    assert lines == [2, 3, 4, 5, 6]


@pytest.mark.journey
@pytest.mark.parametrize("begin_s", [1000.0, 1_700_000_000.25, -30.0, 0.0])
def test_a_signal_file_may_begin_anywhere_on_its_clock(model, tmp_path, begin_s):
    file = saved(tmp_path / "late.csv", signals(8), begin_s)
    real_time = begin_s == 1000.0
    start = time.monotonic()
    lines = run(model, signals=file, fast=not real_time, seconds=1.8, running_s=0.5)
    assert time.monotonic() - start < 10
    rows = [line for line in lines if " s  valence" in line]
    assert [row.split()[0] for row in rows] == ["0.5"]  # in real time, after 1.6 s
    message = f"note late.csv begins at {begin_s:.2f} s of its clock: that is second 0 here"
    assert (message in lines) == (begin_s != 0)


@pytest.mark.journey
def test_the_same_rows_come_wherever_the_clocks_of_both_files_begin(model, tmp_path, monkeypatch):
    def rows(name, begin_s, **options):
        file = saved(tmp_path / f"{name}.csv", signals(8), begin_s)
        monkeypatch.setattr(FakeVideoFile, "begin_s", options.pop("film_s", begin_s))
        lines = run(model, video="a.mp4", signals=file, fast=True, out=tmp_path / f"{name}-rows.csv", **options)
        return pd.read_csv(tmp_path / f"{name}-rows.csv"), lines

    here, _ = rows("here", 0.0)
    for name, begin_s, options in (
        ("boot", 1000.0, {}), ("unix", 1.7e9, {"film_s": 0.0, "video_offset_s": -1.7e9}),
        ("stated", 1000.0, {"baseline_start_s": 1000.0}),
    ):  # fmt: skip
        there, lines = rows(name, begin_s, **options)
        pd.testing.assert_frame_equal(here, there, atol=1e-4, rtol=0)
        assert f"note {name}.csv begins at {begin_s:.2f} s of its clock: that is second 0 here" in lines
    with pytest.raises(BadRecording, match=r"shares seconds with apart.csv, which lasts from 1000.00 to 1008.00 s .*"
                       r"one that lasts from 0.00 to 8.00 s .*--video_offset_s .* -1000.00 if both begin"):  # fmt: skip
        rows("apart", 1000.0, film_s=0.0)
    with pytest.raises(BadConfig, match=r"baseline would last from 0 to 3 s .* lasts from 1000.00 to 1008.00 s"):
        rows("early", 1000.0, baseline_start_s=0.0)


@pytest.mark.journey
def test_a_video_that_begins_before_or_after_the_signals_is_moved_with_them(model, tmp_path, monkeypatch):
    file = saved(tmp_path / "x.csv", signals(8), 2.0)
    lines = run(model, video="a.mp4", signals=file, fast=True, out=tmp_path / "o.csv")
    assert "note the first 2.00 s of a.mp4 come before the signals begin, and are not used" in lines
    flags = pd.read_csv(tmp_path / "o.csv", keep_default_na=False).set_index("start_s")["flags"]
    assert flags.to_dict() == {3: "", 4: "", 5: "", 6: "video ended", 7: "video ended"}
    monkeypatch.setattr(FakeVideoFile, "begin_s", 6.5)
    lines = run(model, video="a.mp4", signals=file, fast=True, out=tmp_path / "p.csv")
    assert "note a.mp4 begins 4.50 s after the signals" in lines
    table = pd.read_csv(tmp_path / "p.csv").set_index("start_s")
    assert table["face_ok"].loc[3:5].tolist() == [0, 0.4, 1] and table["face_ok"].loc[11] == 1
    assert table["flags"].loc[8:].tolist() == ["signals ended"] * len(table.loc[8:])


@pytest.mark.journey
def test_a_video_that_begins_late_and_is_alone_begins_at_once(model, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeVideoFile, "begin_s", 40.0)
    lines = run(model, video="a.mp4", seconds=1.5)
    assert "note a.mp4 begins at 40.00 s of its clock: that is second 0 here" in lines
    assert any(line.startswith("0.0 to 1.0 s") for line in lines)


@pytest.mark.journey
@pytest.mark.parametrize("fast", [True, False])
def test_signals_that_ended_are_not_late(model, tmp_path, fast):
    file = saved(tmp_path / "short.csv", signals(2.0))
    lines = run(model, video="a.mp4", signals=file, fast=fast, seconds=None if fast else 2.8, running_s=0.5,
               out=tmp_path / "o.csv")  # fmt: skip
    flags = pd.read_csv(tmp_path / "o.csv", keep_default_na=False)["flags"].tolist()
    assert flags[0] == "" and set(flags[1:]) == {"signals ended"} and len(flags) == (7 if fast else 2)
    assert not any("late" in line for line in lines)


@pytest.mark.journey
def test_gates_are_empty_where_there_is_one_modality(model, tmp_path):
    file = saved(tmp_path / "short.csv", signals(4.5))
    run(model, video="a.mp4", signals=file, fast=True, running_s=0.5, out=tmp_path / "o.csv")
    gates = pd.read_csv(tmp_path / "o.csv")[["gate_face", "gate_bio"]].notna().to_numpy()
    assert gates[:4].all() and not gates[4:].any()


@pytest.mark.journey
@pytest.mark.parametrize("there", ["o.csv", "o.json", "both"])
def test_a_file_that_is_there_is_replaced_only_where_that_is_requested_for(model, table, tmp_path, there):
    names = ["o.csv", "o.json"] if there == "both" else [there]
    for name in names:
        (tmp_path / name).write_text("consent: signed")
    with pytest.raises(BadConfig, match=rf"{names[0]} exists.*--overwrite"):
        run(model, signals=table, fast=True, out=tmp_path / "o.csv")
    with pytest.raises(BadConfig, match="exists"), row_file(RowOutput(tmp_path / "o.csv"), None, {}, []):
        pass
    assert {p.name: p.read_text() for p in tmp_path.glob("o.*")} == dict.fromkeys(names, "consent: signed")
    run(model, signals=table, fast=True, out=tmp_path / "o.csv", overwrite=True)
    assert len(pd.read_csv(tmp_path / "o.csv")) == 5
    assert json.loads((tmp_path / "o.json").read_text())["signals"] == "x.csv"


def test_what_is_played_is_never_written_over(model, table, tmp_path):
    before = table.read_bytes()
    with pytest.raises(BadConfig, match=r"x.csv is an input file"):
        run(model, signals=table, fast=True, out=table, overwrite=True)
    with pytest.raises(BadConfig, match=r"ends in \.csv"):
        run(model, signals=table, fast=True, out=tmp_path / "o.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(BadConfig, match=r"folder.json is a folder"):
        run(model, signals=table, fast=True, out=tmp_path / "folder.csv", overwrite=True)
    assert table.read_bytes() == before


@pytest.mark.journey
def test_what_a_device_does_wrong_is_in_the_messages(model, tmp_path, monkeypatch):
    def slow(samples, rate_hz, begin_s):
        for k in range(160):
            yield Event(k * 0.0502, k * 0.0502 + 0.05, chunk=samples[:, 10 * k : 10 * k + 10])

    monkeypatch.setattr(live_inputs, "replay_samples", slow)
    lines = run(model, signals=saved(tmp_path / "x.csv", signals(8)), fast=True, out=tmp_path / "o.csv")
    message = "the device gives 199.2 Hz by its time stamps, not 200 Hz: its samples are placed by their time stamps"
    assert f"note {message}" in lines and json.loads((tmp_path / "o.json").read_text())["messages"] == [message]


@pytest.mark.journey
def test_what_cannot_begin_is_reported_with_a_remedy(model, table, tmp_path, monkeypatch, capsys):
    (tmp_path / "there.csv").write_text("dear\n")
    with pytest.raises(BadConfig, match="cannot be repeated"):
        run(model, video="a.mp4", signals=table, out=tmp_path / "there.csv")
    assert (tmp_path / "there.csv").read_text() == "dear\n"
    with pytest.raises(BadConfig, match="give one of them"):
        LiveSources(signals=table, lsl="x")
    with pytest.raises(BadConfig, match="--fast is for files"):
        LiveSources(video="0", fast=True)
    with pytest.raises(BadConfig, match="seconds must be above 0"):
        run(model, video="a.mp4", seconds=-1.0)
    with pytest.raises(BadRecording, match="none for ECG"):
        run_live(model, LiveSources(signals=table), print, device="cpu")
    for name in ("mne_lsl", "mne_lsl.lsl"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GbvnetError, match=r"pip install 'gbvnet\[live\]'"):
        run(model, lsl="amp")
    monkeypatch.setattr("cv2.VideoCapture", _Camera([], opened=False))
    assert main(["live", str(model), "--device", "cpu"]) == 2  # camera 0, as nothing was given
    message = capsys.readouterr().err
    assert "no camera 0" in message and "--video FILE" in message and message.count("\n") == 1


@pytest.mark.parametrize(
    ("sources", "rename", "message"),
    [
        ({"video": "a.mp4"}, RENAME, "--rename ECG=EKG: no signals are read"),
        ({"video": "a.mp4", "video_offset_s": 2.0}, {}, "--video_offset_s 2: it places a video file"),
        ({"video": "a.mp4", "lsl": "amp", "video_offset_s": 2.0}, {}, "--video_offset_s 2: it places a video file"),
        ({"video": "0", "signals": Path("x.csv"), "video_offset_s": 2.0}, {}, "--video_offset_s 2: it places a video"),
        ({"signals": Path("x.csv"), "video_offset_s": -2.0}, {}, "--video_offset_s -2: it places a video file"),
        ({"video": "a.mp4", "running_s": 3.0}, {}, "running_s 3: the stream has no signals"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused_first(model, sources, rename, message):
    with pytest.raises(BadConfig, match=message):
        run_live(model, LiveSources(**sources), print, device="cpu", rename=rename)


def test_a_model_without_a_baseline_takes_none(tmp_path):
    without = write_model(tmp_path / "model", baseline="none")
    with pytest.raises(BadConfig, match="running_s 3: the model was trained without a baseline"):
        run_live(without, LiveSources(signals=Path("x.csv"), running_s=3.0), print, device="cpu")


@pytest.mark.journey
def test_a_modality_that_the_model_does_not_see_is_not_read(tmp_path, table):
    face = write_model(tmp_path / "face", modality="face")
    lines = reported_lines(face, video="a.mp4", signals=table, fast=True)
    assert "note the model uses no signals: they are not read" in lines
    bio = write_model(tmp_path / "bio", modality="bio")
    lines = run(bio, video="a.mp4", signals=table, fast=True)
    assert "note the model uses no face: --video is not read" in lines


def reported_lines(model, **sources):
    lines = []
    run_live(model, LiveSources(**sources), lines.append, device="cpu")
    return lines


# --- feeds ---


class _Camera:
    """cv2's VideoCapture, with frames to give; None is a frame that did not come."""

    def __init__(self, frames, opened=True):
        self.frames, self.opened, self.released = iter(frames), opened, False

    def __call__(self, number):
        return self

    def isOpened(self):
        return self.opened

    def read(self):
        frame = next(self.frames, None)
        return frame is not None, frame

    def release(self):
        self.released = True


def test_a_camera_gives_rgb_and_ends_when_it_goes_away(monkeypatch):
    bgr = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    device = _Camera([bgr, None, bgr])
    monkeypatch.setattr("cv2.VideoCapture", device)
    monkeypatch.setattr(stream_sources, "TIMEOUT_S", 0.2)
    ticks = itertools.count()
    events = list(camera_frames(0, lambda: next(ticks) / 100))
    assert len(events) == 2 and np.array_equal(events[0].frame, bgr[:, :, [2, 1, 0]])
    assert events[0].time_s < events[1].time_s and device.released


def test_feeds_come_together_by_time():
    x = np.arange(200.0)[None]
    pictures = (Event(k / 10, k / 10, frame=picture(0)) for k in range(10))
    events = [a.event for a in MergedSources([replay_samples(x, 200, 0.0), pictures], None, None)]
    assert [e.ended for e in events if e.frame is None and e.chunk is None] == ["signals"]
    assert [e.due_s for e in events] == sorted(e.due_s for e in events)
    assert np.array_equal(np.concatenate([e.chunk for e in events if e.chunk is not None], axis=1), x)
    assert sum(e.frame is not None for e in events) == 10
    few = list(MergedSources([replay_samples(x, 200, 0.0)], None, 0.5))
    assert few[-1].event.due_s == pytest.approx(0.5)


def clock_from_now():
    start = time.monotonic()
    return lambda: time.monotonic() - start


@pytest.mark.journey
def test_frames_that_come_too_late_are_left_out_and_samples_never_are():
    frames = (Event(k / 1000, k / 1000, frame=picture(0)) for k in range(300))
    merged = MergedSources([frames, replay_samples(np.zeros((1, 300)), 1000)], clock_from_now(), None)
    received = []
    for arrived in merged:
        received.append(arrived)
        time.sleep(0.004)  # slower than they come
    got = sum(a.event.frame is not None for a in received)
    assert merged.dropped > 100 and got + merged.dropped == 300
    assert sum(a.event.chunk.shape[1] for a in received if a.event.chunk is not None) == 300


def test_no_event_comes_before_it_is_due():
    clock = clock_from_now()
    for arrived in MergedSources([replay_samples(np.zeros((1, 40)), 100)], clock, None):
        assert clock() >= arrived.event.due_s


def test_a_feed_that_breaks_breaks_the_whole_and_stops_the_others():
    def broken():
        yield Event(0.0, 0.0, frame=picture(0))
        raise BadRecording("x.avi", "a video", "none")

    before = threading.active_count()
    with pytest.raises(BadRecording):
        list(MergedSources([broken(), replay_samples(np.zeros((1, 10_000)), 10)], clock_from_now(), None))
    assert threading.active_count() == before


# --- curves ---


def test_bars_are_as_high_as_values():
    assert bars([0.0, 0.5, 1.0, math.nan], 1) == ["▁▄█·"]
    assert bars([0.25, 0.75, math.nan], 2) == [" ▄ ", "▄█·"]
    assert bars([-1.0, 2.0], 1) == ["▁█"]


def test_curves_show_the_last_rows_and_the_stamp():
    curves = TerminalPlot(VALENCE, "model", "synthetic data", width=5)
    assert "─────" in drawn(curves)
    for k in range(8):
        curves.add(ROW | {"valence": k / 10}, "12 ms")
    text = drawn(curves)
    assert "synthetic data" in text and "0.70" in text and "frames late" in text and "12 ms" in text
    assert "gate_bio" in text and "gate_face" not in text  # which has no value in any row


def drawn(curves, width=40):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(curves)
    return console.export_text()


@pytest.mark.journey
def test_a_terminal_shows_curves_with_what_they_are(model, table, monkeypatch):
    shown = Console(width=90, force_terminal=True, file=io.StringIO(), record=True)
    monkeypatch.setattr("gbvnet.cli.live.Console", lambda: shown)
    run(model, signals=table, fast=True)
    text = shown.export_text()
    assert "model: probability that the rating is high" in text and "0.5 ┼" in text
    assert "nan" not in text  # a gate of one modality is none


def test_curves_have_a_line_at_one_half_and_seconds_below():
    curves = TerminalPlot(VALENCE, "model", width=40)
    for k in range(25):
        curves.add(ROW | {"start_s": 3.0 + k, "valence": 0.9 if k < 5 else 0.1})
    lines = drawn(curves, width=80).splitlines()
    half = next(line for line in lines if "0.5 ┼" in line)
    left = half.index("┼") + 1
    assert half[left : left + 40] == "█" * 5 + "─" * 35
    assert lines[1].index("1 ┤") + 3 == left and "0 ┤" in lines[5]
    axis, seconds = lines[6], lines[7]
    assert [k - left for k, sign in enumerate(axis) if sign == "┬"] == [0, 10, 20]
    assert [seconds[left + k :].split("  ")[0] for k in (0, 10, 20)] == ["3 s", "13 s", "23 s"]
    for k in range(25, 48):  # the first rows are gone, and times have moved with theirs
        curves.add(ROW | {"start_s": 3.0 + k})
    lines = drawn(curves, width=80).splitlines()
    assert [k - left for k, sign in enumerate(lines[6]) if sign == "┬"] == [2, 12, 22, 32]
    assert lines[7][left + 2 :].startswith("13 s")


def test_a_plain_line_says_the_same():
    assert format_row(ROW, ["valence"]) == (
        "3.0 to 4.0 s  valence 0.25  gate_bio 0.50  face 80%  signals  [frames late]"
    )


# --- LSL ---

OUTLET = """
import sys, time
import numpy as np
from mne_lsl.lsl import StreamInfo, StreamOutlet, local_clock
name, seconds = sys.argv[1], float(sys.argv[2])
info = StreamInfo(name, "EEG", 5, 200.0, "float64", name)
info.set_channel_names(["trigger", "GSR1", "EEG FP1-REF", "EKG", "O1"])
info.set_channel_types(["stim", "gsr", "eeg", "ecg", "eeg"])
info.set_channel_units(["none", "none", "microvolts", "millivolts", "volts"])
outlet = StreamOutlet(info)
start, sent = local_clock(), 0
print("up", flush=True)
while local_clock() - start < seconds:
    due = int((local_clock() - start) * 200)
    if due - sent >= 10:
        outlet.push_chunk(np.arange(sent, due)[:, None] + np.arange(5.0)[None] / 10)
        sent = due
    time.sleep(0.005)
"""


@pytest.fixture
def outlet():
    """The name of an LSL stream that another process of this machine sends."""
    pytest.importorskip("mne_lsl", reason="the extra live is not installed", exc_type=ImportError)
    name = f"gbvnet-test-{time.time_ns()}"
    process = subprocess.Popen([sys.executable, "-c", OUTLET, name, "60"], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        if process.stdout.readline() != "up\n":
            pytest.skip("no LSL outlet can be opened here")
        from mne_lsl.lsl import resolve_streams

        if not resolve_streams(timeout=5.0, name=name):
            pytest.skip("LSL streams of this machine are not found here: its network takes no multicast")
        yield name
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.mark.journey
def test_an_lsl_stream_is_read_with_names_units_and_times(outlet, model):
    with open_lsl(outlet) as device:
        assert device.names == tuple(DEVICE) and device.rate_hz == 200
        assert [one.scale for one in device.units] == [1, 1, 1, 1e3, 1e6] and device.unknown_units == ()
        clock = clock_from_now()
        came = []
        for event in lsl_chunks(device, clock):
            came.append((event, clock()))
            if clock() > 1.5:
                break
    x = np.concatenate([event.chunk for event, _ in came], axis=1)
    assert np.diff(x[0]) == pytest.approx(1)  # none is lost
    assert x[3] == pytest.approx(1e3 * (x[0] + 0.3)) and x[4] == pytest.approx(1e6 * (x[0] + 0.4))
    for (a, _), (b, at) in itertools.pairwise(came):
        assert b.time_s == pytest.approx(a.time_s + a.chunk.shape[1] / 200, abs=0.1)
        assert -0.05 < at - (b.time_s + b.chunk.shape[1] / 200) < 0.5  # taken just before they came
    lines = run(model, video="film.mp4", lsl=outlet, seconds=2.5, running_s=0.5)
    assert any("signals" in line and "no signals" not in line for line in lines if line[0].isdigit())


def test_a_stream_that_is_not_there_is_reported(outlet):
    message = rf"no LSL stream named gbvnet-none .* there is .*{outlet}"
    with pytest.raises(GbvnetError, match=message), open_lsl("gbvnet-none", wait_s=1.0):
        pass
