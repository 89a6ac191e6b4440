"""Arrays come out of a pickle as Python itself would read them, and nothing else does."""

import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gbvnet.datasets.formats.numpy_pickle import UnsafePickle, read_pickle

KINDS = [f"{order}{kind}" for order in "<>" for kind in ("f4", "f8", "i2", "i8", "u4", "b1")]
ARRAYS = st.sampled_from(KINDS).flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_side=0, max_side=4)))


def read(tmp_path, data):
    (tmp_path / "a.dat").write_bytes(data)
    return read_pickle(tmp_path / "a.dat")


@pytest.mark.journey
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3), st.integers(0, 4), st.booleans())
def test_arrays_are_those_that_pickle_reads(tmp_path_factory, held, protocol, turned):
    if turned:
        held = {name: np.asfortranarray(array) for name, array in held.items()}
    data = pickle.dumps(held, protocol=protocol)
    got, wanted = read(tmp_path_factory.mktemp("p"), data), pickle.loads(data)
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


def python2(array, text):
    """As cPickle of Python 2 wrote an array under a name, protocol 2; text and bytes are the same there."""
    shape = b"".join(b"K" + bytes([n]) for n in array.shape) + (b"\x85" if array.ndim == 1 else b"\x86")
    raw = array.tobytes()
    return (
        b"\x80\x02}q\x01U" + bytes([len(text)]) + text.encode() + b"q\x02cnumpy.core.multiarray\n_reconstruct\nq\x03"
        b"cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01" + shape + b"cnumpy\ndtype\nq\x06U\x02f8"
        b"K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(raw)) + raw + b"tbs."
    )  # fmt: skip


def test_a_pickle_of_python_2_is_read(tmp_path):
    array = np.random.default_rng(0).standard_normal((3, 4))
    data = python2(array, "labels")
    np.testing.assert_array_equal(pickle.loads(data, encoding="latin1")["labels"], array)  # it is one
    np.testing.assert_array_equal(read(tmp_path, data)["labels"], array)


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def forged():
    """A type that holds objects and says it does not, so that NumPy would take the file's bytes for addresses."""
    kind = Calls(np.dtype, "V8", False, True,
                 state=(3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))  # fmt: skip
    make = np.zeros(0).__reduce__()[0]
    return Calls(make, np.ndarray, (0,), b"b", state=(1, (1,), kind, False, b"A" * 8))


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (Calls(os.getpid), r"(posix|nt)\.getpid, which no array needs"),
        (np.array([{}], object), "an array of 'O8', and not of numbers"),
        (np.array(["a"]), "an array of 'U1', and not of numbers"),
        (np.zeros(2, [("a", "f8")]), "an array of 'V8', and not of numbers"),
        (Calls(np.ndarray, (10**12,)), "calls a function that makes no array"),  # would ask for terabytes
        (Calls(np.dtype, "f8", state=(3,) * 8), "where only text makes sense"),
        ({1: 2}, "a int where only text makes sense"),
        ({(): 2}, "a tuple where only text makes sense"),
        ({1.5}, "has the instruction"),
        (1.5, "has the instruction b'G'"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, held, message):
    with pytest.raises(UnsafePickle, match=message):
        read(tmp_path, pickle.dumps(held, protocol=4))


def test_a_forged_type_is_refused(tmp_path):
    with pytest.raises(UnsafePickle, match="an array of 'V8'"):
        read(tmp_path, pickle.dumps({"data": forged()}, protocol=2))


def test_tuples_in_tuples_cost_no_time(tmp_path):
    """As a key, whose hash is worked out anew at each level, this one would keep Python busy for years."""
    with pytest.raises(UnsafePickle, match="where only text makes sense"):
        read(tmp_path, b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"Ns.")


def test_an_array_is_as_long_as_it_says(tmp_path):
    data = pickle.dumps(np.zeros((2, 3)), protocol=3)
    for at in range(len(data)):
        with pytest.raises((ValueError, EOFError, IndexError, KeyError, AttributeError)):
            read(tmp_path, data[:at])
    with pytest.raises(ValueError, match="cannot reshape"):
        read(tmp_path, data.replace(b"K\x02K\x03", b"K\x02K\x04"))
