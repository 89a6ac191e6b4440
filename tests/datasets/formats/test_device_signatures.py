"""Files of devices are known by their content, whatever they are called; other files are not taken for one."""

import zipfile

import numpy as np
import pytest

from gbvnet.datasets.formats.device_signatures import device_name
from gbvnet.datasets.formats.raw_files import recording_bytes
from gbvnet.datasets.formats.signal_file import channel_names_in
from gbvnet.datasets.formats.signal_formats import file_kind, is_recording
from gbvnet.datasets.formats.signal_text import is_text
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.single_recording import open_recording
from gbvnet.errors import BadRecording

from ... import device_writers as write
from ...timed_signals import write_edf

WRITERS = {
    "Shimmer": write.write_shimmer, "OpenBCI": write.write_openbci, "OpenBCI of before": write.write_older_openbci,
    "Mind Monitor (Muse)": write.write_mind_monitor, "Emotiv": write.write_emotiv, "Emotiv Xavier": write.write_xavier,
    "Empatica E4": write.write_empatica_zip,
    "BIOPAC's AcqKnowledge": lambda path: path.write_bytes(write.acq_bytes()),
}  # fmt: skip


@pytest.mark.journey
@pytest.mark.parametrize("device", WRITERS)
def test_a_device_is_known_whatever_its_file_is_called(device, tmp_path):
    for name in ("a.csv", "a.txt", "a.dat", "recording"):
        WRITERS[device](tmp_path / name)
        assert device.startswith(device_name(tmp_path / name))
        assert file_kind(tmp_path / name) == "signals" and not is_text(tmp_path / name)


def test_a_folder_of_an_e4_is_a_recording_and_others_are_none(tmp_path):
    write.write_empatica(tmp_path / "e4")
    assert device_name(tmp_path / "e4") == "Empatica E4" and is_recording(tmp_path / "e4")
    assert recording_bytes(tmp_path / "e4") == sum(len(text) for text in write.empatica_files().values())
    for name in ("EDA", "BVP", "TEMP"):
        (tmp_path / "e4" / f"{name}.csv").write_text("time,EDA\n0,1\n")  # of another program
    assert device_name(tmp_path / "e4") is None and not is_recording(tmp_path / "e4")
    write.write_empatica(tmp_path / "one", {"EDA.csv": write.empatica_files()["EDA.csv"]})
    assert device_name(tmp_path / "one") is None


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 64, b"time,EDA\n0,1\n", b"%a comment\nSample Index, EDA\n0, 1\n", b"PK\3\4", b"title of\n1\n",
        b"%OpenBCI Raw EXG Data\n%Sample Rate = 32 Hz\ntime,EDA\n0,1\n", b"TimeStamp,EDA\n2024-01-01 00:00:00,1\n",
        b'"sep=;"\nShimmer_40AC_Timestamp_Unix_CAL;EDA;\nms;uS;\n0;1;\n', b"\xff\xfe\0", b"a\0b" * 99,
        np.arange(4000, dtype="<i2").tobytes(), b"\x89HDF\r\n\x1a\n" + bytes(99),
    ],
)  # fmt: skip
def test_other_files_are_no_devices(content, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    assert device_name(tmp_path / "a.csv") is None
    assert device_name(tmp_path / "absent.csv") is None


def test_an_edf_is_no_device(tmp_path):
    write_edf(tmp_path / "a.edf", {"Fp1": (128, np.arange(1280.0), "uV")})
    assert device_name(tmp_path / "a.edf") is None


def test_a_zip_of_other_things_is_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("EDA.csv", "1")
        archive.writestr("__MACOSX/BVP.csv", "1")
    with pytest.raises(BadRecording, match=r"a zip archive without a session of an Empatica E4, .* Unpack it"):
        open_recording([tmp_path / "a.zip"], (Channel("EDA", "gsr"),), 128, 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "edf", r"an EDF by its first bytes, .* ends in \.txt. Give it a name that ends in \.edf"),
        ("a.eeg", "edf", "an EDF by its first bytes"),
        ("a.cnt", "edf", "an EDF by its first bytes"),
        ("a.txt", b"\xffBIOSEMI" + bytes(999), "a BDF by its first bytes"),
        ("a.csv", b"\0\0\0\x64\0\0\0\x1f" + bytes(99), "a FIF by its first bytes"),
        ("a.eeg", b"Version 3.0" + bytes(999), r"a recording of Neuroscan by its first bytes, .*\.cnt"),
        ("a.txt", b"* MICROMED  Brain" + bytes(999), "a recording of Micromed by its first bytes"),
        ("a.txt", b"MATLAB 5.0 MAT-file" + bytes(999), "a MATLAB file by its first bytes"),
        ("a.csv", b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 9, "g.tec's g.Recorder"),
        ("a.csv", b"PK\3\4" + bytes(99), "a zip archive or a spreadsheet"),
        ("a.avro", b"Obj\1" + bytes(99), "Empatica's EmbracePlus, which gbvnet does not read"),
    ],
)  # fmt: skip
def test_a_misleading_suffix_is_named_with_the_format_and_the_remedy(name, content, message, tmp_path):
    if content == "edf":
        write_edf(tmp_path / "x.edf", {"Fp1": (128, np.arange(1280.0), "uV")})
        content = (tmp_path / "x.edf").read_bytes()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRecording, match=message):
        channel_names_in(tmp_path / name)


def test_the_header_beside_a_brainvision_recording_is_named(tmp_path):
    (tmp_path / "a.eeg").write_bytes(bytes(50))
    (tmp_path / "a.vhdr").write_text("x")
    with pytest.raises(BadRecording, match=r"Of a BrainVision recording give a\.vhdr, which is beside it"):
        channel_names_in(tmp_path / "a.eeg")
