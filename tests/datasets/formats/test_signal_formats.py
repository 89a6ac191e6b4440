"""What a file is, by its content and its name, and what to do where it cannot be read. Films are written by PyAV."""

import av
import numpy as np
import pytest

from gbvnet.cli.options import renamed_channels
from gbvnet.datasets.formats.signal_formats import MNE_SUFFIXES, TEXT_SUFFIXES, VIDEO_SUFFIXES, file_kind
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.single_recording import open_recording
from gbvnet.errors import BadConfig, BadRecording

FP1 = (Channel("Fp1", "eeg"),)
HDF5 = b"\x89HDF\r\n\x1a\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xdf", b"XDF:\1", "expected an XDF file with streams, found none; the file is cut: it ends within a chunk"),
        ("a.XDF", b"", "a file named as LabRecorder's XDF, .* Its first bytes are not XDF: as they must be"),
        ("a.bin", b"XDF:\1", "expected an XDF file with streams, found none"),
        ("a.xdfz", b"\x1f\x8b", "compressed XDF, which gbvnet does not read. Unpack it: gunzip"),
        ("a.acq", b"\0", r"BIOPAC's AcqKnowledge, which gbvnet does not read. .*bioread"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "MATLAB's own format, which gbvnet does not read. Save the signals as CSV"),
        ("a.set", HDF5, "an EEGLAB file of MATLAB 7.3. It needs two packages more: pip install pymatreader h5py"),
        ("a.cnt", b"RIFF\0\0\0\0CNT ", "a .cnt of ANT Neuro .* pip install antio"),
        ("a.cnt", b"Version 3.0" + bytes(99), "a Neuroscan .cnt that does not open"),
        ("a.cnt", b"nothing" * 99, "a .cnt of neither Neuroscan nor ANT Neuro"),
        ("a.eeg", bytes(50), "Of a BrainVision recording give the .vhdr beside it"),
        ("a.fdt", bytes(50), "the samples of an EEGLAB recording, .* Give the .set beside it"),
        ("a.nedf", b"nothing", "expected a signal file that mne reads, found one that does not open"),
        ("a.ahdr", b"nothing", "expected a signal file that mne reads, found one that does not open"),
        ("a.xlsx", b"PK\3\4", "a spreadsheet, which gbvnet does not read. Save it as CSV"),
        ("a.xyz", b"nothing", "expected a video or a signal file, found neither. Videos are .avi, .*signals are .edf"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_the_remedy_and_never_called_a_broken_video(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRecording, match=message) as error:
        open_recording([tmp_path / name], FP1, 128, 0)
    assert "expected a video," not in str(error.value)


def test_folders(tmp_path):
    (tmp_path / "a.mff").mkdir()
    with pytest.raises(BadRecording, match=r"pip install mffpy|does not open"):
        open_recording([tmp_path / "a.mff"], FP1, 128, 0)
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadRecording, match=r"expected a recording, found a folder. Videos are .avi"):
        open_recording([tmp_path / "mine"], FP1, 128, 0)


@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv", "ts"])
def test_a_film_is_one_whatever_it_is_called(ending, tmp_path):
    file = tmp_path / f"a.{ending}"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode())
    for name in ("film", "film.csv", "film.dat"):
        file.rename(tmp_path / name)
        file = tmp_path / name
        assert file_kind(file) == "video"
        assert open_recording([file], (), 128, 0).recording.video == file


def test_names_alone_tell_where_there_is_nothing_to_read(tmp_path):
    assert {file_kind(tmp_path / f"x{suffix}") for suffix in VIDEO_SUFFIXES} == {"video"}
    assert {file_kind(tmp_path / f"x{suffix}") for suffix in (*MNE_SUFFIXES, *TEXT_SUFFIXES)} == {"signals"}
    assert file_kind(tmp_path / "x") is None


def test_rename_may_be_given_several_times():
    assert renamed_channels([]) == {}
    assert renamed_channels(["GSR1=EDA,Resp=RSP", "Temp = SKT"]) == {"GSR1": "EDA", "Resp": "RSP", "Temp": "SKT"}
    assert renamed_channels(["a=b", "a=b"]) == {"a": "b"}
    with pytest.raises(BadConfig, match="--rename gives a two names: b and c"):
        renamed_channels(["a=b", "a=c"])
    with pytest.raises(BadConfig, match="expected MODELNAME=FILENAME"):
        renamed_channels(["a"])
