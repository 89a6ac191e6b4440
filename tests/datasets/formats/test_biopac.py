"""AcqKnowledge files of several versions, written field by field, read by gbvnet and by bioread itself."""

import io
import logging
import struct
import sys

import numpy as np
import pytest

from gbvnet.datasets.formats.device_signatures import is_acq
from gbvnet.datasets.formats.signal_file import channel_units_in, open_signals, read_signals
from gbvnet.datasets.known_channels import known_channels
from gbvnet.datasets.recording import Channel
from gbvnet.errors import BadRecording
from gbvnet.parallel.peak_memory import PeakMemory

from ...device_writers import acq_bytes, acq_channels

WANTED = (Channel("EDA", "gsr"), Channel("PPG100C", "ppg"), Channel("Fp1", "eeg"), Channel("ECG", "ecg"))
FORMS = {
    "3.7": {"revision": 38}, "3.7, of a Macintosh": {"revision": 38, "order": ">"}, "4.0": {"revision": 68},
    "4.4": {"revision": 128}, "5.0.1": {"revision": 132}, "4.0 compressed": {"revision": 68, "compressed": True},
    "5.0.1 compressed": {"revision": 132, "compressed": True},
}  # fmt: skip


@pytest.mark.journey
def test_without_bioread_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioread", None)
    monkeypatch.setitem(sys.modules, "bioread.reader", None)
    (tmp_path / "a.acq").write_bytes(acq_bytes())
    with pytest.raises(BadRecording, match=r'no such package. It needs one package more: pip install "gbvnet\[acq\]"'):
        open_signals(tmp_path / "a.acq")


@pytest.mark.journey
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("revision", [38, 45, 61, 132])
def test_a_file_is_known_by_its_header(revision, order):
    content = acq_bytes(revision, order=order)
    assert is_acq(content)
    assert not is_acq(content[:10] + b"\xff\xff" + content[12:])  # -1 channels
    assert not is_acq(content[:16] + bytes(8) + content[24:])  # 0 ms between samples


@pytest.mark.journey
@pytest.mark.parametrize("form", FORMS)
def test_each_channel_at_its_own_rate_as_bioread_reads_it(form, tmp_path):
    bioread = pytest.importorskip("bioread")
    path = tmp_path / "recording"
    path.write_bytes(acq_bytes(**FORMS[form]))
    truth = {channel.name: channel for channel in bioread.read(str(path)).channels}
    file = open_signals(path)
    assert file.names == ("EDA", "PPG100C", "Fp1", "ECG") and file.kinds == ("gsr", "ppg", "eeg", "ecg")
    assert file.rates_hz == (20, 200, 500, 1000) and file.segments[0].seconds == 60
    units = [one.unit for one in channel_units_in(path, WANTED)[1]]
    assert units == ["uS", "uV", "uV", "uV"]
    span = read_signals(path, 10.37, 40.2, WANTED)
    assert span.start_s == pytest.approx(10.35)
    factors = (1, 1e6, 1, 1e3)
    for channel, samples, rate_hz, factor in zip(WANTED, span.samples, span.rates_hz, factors, strict=True):
        first = round(span.start_s * rate_hz)
        assert samples == pytest.approx(factor * truth[channel.name].data[first:][: len(samples)], rel=1e-12)
        written = next(x for name, _, _, x in acq_channels() if name == channel.name)
        assert samples == pytest.approx(
            factor * written[first:][: len(samples)], abs=5.1 if channel.name == "ECG" else 1e-9
        )


def test_channels_of_one_name_are_two_and_are_not_used_unless_named(tmp_path):
    pytest.importorskip("bioread")
    twice = [("GSR", "uS", 10, np.full(600, 2.0)), ("GSR", "uS", 10, np.full(600, 3.0)), ("RSP", "V", 10, np.ones(600))]
    (tmp_path / "a.acq").write_bytes(acq_bytes(38, twice))
    assert open_signals(tmp_path / "a.acq").names == ("GSR", "GSR.1", "RSP")
    known = known_channels(tmp_path / "a.acq")
    assert known.kinds == {"RSP": "resp"} and "2 channels called GSR: none of them is used" in known.notes[0]
    for name, value in (("GSR", 2), ("GSR.1", 3)):
        assert (read_signals(tmp_path / "a.acq", 1, 2, (Channel(name, "gsr"),)).samples == value).all()


@pytest.mark.journey
def test_parts_of_a_file_are_breaks_of_unknown_length_and_the_first_tells_the_start(tmp_path):
    pytest.importorskip("bioread")
    marks = [
        (0, "apnd", 1_700_000_000_500, "Segment 1"),
        (12_345, "usr1", 0, "x"),
        (30_000, "apnd", 1_700_000_099_000, ""),
    ]
    (tmp_path / "a.acq").write_bytes(acq_bytes(132, markers=marks))
    file = open_signals(tmp_path / "a.acq")
    assert file.start_unix_s == 1_700_000_000.5
    assert [(s.start_s, s.seconds, s.length_known) for s in file.segments] == [(0, 30, True), (30, 30, False)]
    assert len(read_signals(tmp_path / "a.acq", 31, 40, WANTED).samples[0]) == 180
    with pytest.raises(BadRecording, match=r"a break at 30\.00 s, of unknown length"):
        read_signals(tmp_path / "a.acq", 25, 35, WANTED)


def changed(content, at, *values):
    """A file with other values, packed as struct does, at a byte."""
    packed = struct.pack(*values)
    return content[:at] + packed + content[at + len(packed) :]


CHANNEL, COUNT, DIVIDER = 4000, 4000 + 88, 4000 + 250  # of the first channel's header, of a file of 3.7


@pytest.mark.journey
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (acq_bytes()[:-9000], r"\d+ bytes, as its headers state, found \d+. Is it whole"),
        (acq_bytes()[:4100], "whose headers cannot be read"),
        (changed(acq_bytes(), COUNT, "<i", 2**31 - 1), "bytes, as its headers state"),
        (changed(acq_bytes(), COUNT, "<i", 0), r"samples in each channel, found \[0, "),
        (changed(acq_bytes(), COUNT, "<i", -5), "samples in each channel"),
        (changed(changed(acq_bytes(), DIVIDER, "<h", 32749), DIVIDER + 254, "<h", 32719), "whole parts of the file's"),
        (changed(acq_bytes(), COUNT, "<i", 900), "channels of one length, found EDA 45.000 s, PPG100C 60.000 s"),
        (acq_bytes(68, compressed=True)[:-500], "Is it whole"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_without_a_word_on_the_terminal(content, message, tmp_path, capfd):
    pytest.importorskip("bioread")
    (tmp_path / "a.acq").write_bytes(content)
    level = logging.getLogger("bioread").level
    with pytest.raises(BadRecording, match=message):
        open_signals(tmp_path / "a.acq")
    assert capfd.readouterr() == ("", "") and logging.getLogger("bioread").level == level


@pytest.mark.journey
def test_rates_that_cannot_be_do_not_fill_the_memory(tmp_path):
    """bioread makes an index of the dividers' least common multiple, here a thousand million."""
    pytest.importorskip("bioread")
    content = changed(changed(acq_bytes(), DIVIDER, "<h", 32749), DIVIDER + 254, "<h", 32719)
    (tmp_path / "a.acq").write_bytes(content)
    with PeakMemory() as peak, pytest.raises(BadRecording, match="whole parts of the file's"):
        open_signals(tmp_path / "a.acq")
    assert peak.mb is None or peak.mb < 100


@pytest.mark.journey
def test_a_compressed_channel_cannot_fill_the_memory(tmp_path):
    pytest.importorskip("bioread")
    long = [("EDA", "uS", 50, np.zeros(2_000_000))]
    content = acq_bytes(68, long, compressed=True)
    at = content.index(struct.pack("<i", 2_000_000), 4000)  # the header's count, not that of the packed bytes
    (tmp_path / "a.acq").write_bytes(changed(content, at, "<i", 1200))
    with pytest.raises(BadRecording, match="9600 bytes of channel EDA, found more"):
        open_signals(tmp_path / "a.acq")


@pytest.mark.journey
def test_lengths_that_go_round_in_circles_end(tmp_path, monkeypatch):
    pytest.importorskip("bioread")
    marks = [(k, "usr1", 0, "x") for k in range(50)]
    content = acq_bytes(68, markers=marks)
    at = content.index(b"usr1") + 4  # the length of the first marker's text: the next begins where this one does
    length = struct.calcsize("<I4sh4sh")
    (tmp_path / "a.acq").write_bytes(changed(content, at, "<h", -length).replace(
        struct.pack("<iii", 0, 51, 50), struct.pack("<iii", 0, 2**31 - 1, 50)
    ))  # fmt: skip
    monkeypatch.setattr("gbvnet.datasets.formats.biopac.MAX_READS", 2000)
    file = open_signals(tmp_path / "a.acq")
    assert file.notes == ("its markers cannot be read",) and file.segments[0].seconds == 60


@pytest.mark.journey
def test_a_file_object_of_the_same_bytes_is_what_bioread_takes():
    bioread = pytest.importorskip("bioread")
    assert len(bioread.read(io.BytesIO(acq_bytes())).channels) == 4
