"""A store is whole or says what is missing, and gives back exactly what was put in."""

import json
import os
import stat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gbvnet.errors import BadStore, GbvnetError
from gbvnet.io.atomic import atomic_write
from gbvnet.store import memory_maps, writer
from gbvnet.store.format import data_file
from gbvnet.store.reader import open_store
from gbvnet.store.writer import create_store, finish_store, prepared_recording, write_recording

SETTINGS = {
    "dataset": "deap",
    "synthetic": True,
    "prepare": {"window_s": 1.0, "baseline": "mean"},
    "channels": [["Fp1", "eeg"], ["GSR", "gsr"]],
    "rate_hz": 4.0,
    "samples_per_window": 4,
    "frames_per_window": 2,
    "face_side": 3,
    "baseline_s": 3.0,
    "labels": {"valence": {"scale": [1, 9]}, "arousal": {"scale": [1, 9]}},
    "versions": {"gbvnet": "0"},
}


def arrays(n, seed, faces=True, signals=True):
    rng = np.random.default_rng(seed)
    made = {}
    if faces:
        made["faces"] = rng.integers(0, 256, (n, 2, 3, 3, 3), dtype=np.uint8)
        made["face_ok"] = rng.random((n, 2)) > 0.2
        made["expression"] = rng.random((n, 2, 52), dtype=np.float32)
    if signals:
        made["signals"] = rng.standard_normal((n, 2, 4)).astype(np.float32)
    return made


def about(name, n, faces=True, signals=True):
    return {
        "recording": name,
        "subject": name[:3],
        "trial": name[-2:],
        "stimulus": "07",
        "verdict": "ok",
        "reason": "",
        "findings": ["odd"],
        "ratings": {"valence": 6.5},
        "start_s": list(map(float, range(n))),
        "has_face": [faces] * n,
        "has_signals": signals,
        "n_windows": n,
    }


@pytest.fixture
def path(tmp_path):
    """Three recordings: whole, without a face, without signals."""
    path = tmp_path / "store"
    create_store(path, SETTINGS)
    made = []
    for i, (name, n, parts) in enumerate(
        [("s01_trial01", 3, {}), ("s01_trial02", 2, {"faces": False}), ("s02_trial01", 4, {"signals": False})]
    ):
        made.append(write_recording(path, name, arrays(n, i, **parts), about(name, n, **parts)))
    finish_store(path, [*made, {"recording": "s03_trial01", "subject": "s03", "verdict": "bad", "reason": "no face"}])
    return path


def test_what_is_read_is_what_was_written_in_the_requested_order(path):
    store = open_store(path)
    assert len(store) == 9
    faces, ok, signals = store.read([8, 0, 1, 2, 5])
    last, first = arrays(4, 2, signals=False), arrays(3, 0)
    assert (faces[0] == last["faces"][3]).all() and (ok[0] == last["face_ok"][3]).all()
    assert (faces[1:4] == first["faces"]).all() and (signals[1:4] == first["signals"]).all()
    assert (faces[4] == last["faces"][0]).all()
    assert (store.expression([1])[0] == first["expression"][1]).all()


def test_a_frame_without_a_face_has_no_expression(path):
    store = open_store(path)
    rows = np.flatnonzero(store.windows["has_face"])
    ok = store.read(rows)[1]
    assert 0 < ok.mean() < 1
    assert np.array_equal(np.isfinite(store.expression(rows)).all(axis=2), ok)
    assert np.array_equal(np.isnan(store.expression(rows)).all(axis=2), ~ok)


def test_an_absent_modality_is_zeros_and_not_ok(path):
    store = open_store(path)
    faces, ok, signals = store.read([3, 4, 5])  # two windows without a face, then one without signals
    assert not faces[:2].any() and not ok[:2].any() and signals[:2].any()
    assert not signals[2].any() and faces[2].any()
    assert np.isnan(store.expression([3])).all()
    assert store.windows["has_face"].tolist() == [True] * 3 + [False] * 2 + [True] * 4


def test_what_is_not_requested_is_not_read(path):
    assert open_store(path).read([0], faces=False)[:2] == (None, None)
    assert open_store(path).read([0], signals=False)[2] is None
    assert open_store(path).read([])[0].shape == (0, 2, 3, 3, 3)


def test_a_random_order_equals_single_reads(path):
    store = open_store(path)
    rows = np.random.default_rng(0).integers(0, 9, 50)
    together = store.read(rows)
    for i, row in enumerate(rows):
        for whole, one in zip(together, store.read([row]), strict=True):
            assert (whole[i] == one[0]).all()


def test_rows_that_do_not_exist_are_refused(path):
    with pytest.raises(GbvnetError, match="rows 0 to 8 exist, not 2 to 9"):
        open_store(path).read([2, 9])


def test_tables_hold_names_ratings_and_statuses(path):
    store = open_store(path)
    row = store.windows.iloc[4]
    assert (row.recording, row.subject, row.trial, row.stimulus, row.window) == ("s01_trial02", "s01", "02", "07", 1)
    assert row.start_s == 1.0 and row.valence == 6.5 and np.isnan(row.arousal)
    assert store.recordings["verdict"].tolist() == ["ok", "ok", "ok", "bad"]
    assert store.recordings.iloc[3]["reason"] == "no face"
    assert store.synthetic and store.title == "deap (synthetic data)"


def test_few_open_files_read_the_same(path, monkeypatch):
    monkeypatch.setattr(memory_maps, "_max_open_files", lambda: 0)
    store = open_store(path)
    store._maps.limit = 1
    rows = [0, 8, 1, 4, 7, 2]
    assert (store.read(rows)[0] == open_store(path).read(rows)[0]).all()
    assert len(store._maps.open) == 1


def test_the_bytes_depend_on_the_contents_alone(path, tmp_path):
    create_store(tmp_path / "again", SETTINGS)
    write_recording(tmp_path / "again", "s01_trial01", arrays(3, 0), about("s01_trial01", 3))
    assert data_file(tmp_path / "again", "s01_trial01").read_bytes() == data_file(path, "s01_trial01").read_bytes()


def test_other_settings_are_refused_by_name_and_the_same_go_on(path):
    create_store(path, SETTINGS)
    other = SETTINGS | {"prepare": {"window_s": 2.0, "baseline": "mean"}}
    with pytest.raises(BadStore, match=r"made with prepare\.window_s = 2\.0, found one made with 1\.0"):
        create_store(path, other)
    with pytest.raises(BadStore, match="synthetic = false"):
        create_store(path, SETTINGS | {"synthetic": False})


def test_other_versions_go_on_with_a_warning(path, caplog):
    create_store(path, SETTINGS | {"versions": {"gbvnet": "1"}})
    assert "begun with gbvnet 0, continued with gbvnet 1" in caplog.text


def test_a_folder_of_other_things_is_not_written_into(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BadStore, match="a folder with other things in it"):
        create_store(tmp_path, SETTINGS)


def test_what_is_missing_or_damaged_is_reported_with_the_remedy(path):
    file = data_file(path, "s01_trial01")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(BadStore, match=rf"expected {len(whole)} bytes, found {len(whole) - 1}.*prepare"):
        open_store(path).read([0])
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(BadStore, match="a safetensors file"):
        open_store(path).read([0])
    file.unlink()
    with pytest.raises(BadStore, match="no such file, as for 1 of 3 recordings"):
        open_store(path)
    (path / "windows.parquet").unlink()
    with pytest.raises(BadStore, match=r"expected a finished store, found no windows\.parquet"):
        open_store(path)
    with pytest.raises(BadStore, match=r"no store\.json"):
        open_store(path / "data")


def test_a_newer_format_is_refused(path):
    manifest = path / "store.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(BadStore, match="expected store format 3 or 2, found format 99"):
        open_store(path)


def test_a_full_disk_is_reported_before_anything_is_written(path, monkeypatch):
    class Usage:
        free = 10

    monkeypatch.setattr(writer.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(BadStore, match=r"expected room for .* MB, found 0\.0 MB free"):
        write_recording(path, "s09_trial01", arrays(3, 0), about("s09_trial01", 3))
    assert not data_file(path, "s09_trial01").exists()


def test_an_interrupted_write_leaves_nothing(path, monkeypatch):
    monkeypatch.setattr("gbvnet.io.atomic.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_recording(path, "s09_trial01", arrays(3, 0), about("s09_trial01", 3))
    assert not list((path / "data").glob("*s09*"))


def test_permissions_follow_the_umask_and_threads_never_see_another(tmp_path, monkeypatch):
    changed = []
    set_umask = os.umask
    before = set_umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: changed.append(mask))
        atomic_write(tmp_path / "a.json", b"{}")
        atomic_write(tmp_path / "a.json", b"[]")
    finally:
        set_umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640
    assert not changed  # the umask is one for all threads: whoever sets it, even for a moment, opens their files
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("place", ["no/such/folder.json", "file/a.json", "x" * 300])
def test_what_cannot_be_written_is_named_by_its_own_name(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=place[-50:]) as caught:
        atomic_write(tmp_path / place, b"")
    assert caught.value.filename == str(tmp_path / place)


def test_a_store_in_which_nothing_is_good_is_not_finished(path, tmp_path):
    bad = [{"recording": "s01", "subject": "s01", "verdict": "bad", "reason": "s01.dat: no such file."}]
    finish_store(path, bad)  # of recordings that were good before
    with pytest.raises(BadStore, match=r"all 1 of its recordings were refused.*s01\.dat: no such file.*prepare` again"):
        open_store(path)
    finish_store(path, [prepared_recording(path, "s01_trial01"), *bad])
    assert len(open_store(path)) == 3


def test_the_digest_distinguishes_contents(path, tmp_path):
    before = open_store(path).digest
    made = [write_recording(path, "s01_trial01", arrays(3, 99), about("s01_trial01", 3))]
    finish_store(path, made)
    assert open_store(path).digest != before


# What others may have done to a store


def write_header(file, change):
    """The same data under a changed header, its length stated correctly."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["signals"].update(data_offsets=[]),
        lambda h: h["signals"].update(data_offsets=["0", "1"]),
        lambda h: h["signals"].update(data_offsets=[-4, 92]),
        lambda h: h["signals"].update(shape=[3, 2, 5]),
        lambda h: h["signals"].update(shape=[-3, -2, 4]),
        lambda h: h["signals"].update(shape={"a": 1}),
        lambda h: h["signals"].update(dtype="F64"),
        lambda h: h["signals"].pop("dtype"),
        lambda h: h.update(signals=None),
        lambda h: h.update(__metadata__={"gbvnet": "[1]"}),
        lambda h: h.update(__metadata__={"gbvnet": "[" * 50_000}),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(path, change):
    file = path / "data" / "s01_trial01.safetensors"
    write_header(file, change)
    with pytest.raises(
        BadStore, match=r"s01_trial01.safetensors: expected .* Delete the file and run `gbvnet prepare`"
    ):
        open_store(path).read([0])


@pytest.mark.parametrize(
    ("shape", "dtype"), [([3, 1, 8], "F32"), ([2, 3, 4], "F32"), ([1, 2, 12], "F32"), ([3, 2, 16], "U8")]
)
def test_tensors_of_another_shape_are_not_stretched_over_their_place(path, shape, dtype):
    write_header(path / "data" / "s01_trial01.safetensors", lambda h: h["signals"].update(shape=shape, dtype=dtype))
    with pytest.raises(
        BadStore, match=r"expected signals of 3 windows with the store's settings, found (float32|uint8)"
    ):
        open_store(path).read([0, 1, 2], faces=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("frames_per_window"), "no `frames_per_window`"),
        (lambda s: s.update(synthetic=None), "synthetic: expected true or false, found None"),
        (lambda s: s.update(dataset=["deap"]), r"dataset: expected text, found \['deap'\]"),
        (lambda s: s.update(face_side=True), "face_side: expected a whole number, found True"),
        (lambda s: s.update(face_side=10**9), "face_side: expected a whole number <= 512, found 1000000000"),
        (lambda s: s.update(channels=["Fp1"]), r"channels\[0\]: expected a list, found 'Fp1'"),
        (lambda s: s.update(prepare={"windows": 1}), "did you mean prepare.window_s"),
        (lambda s: s.update(prepare={"window_s": "1"}), "settings of `gbvnet prepare`"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(path, change, message):
    settings = json.loads((path / "store.json").read_text())
    change(settings)
    (path / "store.json").write_text(json.dumps(settings))
    with pytest.raises(BadStore, match=rf"store.json: expected .*{message}"):
        open_store(path)


def test_a_table_with_text_that_is_no_utf_8_is_refused(path):
    table = pa.Table.from_pandas(open_store(path).windows)
    odd = pa.array([b"\xff"] * len(table)).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("trial"), "trial", odd), path / "windows.parquet")
    with pytest.raises(BadStore, match=r"windows.parquet: expected a table, found a file that cannot be read"):
        open_store(path)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="subject"), "found none named subject"),
        (lambda t: t.assign(window=t["window"] + 0.5), "integer in column window, found floating"),
        (lambda t: t.assign(window=t["window"] - 1), "numbers of windows from 0, found -1"),
        (lambda t: t.assign(subject=1), "string or empty in column subject, found integer"),
        (lambda t: t.assign(recording="../" + t["recording"]), r"names of files, found '\.\./s01_trial01'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_column(path, change, message):
    change(open_store(path).windows).to_parquet(path / "windows.parquet")
    with pytest.raises(BadStore, match=f"windows.parquet: expected .*{message}"):
        open_store(path)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"recording": "s09"}, "expected a file of recording s01_trial01, found one of s09"),
        ({"start_s": None}, "start_s: expected a list, found None"),
        ({"start_s": ["0"] * 3}, r"start_s\[0\]: expected a number"),
        ({"has_face": [True]}, "expected has_face of 3 windows, found 1"),
        ({"n_windows": 10**30}, "n_windows"),
        ({"sha256": 1}, "sha256: expected text, found 1"),
        ({"has_signals": 1}, "has_signals: expected true or false, found 1"),
    ],
)
def test_what_a_file_says_of_itself_is_checked_before_it_goes_into_the_tables(path, known, message):
    file = path / "data" / "s01_trial01.safetensors"
    metadata = json.dumps(about("s01_trial01", 3) | {"sha256": "0"} | known)
    write_header(file, lambda h: h.update(__metadata__={"gbvnet": metadata}))
    with pytest.raises(BadStore, match=message):
        prepared_recording(path, "s01_trial01")
