"""MATLAB files of versions 5 and 7.3: the values that scipy reads, a part at a time, and no harm from any bytes."""

import os
import sys
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbvnet.datasets.formats import matlab5
from gbvnet.datasets.formats.matlab import read_mat
from gbvnet.datasets.formats.matlab_value import MatValue
from gbvnet.datasets.synthetic.matlab_file import cells, mat_bytes
from gbvnet.errors import BadConfig, BadRecording


def plain(value: MatValue):
    """The whole content of a value."""
    if value.kind == "cell":
        return [plain(value.cell(k)) for k in range(value.size)]
    if value.kind == "struct":
        return {name: plain(value.field(name)) for name in value.fields()}
    return value.text() if value.kind == "char" else value.numbers()


def by_scipy(value):
    """The same of a value as scipy.io.loadmat gives it."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        return {name: by_scipy(value[name][0, 0]) for name in value.dtype.names}
    if value.dtype.kind == "U":
        return str(value[0]) if value.size else ""
    return [by_scipy(x) for x in value.ravel(order="F")] if value.dtype.kind == "O" else value


def equal(one, other) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, str):
        return one == other
    same = one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return same and one.dtype.kind == other.dtype.kind


DTYPES = ["f8", "f4", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


@st.composite
def arrays(draw):
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from(DTYPES))
    x = rng.normal(0, 100, shape)
    return np.abs(x).astype(dtype) if dtype[0] == "u" else x.astype(dtype)


TEXTS = st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), min_size=1, max_size=9)
FIELD_NAMES = st.text("abcXYZ_1", min_size=1, max_size=20).filter(lambda name: name[0].isalpha())
VALUES = st.recursive(
    arrays() | TEXTS,
    lambda part: (
        st.lists(part, min_size=1, max_size=4).map(cells) | st.dictionaries(FIELD_NAMES, part, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.journey
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(variables=st.dictionaries(FIELD_NAMES, VALUES, min_size=1, max_size=3), packed=st.booleans())
def test_values_are_those_that_scipy_reads(tmp_path, variables, packed):
    path = tmp_path / f"{os.urandom(8).hex()}.mat"
    scipy.io.savemat(path, variables, do_compression=packed)
    wanted = {name: by_scipy(x) for name, x in scipy.io.loadmat(path).items() if not name.startswith("__")}
    got = read_mat(path)
    assert equal({name: plain(value) for name, value in got.items()}, wanted)
    path.unlink()


@pytest.mark.journey
@pytest.mark.parametrize("mat73", [False, True])
def test_both_versions_hold_the_same(tmp_path, mat73):
    if mat73:
        pytest.importorskip("h5py")
    variables = {
        "x": np.arange(12.0).reshape(4, 3), "flag": np.array([[True, False]]), "empty": np.zeros((0, 3)),
        "s": {"films": cells([np.arange(3), "ab", {"deep": 2.5}], (3, 1)), "name": "hällo", "none": ""},
    }  # fmt: skip
    content = mat_bytes(variables, mat73)
    assert content == mat_bytes(variables, mat73) and b"synthetic data" in content[:116]
    (tmp_path / "x.mat").write_bytes(content)
    got = read_mat(tmp_path / "x.mat")
    assert np.array_equal(got["x"].numbers(), variables["x"]) and got["x"].shape == (4, 3)
    assert got["flag"].numbers().tolist() == [[True, False]] and got["empty"].shape == (0, 3)
    s = got["s"]
    assert set(s.fields()) == {"films", "name", "none"}
    assert (s.field("name").text(), s.field("none").text()) == ("hällo", "")
    films = s.field("films")
    assert (films.kind, films.shape, films.name) == ("cell", (3, 1), "s.films")
    assert films.cell(0).numbers().ravel().tolist() == [0, 1, 2] and films.cell(1).text() == "ab"
    assert films.cell(2).field("deep").numbers() == 2.5 and films.cell(2).field("deep").name == "s.films{3}.deep"


def big_struct(path):
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 4000, (80_000, 14)) * 0.5 for _ in range(6)]
    path.write_bytes(mat_bytes({"D": {"x": cells(parts), "last": 7.0}, "after": 1.0}))
    return parts


@pytest.mark.journey
def test_parts_are_read_in_any_order_and_a_subject_costs_no_memory_of_the_others(tmp_path):
    path = tmp_path / "big.mat"
    parts = big_struct(path)
    top = read_mat(path)["D"]
    assert top.field("last").numbers() == 7
    for number in (4, 0, 5, 2, 2):
        assert np.array_equal(top.field("x").cell(number).numbers(), parts[number])
    source = top._content.source
    assert len(source._places) > 4  # copies of the decompressor, so that going back is cheap
    assert sum(len(place.waiting) for place in source._places) < 3_000_000
    assert read_mat(path)["after"].numbers() == 1


@pytest.mark.journey
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_of_a_truncated_file_the_parts_before_its_end_are_there(tmp_path, share):
    parts, path = big_struct(tmp_path / "big.mat"), tmp_path / "cut.mat"
    content = (tmp_path / "big.mat").read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    x = read_mat(path)["D"].field("x")
    whole = int(share * 6)
    assert np.array_equal(x.cell(whole - 1).numbers(), parts[whole - 1])
    with pytest.raises(
        BadRecording, match=r"expected a whole MATLAB file with D.x\{6\}, found it is truncated\..*fetch"
    ):
        x.cell(5).numbers()


def test_a_flipped_bit_is_noticed_by_the_checksum_at_the_end(tmp_path):
    path = tmp_path / "bad.mat"
    path.write_bytes(mat_bytes({"x": np.random.default_rng(0).normal(size=(500, 3))}))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(BadRecording, match="compressed bytes are damaged"):
        read_mat(path)["x"].numbers()


def test_more_bytes_than_a_variable_needs_are_no_error(tmp_path):
    """As in files that scipy refuses unless it is asked not to compare."""
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": np.arange(3.0)})
    content = path.read_bytes()
    packed = zlib.compress(content[128:] + bytes(64))
    path.write_bytes(content[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed)
    with pytest.raises(ValueError, match="Did not fully consume"):
        scipy.io.loadmat(path)
    assert read_mat(path)["x"].numbers().tolist() == [[0, 1, 2]]


def test_the_other_order_of_bytes_is_read(tmp_path):
    """As a big-endian machine wrote it, field by field."""
    flags, shape = np.array([6, 8, 6, 0], ">u4"), np.array([5, 8, 1, 2], ">u4")
    name = np.array([(1 << 16) | 1], ">u4").tobytes() + b"x\0\0\0"
    inside = flags.tobytes() + shape.tobytes() + name + np.array([9, 16], ">u4").tobytes()
    inside += np.array([1.5, -2.0], ">f8").tobytes()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    (tmp_path / "x.mat").write_bytes(head + np.array([14, len(inside)], ">u4").tobytes() + inside)
    assert scipy.io.loadmat(tmp_path / "x.mat")["x"].tolist() == [[1.5, -2]]
    assert read_mat(tmp_path / "x.mat")["x"].numbers().tolist() == [[1.5, -2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a MATLAB file of version 5 to 7.3, found 0 bytes"),
        (b"hello", "found 5 bytes that begin with b'hello'"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1??", "order of bytes is not known"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\x63\0\0\0\x08\0\0\0" + bytes(8), "an element of type 99"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\x0f\0\0\0\x08\0\0\0" + bytes(8), "compressed bytes are"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\x0e\0\0\0\xff\0\0\0" + bytes(8), "type 0 where one"),
    ],
)
def test_what_is_no_matlab_file_is_refused_with_what_it_is(tmp_path, content, message):
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(BadRecording, match=message):
        read_mat(tmp_path / "x.mat")
    with pytest.raises(BadRecording, match="No such file"):
        read_mat(tmp_path / "y.mat")


def test_values_of_another_kind_are_refused_with_their_place(tmp_path):
    path = tmp_path / "x.mat"
    held = {"x": np.arange(3.0), "z": np.array([1 + 2j]), "c": cells(["a"]), "t": np.array(["ab", "cd"])}
    held |= {"s": {"p": 1.0}, "sparse": scipy.sparse.eye(3)}
    scipy.io.savemat(path, held | {"many": np.array([(1,), (2,)], [("p", "O")])})
    got = read_mat(path)
    for call, message in [
        (lambda: got["x"].text(), "expected text in one row in x, found double of 1 x 3"),
        (lambda: got["z"].numbers(), "expected real numbers in z"),
        (lambda: got["t"].text(), "expected text in one row in t, found char of 2 x 2"),
        (lambda: got["c"].cell(1), "expected a cell array of at least 2 cells in c, found cell of 1 x 1"),
        (lambda: got["x"].cell(0), "expected a cell array of at least 1 cells in x"),
        (lambda: got["s"].field("q"), "expected a field q in s, found p"),
        (lambda: got["many"].field("p"), "expected one struct in many, found struct of 1 x 2"),
        (lambda: got["sparse"].numbers(), "expected numbers in sparse, found sparse of 3 x 3.*Save it from MATLAB as"),
    ]:
        with pytest.raises(BadRecording, match=message):
            call()


@pytest.mark.parametrize(("number", "kind"), [(3, "object"), (16, "function"), (17, "opaque object")])
def test_objects_and_functions_of_matlab_are_refused(tmp_path, number, kind):
    """A function handle, say, is a variable of class 16."""
    inside = np.array([6, 8, number, 0], "<u4").tobytes() + bytes(16)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    named = np.array([6, 8, 1, 0, 5, 8, 1, 1], "<u4").tobytes()  # a cell f with it inside
    named += np.array([(1 << 16) | 1], "<u4").tobytes() + b"f\0\0\0"
    named += np.array([14, len(inside)], "<u4").tobytes() + inside
    (tmp_path / "x.mat").write_bytes(head + np.array([14, len(named)], "<u4").tobytes() + named)
    with pytest.raises(
        BadRecording, match=rf"expected numbers in f\{{1\}}, found {kind}\. Save it from MATLAB as plain"
    ):
        read_mat(tmp_path / "x.mat")["f"].cell(0).numbers()


def test_sizes_that_the_file_cannot_hold_take_no_memory(tmp_path, monkeypatch):
    """A cell array of two billion cells, and an array larger than any recording."""
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    named = np.array([6, 8, 1, 0, 5, 8, 2_000_000_000, 1], "<u4").tobytes()
    named += np.array([(1 << 16) | 1], "<u4").tobytes() + b"f\0\0\0" + bytes(32)
    (tmp_path / "x.mat").write_bytes(head + np.array([14, len(named)], "<u4").tobytes() + named)
    with pytest.raises(BadRecording, match="cell of 2000000000 x 1 in"):
        read_mat(tmp_path / "x.mat")["f"].cell(1)
    monkeypatch.setattr(matlab5, "LARGEST", 1000)
    (tmp_path / "y.mat").write_bytes(mat_bytes({"x": np.zeros((500, 1))}))
    with pytest.raises(BadRecording, match="4,000 bytes in one element, where 1,000 are the most"):
        read_mat(tmp_path / "y.mat")["x"].numbers()


# ---------------------------------------------------------------- version 7.3


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + bytes(100))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(BadRecording, match=r"expected the package h5py .*version 7.3, found none.*gbvnet\[mat73\]"):
        read_mat(tmp_path / "x.mat")
    with pytest.raises(BadConfig, match=r"mat73: it needs the package h5py"):
        mat_bytes({"x": 1.0}, mat73=True)


def test_damaged_files_and_links_to_elsewhere_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.mat"
    whole = mat_bytes({"x": np.arange(9000.0), "c": cells([1.0])}, mat73=True)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadRecording, match="one that h5py cannot open"):
        read_mat(path)
    path.write_bytes(whole)
    (tmp_path / "secret").write_bytes(bytes(80))
    with h5py.File(path, "r+") as file:
        file["linked"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(BadRecording, match="linked: a link to elsewhere"):
        read_mat(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.create_dataset("raw", (10,), "f8", external=[(str(tmp_path / "secret"), 0, 80)])
        file["raw"].attrs["MATLAB_class"] = np.bytes_("double")
    with pytest.raises(BadRecording, match="its values are in another file"):
        read_mat(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["x"].attrs["MATLAB_class"] = np.bytes_("function_handle")
    with pytest.raises(BadRecording, match="expected numbers in x, found function_handle of 1 x 9000"):
        read_mat(path)["x"].numbers()
