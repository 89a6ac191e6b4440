"""XDF files: chunks, clocks and values. pyxdf, which shares no code with the reader, is the oracle."""

import logging
import struct

import numpy as np
import pytest

from gbvnet.datasets.formats.device_files import open_device
from gbvnet.datasets.formats.signal_file import read_signals
from gbvnet.datasets.formats.xdf import StreamChoice, read_xdf, values_at, xdf_signals, xdf_streams
from gbvnet.datasets.formats.xdf_chunks import read_chunks
from gbvnet.datasets.formats.xdf_clocks import TimedPiece, clock_line
from gbvnet.datasets.known_channels import known_channels
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.synthetic.xdf_file import BOUNDARY, WrittenStream, xdf_bytes
from gbvnet.errors import BadRecording

RNG = np.random.default_rng(0)
LABELS = (("Fp1", "microvolts", "EEG"), ("F3", "microvolts", "EEG"))
T0 = 10_000.0


def wave(t, hz):
    return 20 * np.sin(2 * np.pi * hz * (t - T0))


def eeg(seconds=40, jitter_s=1.5e-3, offset_s=500.0, drift=20e-6, **more):
    """An amplifier on another computer: 256 Hz, 10 and 30 Hz."""
    t = T0 + np.arange(seconds * 256) / 256
    stamps = (t - offset_s) / (1 + drift) + jitter_s * np.random.default_rng(1).standard_normal(len(t))
    given = {"channels": LABELS, "offset_s": offset_s, "drift": drift} | more
    return WrittenStream("Amp", "EEG", "a", 256, "float32", stamps, np.stack([wave(t, 10), wave(t, 30)], 1), **given)


def skin(seconds=38.0, late_s=1.013, **more):
    t = T0 + late_s + np.arange(int(seconds * 51.2)) / 51.2
    given = {"channels": (("GSR", "kOhms", "GSR"),)} | more
    return WrittenStream("Shimmer", "GSR", "b", 51.2, "double64", t, 100 + wave(t, 0.5)[:, None], **given)


def markers(*pairs, name="Events"):
    return WrittenStream(
        name, "Markers", "b", 0, "string", np.array([T0 + at for at, _ in pairs]), [x for _, x in pairs]
    )


def written(folder, *streams, name="a.xdf", **options):
    file = folder / name
    file.write_bytes(xdf_bytes(streams, **options))
    return file


def by_pyxdf(file, **options):
    pyxdf = pytest.importorskip("pyxdf")
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    streams, _ = pyxdf.load_xdf(file, dejitter_timestamps=False, **options)
    return {stream["info"]["name"][0]: stream for stream in streams}


@pytest.mark.journey
def test_samples_and_times_are_those_of_pyxdf(tmp_path):
    counts = WrittenStream(
        "Counts", "Misc", "b", 10, "int16", T0 + np.arange(50) / 10, np.arange(100).reshape(50, 2) - 50
    )
    file = written(tmp_path, eeg(), skin(), counts, markers((3.0, "start x"), (9.5, "ümlaut " * 80)))
    known = by_pyxdf(file)
    for timed in xdf_streams(file).streams:
        stream, other = timed.stream, known[timed.stream.name]
        values = other["time_series"]
        if stream.is_text:
            assert stream.values == values
        else:
            assert np.array_equal(stream.values, values) and stream.values.dtype == values.dtype
        assert np.abs(timed.times_s - other["time_stamps"]).max() < 1e-6
        assert [c.label for c in stream.channels] == [
            c["label"][0] for c in ((other["info"]["desc"][0] or {}).get("channels") or [{"channel": []}])[0]["channel"]
        ]
    assert xdf_streams(file).notes == ()


def test_offsets_of_a_busy_network_hardly_move_the_clock(tmp_path):
    at = np.arange(0, 3000, 5.0)
    offset = 500 + 20e-6 * at + 1e-4 * RNG.standard_normal(len(at))
    offset[::7] += 0.4  # one in seven is far off
    line = clock_line(np.stack([at, offset], 1))
    plain = np.polyfit(at, offset, 1)
    errors = np.abs(line.added(at) - at - 500 - 20e-6 * at)
    assert errors.max() < 5e-4 < np.abs(np.polyval(plain, at) - 500 - 20e-6 * at).max()


def test_samples_without_stamps_follow_the_one_before_as_in_pyxdf(tmp_path):
    rows = [(8, 50.0), (0, None), (0, None), (8, 50.5), (0, None)]
    content = b"".join(
        bytes([flag]) + (struct.pack("<d", t) if flag else b"") + struct.pack("<f", k)
        for k, (flag, t) in enumerate(rows)
    )
    empty = WrittenStream("Amp", "EEG", "a", 4, "float32", np.empty(0), np.empty((0, 1)))
    chunk = struct.pack("<IBI", 1, 4, len(rows)) + content
    file = tmp_path / "a.xdf"
    file.write_bytes(xdf_bytes([empty], footers=False) + struct.pack("<BIH", 4, len(chunk) + 2, 3) + chunk)
    (stream,) = read_chunks(file).streams
    assert stream.stamps.tolist() == [50.0, 50.25, 50.5, 50.5, 50.75] == by_pyxdf(file)["Amp"]["time_stamps"].tolist()
    assert stream.values[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.journey
def test_all_channels_begin_at_one_time_each_at_its_rate_with_the_truth_between_samples(tmp_path):
    file = written(tmp_path, eeg(), skin())
    device = read_xdf(file)
    assert device.names == ("Fp1", "F3", "GSR") and device.kinds == ("eeg", "eeg", "gsr")
    assert device.rates_hz == (256, 256, 51.2)
    channels = (Channel("F3", "eeg"), Channel("GSR", "gsr"))
    span = read_signals(file, 5.3, 20.0, channels)
    assert span.start_s == pytest.approx(5.3, abs=0.5 / 256) and span.rates_hz == (256, 51.2)
    zero_s = device.zero_s
    assert zero_s == pytest.approx(T0, abs=1e-4)
    for row, rate_hz, truth in zip(
        span.samples, span.rates_hz, (lambda t: wave(t, 30), lambda t: 1e3 * (100 + wave(t, 0.5))), strict=True
    ):
        t = zero_s + span.start_s + np.arange(len(row)) / rate_hz
        assert np.abs(row - truth(t)).max() < 0.005 * np.ptp(truth(t))  # 1 ms of jitter would be 0.1 of it
        assert len(row) == pytest.approx(14.7 * rate_hz, abs=2)


@pytest.mark.journey
def test_what_is_read_does_not_depend_on_where_it_begins(tmp_path):
    file = written(tmp_path, eeg(), skin())
    channels = (Channel("Fp1", "eeg"), Channel("F3", "eeg"))
    whole, part = read_signals(file, 2.0, 30.0, channels), read_signals(file, 7.1234, 9.0, channels)
    first = round((part.start_s - whole.start_s) * 256)
    assert np.array_equal(whole.samples[:, first : first + part.samples.shape[1]], part.samples)


@pytest.mark.journey
def test_a_lost_second_of_a_camera_moves_no_frame_and_half_a_second_with_the_default_of_pyxdf(tmp_path):
    t = T0 + np.delete(np.arange(20 * 30), slice(300, 330)) / 30
    rows = np.stack([np.delete(np.arange(20 * 30), slice(300, 330)), t], 1)
    camera = WrittenStream("Cam", "videostream", "b", 30, "double64", t, rows, (("FrameNum", "", ""), ("Time", "", "")))
    file = written(tmp_path, eeg(), camera)
    timed = next(one for one in xdf_streams(file).streams if one.stream.name == "Cam")
    assert np.abs(timed.times_s - t).max() < 1e-6
    at = np.concatenate([piece.times_s for piece in timed.pieces])
    assert np.abs(at - t).max() < 1e-3 and len(timed.pieces) == 2
    pyxdf = pytest.importorskip("pyxdf")
    (default,) = pyxdf.load_xdf(file, select_streams=[{"name": "Cam"}])[0]
    assert 0.4 < np.abs(default["time_stamps"] - t).max() < 0.6  # why a rule of our own


def test_a_break_is_a_pause_of_all_channels_that_are_read_and_of_no_others(tmp_path):
    whole = eeg()
    kept = np.r_[0 : 15 * 256, 17 * 256 : 40 * 256]
    cut = WrittenStream("Amp", "EEG", "a", 256, "float32", whole.stamps[kept], whole.values[kept], LABELS, 500.0, 20e-6)
    file = written(tmp_path, cut, skin())
    both, gsr = (Channel("Fp1", "eeg"), Channel("GSR", "gsr")), (Channel("GSR", "gsr"),)
    with pytest.raises(
        BadRecording, match=r"expected signals from 10.00 to 20.00 s, found a pause from 15.0. to 17.00 s"
    ):
        read_signals(file, 10.0, 20.0, both)
    assert read_signals(file, 10.0, 20.0, gsr).samples.shape[1] == pytest.approx(512, abs=1)
    after = read_signals(file, 18.0, 20.0, (both[0],))
    t = read_xdf(file).zero_s + after.start_s + np.arange(after.samples.shape[1]) / 256
    assert np.abs(after.samples[0] - wave(t, 10)).max() < 0.3
    assert any("1 break, the longest of 2.00 s" in note for note in after.notes)


@pytest.mark.journey
def test_a_stated_delay_is_subtracted_and_reported(tmp_path):
    late = read_xdf(written(tmp_path, eeg(delay_s=0.05), skin(), name="late.xdf"))
    plain = read_xdf(written(tmp_path, eeg(), skin()))
    assert late.zero_s == pytest.approx(plain.zero_s - 0.05, abs=1e-6)
    assert "its stated delay of 50 ms is subtracted" in late.note


@pytest.mark.journey
def test_names_where_streams_share_them_and_where_a_stream_has_none(tmp_path):
    second = eeg(offset_s=0.0, drift=0.0)
    second = WrittenStream("Amp 2", "EEG", "b", 256, "float32", second.stamps, second.values, LABELS)
    board = WrittenStream("obci_eeg1", "EEG", "b", 256, "float32", second.stamps, second.values)
    pulse = WrittenStream("PPG", "PPG", "b", 256, "float32", second.stamps, second.values[:, :1])
    file = written(tmp_path, eeg(), second, board, pulse)
    device = open_device(file)
    names = ("Amp:Fp1", "Amp:F3", "Amp 2:Fp1", "Amp 2:F3", "obci_eeg1:1", "obci_eeg1:2", "PPG")
    assert device.names == names
    assert known_channels(file).kinds == dict.fromkeys(names[:4], "eeg") | {"PPG": "ppg"}
    labels = ("Cz", "Pz")
    chosen = xdf_signals(file, (StreamChoice("obci_eeg1", ("Pz",), labels, "mV"), StreamChoice("Amp", ("Fp1",))))
    assert chosen.names == ("Pz", "Fp1") and [c.unit for c in chosen.channels] == ["mV", "microvolts"]
    with pytest.raises(BadRecording, match=r"expected 2 labels for the channels of stream obci_eeg1 .*, found 3"):
        xdf_signals(file, (StreamChoice("obci_eeg1", (), ("a", "b", "c")),))
    with pytest.raises(
        BadRecording, match=r"expected channel Fp3 in stream Amp \(EEG\), found Fp1, F3. Did you mean F3"
    ):
        xdf_signals(file, (StreamChoice("Amp", ("Fp3",)),))
    with pytest.raises(BadRecording, match=r"expected one stream whose type is EEG, found 3: .*source_id Amp-1"):
        xdf_signals(file, (StreamChoice("EEG"),))
    with pytest.raises(BadRecording, match=r"expected a stream named Apm.*Did you mean Amp"):
        xdf_signals(file, (StreamChoice("Apm"),))


@pytest.mark.journey
def test_stamps_of_1970_cannot_be_used_beside_others_and_say_what_to_do(tmp_path):
    t = 1.7e9 + np.arange(2000) / 64
    muse = WrittenStream("Muse PPG", "PPG", "c", 64, "float32", t, np.zeros((2000, 1)))
    device = read_xdf(written(tmp_path, eeg(), muse))
    assert (
        device.names == ("Fp1", "F3") and "Muse PPG (PPG) is not used: its times are seconds since 1970" in device.note
    )
    with pytest.raises(BadRecording, match=r"seconds since 1970, .* BlueMuse"):
        xdf_signals(device.path, (StreamChoice("Amp"), StreamChoice("Muse PPG")))
    alone = read_xdf(written(tmp_path, muse, name="alone.xdf"))  # nothing to be tied to
    assert alone.names == ("Muse PPG",)


@pytest.mark.journey
def test_a_clock_that_is_set_anew_and_times_that_go_back(tmp_path):
    offsets = np.array([[1.0, 500.0], [6.0, 500.0], [11.0, 420.0]])
    assert "its offset goes from 500.000 to 420.000 s" in clock_line(offsets).refusal
    whole = skin()
    times = whole.stamps.copy()
    times[700:] -= 20
    back = WrittenStream("Shimmer", "GSR", "b", 51.2, "double64", times, whole.values, whole.channels)
    device = read_xdf(written(tmp_path, eeg(), back))
    assert device.names == ("Fp1", "F3")
    assert "stream Shimmer (GSR) is not used: its times go back by 19.980 s after sample 700" in device.note


@pytest.mark.journey
def test_no_clock_offsets_and_a_rate_that_is_not_the_stated_one_are_reported(tmp_path):
    t = T0 + np.arange(30 * 250) / 250
    slow = WrittenStream("Amp", "EEG", "a", 256, "float32", t, np.zeros((len(t), 2)), LABELS, offset_s=None)
    device = read_xdf(written(tmp_path, slow, skin()))
    assert "250 samples a second (stated: 256)" in device.note and "no clock offsets: its clock is taken" in device.note
    half = WrittenStream("Amp", "EEG", "a", 512, "float32", t, np.zeros((len(t), 2)), LABELS)
    assert read_xdf(written(tmp_path, half, name="half.xdf")).rates_hz == (250.0, 250.0)


def test_a_stream_that_began_late_is_reported(tmp_path):
    late = read_xdf(written(tmp_path, eeg(), skin(seconds=20, late_s=19.0)))
    assert "stream Shimmer (GSR) covers 50% of the seconds from the first to the last sample" in late.note
    assert late.segments[0].start_s == pytest.approx(19.0, abs=0.01)


def test_a_slow_wearable_and_a_stream_without_a_rate_keep_their_stamps(tmp_path):
    t = T0 + np.cumsum(np.random.default_rng(2).uniform(0.05, 0.15, 300))
    irregular = WrittenStream("Band", "EDA", "b", 0, "double64", t, np.sin(t)[:, None], (("EDA", "uS", "EDA"),))
    device = read_xdf(written(tmp_path, irregular))
    assert device.rates_hz[0] == pytest.approx(10, rel=0.05) and "(none stated)" in device.note
    span = read_signals(device.path, 2.0, 10.0, (Channel("EDA", "gsr"),))
    at = device.zero_s + span.start_s + np.arange(span.samples.shape[1]) / device.rates_hz[0]
    assert np.allclose(span.samples[0], np.interp(at, t, np.sin(t)))


def test_lost_samples_as_nan_stay_so_and_nothing_beside_them_does(tmp_path):
    whole = eeg()
    values = whole.values.copy()
    values[2000:2010, 0] = np.nan
    gaze = WrittenStream("Amp", "EEG", "a", 256, "double64", whole.stamps, values, LABELS, 500.0, 20e-6)
    device = read_xdf(written(tmp_path, gaze))
    rows, start_s = device.read([0, 1], 5.0, 12.0, device.segments[0])
    lost = np.flatnonzero(np.isnan(rows[0])) / 256 + start_s
    assert lost.min() == pytest.approx(2000 / 256, abs=2 / 256) and lost.max() == pytest.approx(2009 / 256, abs=2 / 256)
    assert np.isfinite(rows[1]).all()


# ---------------------------------------------------------------- damage


@pytest.mark.journey
def test_a_file_that_is_cut_reads_up_to_there_as_in_pyxdf(tmp_path):
    data = xdf_bytes([eeg(), skin()], footers=False)
    file = tmp_path / "cut.xdf"
    file.write_bytes(data[: len(data) * 2 // 3 + 5])
    content, other = read_chunks(file), by_pyxdf(file)
    assert [len(s.stamps) for s in content.streams] == [len(other[s.name]["time_stamps"]) for s in content.streams]
    assert content.notes == (f"the file is cut: it ends within a chunk, at byte {file.stat().st_size:,}",)


def test_a_damaged_length_costs_the_bytes_up_to_the_next_boundary(tmp_path):
    data = bytearray(xdf_bytes([eeg(), skin()]))
    at = data.index(BOUNDARY, len(data) // 3) + len(BOUNDARY)
    assert data[at] == 4  # the length of a chunk of samples
    data[at + 1 : at + 5] = b"\xff\xff\xff\x7f"
    file = tmp_path / "a.xdf"
    file.write_bytes(bytes(data))
    content = read_chunks(file)
    lost = 40 * 256 - len(content.streams[0].stamps)
    assert 3 * 256 < lost < 7 * 256  # boundaries are 5 s apart
    assert any("the file is damaged: bytes" in note for note in content.notes)
    assert any("its footer says 10,240" in note for note in content.notes)


def test_a_huge_count_of_samples_allocates_nothing(tmp_path):
    data = bytearray(xdf_bytes([eeg()]))
    at = data.index(struct.pack("<IBI", 1, 4, 256))
    data[at + 5 : at + 9] = struct.pack("<I", 2**32 - 1)
    file = tmp_path / "a.xdf"
    file.write_bytes(bytes(data))
    content = read_chunks(file)
    assert "a chunk of stream Amp (EEG) is damaged and left out" in content.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"XDF:", "expected an XDF file with streams, found none"),
        (xdf_bytes([markers()]), "expected an XDF file with samples, found none"),
        (xdf_bytes([markers((1.0, "a"))]), r"expected streams of signals, found none among Events \(Markers\)"),
        (b"XDF:\1\2\2\0", "found none"),
    ],
)  # fmt: skip
def test_files_without_signals(content, message, tmp_path):
    (tmp_path / "a.xdf").write_bytes(content)
    with pytest.raises(BadRecording, match=message):
        read_xdf(tmp_path / "a.xdf")


def test_only_the_samples_around_what_is_read_are_converted():
    class Watched:
        n_read = 0

        def __getitem__(self, rows):
            self.n_read += len(x[rows])
            return x[rows]

    times = T0 + np.arange(100_000) / 256
    x = np.stack([wave(times, 5), wave(times, 10)], 1).astype("f4")
    x[::1000, 1] = np.nan  # none of them near what is read
    held, at_s = Watched(), T0 + 100.0013 + np.arange(256) / 256
    (read,) = values_at(held, [1], TimedPiece(0, len(times), times, True), at_s)
    assert np.allclose(read, wave(at_s, 10), atol=0.1) and held.n_read < 300


def test_a_chunk_without_samples_and_one_whose_samples_all_have_times_are_read(tmp_path):
    data = xdf_bytes((eeg(seconds=4, offset_s=0.0, drift=0.0),))
    first = data.index(struct.pack("<H", 3))
    length = 1 if data[first - 2] != 4 and data[first - 5] != 4 else 4
    at = first - length - 1
    none = struct.pack("<BBHIBI", 1, 11, 3, 1, 4, 0)
    (tmp_path / "a.xdf").write_bytes(data[:at] + none + data[at:])
    (stream,) = read_chunks(tmp_path / "a.xdf").streams
    theirs = by_pyxdf(tmp_path / "a.xdf", synchronize_clocks=False)["Amp"]
    assert np.array_equal(stream.stamps, theirs["time_stamps"]) and np.array_equal(stream.values, theirs["time_series"])
