"""What an upload may name: files uploaded with it, and no other file of the server."""

import mne
import numpy as np
import pytest
from scipy.io import savemat

from gbvnet.errors import BadRecording
from gbvnet.inference.app.named_files import require_uploaded

UPLOADED = {"a.vhdr", "a.ahdr", "a.eeg", "a.vmrk", "a.set", "a.fdt", "film.mp4"}
HEADER = "Brain Vision Data Exchange Header File Version 1.0\n"


def header(folder, lines, name="a.vhdr"):
    file = folder / name
    file.write_bytes((HEADER + lines).encode("latin-1"))
    return file


@pytest.mark.parametrize(
    "lines",
    [
        "[Common Infos]\nDataFile=a.eeg\nMarkerFile=a.vmrk\n",
        "[Common Infos]\nCodepage=ANSI\nDataFile=$b.eeg\n[Comment]\nDataFile=/etc/passwd\n",
        "[Common infos]\nDataFile=a.eeg\nMarkerFile=\n",
        "[Common Infos]\nDataFile=a.eeg\nMarkerFile=renamed.vmrk\n",  # MNE takes a.vmrk
    ],
)
def test_a_header_may_name_what_was_uploaded_with_it(tmp_path, lines):
    require_uploaded(header(tmp_path, lines), UPLOADED)


@pytest.mark.parametrize(
    "lines",
    [
        "[Common Infos]\nDataFile=/etc/passwd\nMarkerFile=a.vmrk\n",
        "[Common Infos]\nDataFormat=ASCII\nDataFile=/dev/zero\n",
        "[Common Infos]\ndatafile : ../../a.eeg\n",
        "[Common infos]\nDataFile=..\\a.eeg\n",
        "[Common Infos]\nDataFile=a.eeg\n  /../../x\n",  # a value of two lines
        "[DEFAULT]\nDataFile=/etc/passwd\n[Common Infos]\n",
        "[Common Infos]\nDataFile=b.eeg\n",
        "[Common Infos]\nDataFile=\n",
        "[Common Infos]\nDataFile=a.eeg\nMarkerFile=/dev/stdin\n",
        "[Common Infos]\nDataFile=a.eeg\nMarkerFile=../a.vmrk\n",
        "[Common Infos]\nCodepage=utf-7\nD+AGE-taFile=/etc/passwd\n",
        "[Common Infos]\nCodepage=none\nDataFile=a.eeg\n",
        "DataFile=a.eeg\n",
    ],
)
@pytest.mark.parametrize("name", ["a.vhdr", "a.ahdr"])
def test_a_header_that_names_another_file_or_does_not_read_is_refused(tmp_path, lines, name):
    with pytest.raises(BadRecording, match=rf"{name}: expected"):
        require_uploaded(header(tmp_path, lines, name), UPLOADED)


def test_the_error_says_which_name_and_what_to_do(tmp_path):
    with pytest.raises(BadRecording, match=r"DataFile to be the name of an uploaded file, found '/etc/passwd'\. Up"):
        require_uploaded(header(tmp_path, "[Common Infos]\nDataFile=/etc/passwd\n"), UPLOADED)


@pytest.mark.parametrize("layout", [lambda data: {"EEG": data}, lambda data: data, lambda data: {"EEG": {"EEG": data}}])
def test_an_eeglab_file_may_name_its_own_samples_alone(tmp_path, layout):
    file = tmp_path / "a.set"
    for data in (np.zeros((2, 9)), "a.fdt", "renamed.fdt"):  # for the last MNE takes a.fdt
        savemat(file, layout({"data": data, "srate": 128.0}), appendmat=False)
        require_uploaded(file, UPLOADED)
    for data in ("/srv/others/b.fdt", "../b.fdt", np.array(["/srv/b.fdt"], object)):
        savemat(file, layout({"data": data, "srate": 128.0}), appendmat=False)
        with pytest.raises(BadRecording, match="`data` to be numbers, or the name of an uploaded file"):
            require_uploaded(file, UPLOADED)
    savemat(file, layout({"data": "a.fdt"}), appendmat=False)
    with pytest.raises(BadRecording, match="the name of an uploaded file"):
        require_uploaded(file, {"a.set"})


def test_an_eeglab_file_that_is_none_or_can_hold_links_is_refused(tmp_path):
    file = tmp_path / "a.set"
    for content, words in ((b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "MATLAB 7.3"), (b"none", "Is it whole?")):
        file.write_bytes(content)
        with pytest.raises(BadRecording, match=words):
            require_uploaded(file, UPLOADED)


@pytest.mark.journey
def test_a_fif_that_names_its_next_part_is_refused(tmp_path):
    info = mne.create_info(["Fp1"], 128.0, "eeg")
    raw = mne.io.RawArray(np.zeros((1, 3_000_000)), info, verbose="error")
    raw.save(tmp_path / "whole_raw.fif", verbose="error")
    require_uploaded(tmp_path / "whole_raw.fif", {"whole_raw.fif"})
    raw.save(tmp_path / "split_raw.fif", split_size="10MB", verbose="error")
    with pytest.raises(BadRecording, match="a part of one that names another file"):
        require_uploaded(tmp_path / "split_raw.fif", {"split_raw.fif"})
    (tmp_path / "bad.fif").write_bytes(b"none")
    with pytest.raises(BadRecording, match="a FIF"):
        require_uploaded(tmp_path / "bad.fif", {"bad.fif"})


def test_files_that_name_no_other_are_not_read(tmp_path):
    require_uploaded(tmp_path / "absent.edf", set())
