"""The folder and the zip archive of an Empatica E4, against pandas; what is wrong is refused by file and line."""

import io
import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from gbvnet.datasets.formats import empatica
from gbvnet.datasets.formats.signal_file import channel_units_in, open_signals, read_signals
from gbvnet.datasets.recording import Channel
from gbvnet.errors import BadRecording

from ...device_writers import START, empatica_files, write_empatica, write_empatica_zip

WANTED = (Channel("BVP", "ppg"), Channel("EDA", "gsr"), Channel("TEMP", "temp"))


@pytest.mark.parametrize("kind", ["folder", "zip", "zip with a folder"])
def test_a_session_is_what_pandas_reads(kind, tmp_path):
    path = tmp_path / "wrist"
    if kind == "folder":
        write_empatica(path)
    else:
        write_empatica_zip(path, within="1700000000_A01/" if "folder" in kind else "")
    file = open_signals(path)
    assert file.names == ("EDA", "TEMP", "BVP", "ACC_x", "ACC_y", "ACC_z")
    assert file.kinds == ("gsr", "temp", "ppg", None, None, None)
    assert file.rates_hz == (4, 4, 64, 32, 32, 32)
    assert (file.start_unix_s, file.segments[0].seconds, file.notes) == (START, 60, ())
    made = channel_units_in(path, WANTED)[1]
    assert [one.unit for one in made] == ["", "uS", "C"] and not any(one.message for one in made)
    span = read_signals(path, 20.1, 40, WANTED)
    assert (span.start_s, span.rates_hz) == (20.0, (64, 4, 4))
    for channel, samples, rate_hz in zip(WANTED, span.samples, span.rates_hz, strict=True):
        truth = pd.read_csv(io.StringIO(empatica_files()[f"{channel.name}.csv"]), header=None)[0][2:].to_numpy()
        assert samples.tolist() == truth[20 * int(rate_hz) :][: len(samples)].tolist()
        assert len(samples) == 20 * rate_hz


def test_seconds_since_1970_name_the_same_samples(tmp_path):
    write_empatica(tmp_path / "e4")
    own = read_signals(tmp_path / "e4", 20, 30, WANTED)
    absolute = read_signals(tmp_path / "e4", START + 20, START + 30, WANTED)
    assert absolute.start_s == START + own.start_s
    assert all((a == b).all() for a, b in zip(own.samples, absolute.samples, strict=True))


def changed(name, change):
    files = empatica_files()
    return files | {name: change(files[name])}


def without(name):
    files = empatica_files()
    del files[name]
    return files


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (changed("EDA.csv", lambda s: s[:-300]), "signals of one length to 2 s, found EDA 5[0-9.]+ s, TEMP 60.00 s"),
        (changed("BVP.csv", lambda s: s.replace(f"{START:.6f}", f"{START + 1:.6f}")), "signals that start at one time"),
        (changed("TEMP.csv", lambda s: s.replace("33.010000", "lost")), "TEMP.csv: .* in each line, .* line 7"),
        (changed("BVP.csv", lambda s: s.replace("64.000000", "0.0", 1)), "the rate in line 2, found 1.7e.09 and 0"),
        (changed("EDA.csv", lambda s: f"{START}\r\n"), "EDA.csv: expected a line of the start, one of the rate"),
        (changed("TEMP.csv", lambda s: s.replace("33.010000", "")), "TEMP.csv: .* in each line, .* line 7"),
        (changed("ACC.csv", lambda s: s.replace("-2,5,63", "-2,5", 1)), "ACC.csv: .*a number in each line"),
    ],
)  # fmt: skip
def test_a_session_that_is_not_whole_is_refused_with_its_file(files, message, tmp_path):
    write_empatica_zip(tmp_path / "a.zip", files)
    with pytest.raises(BadRecording, match=message):
        open_signals(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("files", "note"),
    [
        (changed("HR.csv", lambda s: s.replace(f"{START + 10:.6f}", f"{START:.6f}")), "HR.csv starts [+]0.0 s after"),
        (changed("tags.csv", lambda s: f"{START + 99}\r\n{s}"), "1 of 2 times in tags.csv are outside of the session"),
        (changed("tags.csv", lambda s: ""), None),
        (changed("EDA.csv", lambda s: "\r\n".join([*s.split("\r\n")[:2], *["0.000000"] * 240, ""])), "EDA is 0"),
        (changed("EDA.csv", lambda s: s.replace("\n5.", "\n-5.", 3)), "EDA is below 0 uS in 3 of 240 samples"),
        (changed("TEMP.csv", lambda s: "\r\n".join(s.split("\r\n")[:2])), "TEMP.csv has no sample"),
        (without("HR.csv"), None),
        (without("ACC.csv"), None),
    ],
)  # fmt: skip
def test_what_is_odd_in_a_session_is_a_note(files, note, tmp_path):
    write_empatica(tmp_path / "a", files)
    notes = open_signals(tmp_path / "a").notes
    assert (notes == ()) if note is None else re.search(note, notes[0])


def test_lengths_may_differ_by_a_second_and_the_shortest_counts(tmp_path):
    write_empatica(tmp_path / "a", changed("EDA.csv", lambda s: s.rsplit("\r\n", 4)[0] + "\r\n"))
    file = open_signals(tmp_path / "a")
    assert file.segments[0].seconds == 59.25
    with pytest.raises(BadRecording, match=r"ends at 59\.25 s"):
        read_signals(tmp_path / "a", 50, 60, WANTED)


def test_an_archive_cannot_fill_the_memory_nor_write_outside(tmp_path, monkeypatch):
    files = changed("EDA.csv", lambda s: s + "5.0\r\n" * 500_000)
    write_empatica_zip(tmp_path / "a.zip", files)
    monkeypatch.setattr(empatica, "MAX_FILE_BYTES", 1 << 20)
    with pytest.raises(BadRecording, match=r"a\.zip, EDA\.csv: expected .* at most 1 MiB, .* found more"):
        open_signals(tmp_path / "a.zip")
    write_empatica_zip(tmp_path / "b.zip", within="../../")
    assert open_signals(tmp_path / "b.zip").names[0] == "EDA"  # read in memory, never written
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zip", "b.zip"]


@pytest.mark.parametrize("damage", ["cut", "bytes", "encrypted"])
def test_a_damaged_archive_is_refused(damage, tmp_path):
    path = tmp_path / "a.zip"
    write_empatica_zip(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"EDA.csv") + 20
    if damage == "encrypted":
        with zipfile.ZipFile(path) as archive:
            entries = [entry.header_offset for entry in archive.infolist()]
        for offset in entries:
            data[offset + 6] |= 1
        start = data.index(b"PK\1\2")
        while start >= 0:
            data[start + 8] |= 1
            start = data.find(b"PK\1\2", start + 4)
    elif damage == "bytes":
        data[at : at + 200] = bytes(200)
    else:
        del data[-40:]
    path.write_bytes(data)
    with pytest.raises(BadRecording):
        open_signals(path)


def test_a_file_that_changed_is_read_again(tmp_path):
    write_empatica(tmp_path / "a")
    before = read_signals(tmp_path / "a", 20, 30, WANTED).samples[1]
    write_empatica(tmp_path / "a", changed("EDA.csv", lambda s: s.replace("\n5.", "\n15.")))
    assert np.all(read_signals(tmp_path / "a", 20, 30, WANTED).samples[1] > before + 9)
