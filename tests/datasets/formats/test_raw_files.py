"""A raw file that was replaced or corrected is noticed, also where its size is the same."""

import numpy as np
import pytest

from gbvnet.datasets.formats.raw_files import SAMPLE, SAMPLES, is_unchanged, parts, recording_bytes, samples


@pytest.mark.parametrize("at", [0, 3, 5 * SAMPLE, 10 * SAMPLE - 1])
def test_another_byte_at_the_begin_middle_or_end_is_noticed_and_a_copy_is_the_same(tmp_path, at):
    content = bytearray(np.random.default_rng(0).bytes(10 * SAMPLE))
    (tmp_path / "a.edf").write_bytes(content)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/b.edf").write_bytes(content)
    before = samples(tmp_path / "a.edf")
    assert samples(tmp_path / "copy/b.edf") == before
    content[at] ^= 1
    (tmp_path / "a.edf").write_bytes(content)
    assert samples(tmp_path / "a.edf") != before


@pytest.mark.parametrize(
    ("recording", "files"),
    [
        ("r.vhdr", ("r.vhdr", "other.eeg", "r.vmrk")),
        ("r.set", ("r.set", "r.fdt")),
        ("r.mff", ("r.mff/a/b.bin", "r.mff/info.xml")),
        ("r.edf", ("r.edf",)),
        ("sub-1_task-a_physio.tsv.gz", ("sub-1_task-a_physio.tsv.gz", "sub-1_task-a_physio.json")),
    ],
)
def test_a_header_stands_for_its_data_and_a_folder_for_its_files(tmp_path, recording, files):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = "DataFile=other.eeg\nMarkerFile=$b.vmrk\n" if name.endswith("vhdr") else "{}   "
        (tmp_path / name).write_text(text)
    assert parts(tmp_path / recording) == [tmp_path / name for name in files]
    whole = files if recording == "r.mff" else files[:1]
    assert recording_bytes(tmp_path / recording) == sum((tmp_path / name).stat().st_size for name in whole)
    for name in files:
        before = samples(tmp_path / recording)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + b"\t")
        assert samples(tmp_path / recording) != before


def test_what_an_earlier_version_kept_without_samples_is_compared_by_sizes():
    now = {"signals": 5, SAMPLES: {"signals": "ab"}}
    assert is_unchanged({"signals": 5}, now) and not is_unchanged({"signals": 6}, now)
    assert is_unchanged(now, dict(now)) and not is_unchanged(now, now | {SAMPLES: {"signals": "ac"}})


@pytest.mark.parametrize("name", [" ", ".", "/", "a\0b.eeg", "..", "../other.eeg"])
def test_names_in_a_header_that_are_no_files_are_no_error(tmp_path, name):
    (tmp_path / "r.vhdr").write_text(f"DataFile={name}\nMarkerFile=\n")
    assert samples(tmp_path / "r.vhdr") and all(file.parent == tmp_path for file in parts(tmp_path / "r.vhdr"))


def test_a_file_that_cannot_be_read_is_left_to_its_reader(tmp_path):
    assert samples(tmp_path / "absent.edf") == samples(tmp_path / "gone.edf")
