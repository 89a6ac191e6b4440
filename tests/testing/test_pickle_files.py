"""Pickles are recognised under any name and in any package, and nothing else is taken for one."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import zlib

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from gbvnet.testing.pickle_files import pickle_files

VALUE = {"weights": [1.0, 2.0], "name": "scaler"}


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def torch_file():
    content = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, content)
    return content.getvalue()


def gzipped(content: bytes) -> bytes:
    """Without the time of day, which would give each process other names of tests."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    "content",
    [
        *(pickle.dumps(VALUE, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
        *(compress(pickle.dumps(VALUE)) for compress in (gzipped, bz2.compress, lzma.compress, zlib.compress)),
        zlib.compress(pickle.dumps(VALUE), 9),
        torch_file(),
        npz(names=np.array([VALUE], object)),
    ],
)
def test_a_pickle_is_recognised_whatever_it_is_called(content, tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "model.bin").write_bytes(content)
    (named,) = pickle_files(tmp_path)
    assert named.startswith("part/model.bin (")


@pytest.mark.parametrize(
    "content",
    [
        save({"weights": np.zeros((3, 4), np.float32)}),
        json.dumps(VALUE).encode(),
        b"",
        b".",
        b"# a model\n\nof two weights.\n",
        npz(weights=np.zeros(3)),
        gzipped(b"text"),
        b"x\x9cnot compressed",
        b"PK not an archive",
        bytes(range(256)),
        np.random.default_rng(0).bytes(100_000),
    ],
)
def test_other_files_are_none(content, tmp_path):
    (tmp_path / "model.bin").write_bytes(content)
    assert pickle_files(tmp_path) == []


def test_names_of_pickles_are_enough(tmp_path):
    (tmp_path / "scaler.joblib").write_bytes(b"")
    assert pickle_files(tmp_path) == ["scaler.joblib (by its name)"]
