"""A store at an address is copied once, whole or not at all, and nothing is ever written there."""

import importlib.util
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

from gbvnet import open_store
from gbvnet.cli.main import main
from gbvnet.config import CrossvalConfig
from gbvnet.errors import BadConfig, BadStore
from gbvnet.experiments.crossval import cross_validate
from gbvnet.io.remote import fetch_store, is_address
from gbvnet.store.feature_cache import FeatureCache

from ..synthetic_store import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("here") / "deap.store", subjects=3, trials=4, windows=2)


@pytest.fixture
def away(store, tmp_path, monkeypatch):
    """The same store in fsspec's memory, and a cache of one's own."""
    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    memory.put(f"{store.path}/", "/bucket/deap.store/", recursive=True)
    yield "memory://bucket/deap.store"
    memory.rm("/bucket", recursive=True)


def same(one, other):
    rows = np.arange(len(one))
    assert one.digest == other.digest
    for mine, theirs in zip(one.read(rows), other.read(rows), strict=True):
        assert np.array_equal(mine, theirs)


def test_an_address_is_distinguished_from_a_path():
    assert all(map(is_address, ["s3://a/b", "s3:/a/b", "https://x.org/s", Path("gs://a/b")]))
    assert not any(map(is_address, ["a/b", "/a/b", "C:/a", "C:\\a", "s3/b", "./s3:x", Path("a")]))


@pytest.mark.journey
def test_a_store_at_an_address_is_read_as_one_that_is_here(away, store):
    same(open_store(away), store)
    same(open_store(Path(away)), store)  # a Path has lost one / of two
    same(FeatureCache(open_store(away)), store)


@pytest.mark.journey
def test_what_was_brought_once_is_not_brought_again(away, store, monkeypatch):
    folder = fetch_store(away)
    files = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(files, "get_file", lambda *_, **__: pytest.fail("it is there already"))
    assert fetch_store(away) == folder


def test_a_copy_that_broke_off_goes_on(away, store, monkeypatch):
    files = type(fsspec.filesystem("memory"))
    plain, brought = files.get_file, []

    def fails_third(self, source, target, **more):
        brought.append(source)
        if len(brought) == 3:
            raise OSError("the line is cut")
        return plain(self, source, target, **more)

    monkeypatch.setattr(files, "get_file", fails_third)
    with pytest.raises(BadStore, match=r"the line is cut.*The files copied so far are kept"):
        open_store(away)
    same(open_store(away), store)
    assert len(brought) == 12 + 1  # the third one twice


@pytest.mark.journey
def test_a_store_that_changed_is_another_copy(away, store, tmp_path):
    first = fetch_store(away)
    more = write_store(tmp_path / "more", subjects=3, trials=5, windows=2)
    fsspec.filesystem("memory").put(f"{more.path}/", "/bucket/deap.store/", recursive=True)
    assert fetch_store(away) != first
    same(open_store(away), more)


def test_what_is_no_store_and_what_cannot_be_reached_is_reported(away):
    with pytest.raises(BadStore, match=r"expected a finished store, found no .*store\.json"):
        open_store("memory://bucket/other")
    with pytest.raises(BadConfig, match="nowhere://x: Protocol not known: nowhere"):
        open_store("nowhere://x")


@pytest.mark.journey
@pytest.mark.parametrize(
    "words",
    [
        ["prepare", "deap", "/data", "s3://bucket/store"],
        ["prepare", "deap", "s3://bucket/deap", "store"],
        ["crossval", "store", "s3://bucket/run"],
        ["reproduce", "store", "s3://bucket/out"],
        ["report", "s3://bucket/run", "report"],
        ["train", "store", "s3://bucket/model"],
    ],
)
def test_nothing_is_written_to_an_address(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "expected a folder of a file system, local or shared, found an address" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nor_from_python(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = CrossvalConfig(system="majority", modality="bio", target="valence", folds=2)
    with pytest.raises(BadConfig, match="found an address"):
        cross_validate(store, "s3://bucket/run", config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.journey
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("moto", "s3fs")), reason="moto and s3fs are not installed"
)
def test_a_store_in_an_s3_bucket(store, tmp_path, monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "synthetic", "AWS_SECRET_ACCESS_KEY": "synthetic", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "GBVNET_CACHE": str(tmp_path / "cache"),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        bucket = fsspec.filesystem("s3")
        bucket.mkdir("bucket")
        bucket.put(f"{store.path}/", "bucket/deap.store/", recursive=True)
        same(open_store("s3://bucket/deap.store"), store)
        monkeypatch.chdir(tmp_path)
        words = ["crossval", "s3://bucket/deap.store", "run", "--system", "ridge", "--modality", "bio", "--folds", "2"]
        assert main([*words, "--target", "valence"]) == 0
        with pytest.raises(BadStore, match="expected a finished store, found no"):
            open_store("s3://bucket/nothing")
    finally:
        server.stop()
    shutil.rmtree(tmp_path / "cache")
