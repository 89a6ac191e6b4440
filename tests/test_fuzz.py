"""No file makes a parser do anything but take it or refuse it with a GbvnetError. `make fuzz` runs far longer."""

import time
import warnings
from collections import Counter
from random import Random

import pytest

from gbvnet.errors import BadInput

from .fuzz import hunt as hunting
from .fuzz.hunt import HuntResult, hunt, tried
from .fuzz.mutate import LONGEST, corrupt
from .fuzz.targets import Target, targets

UNFINISHED = {"audit"}  # a sound one is refused too: the runs that it names are not there


@pytest.mark.journey
@pytest.mark.parametrize("name", targets())
def test_corrupted_files_are_taken_or_refused_with_an_error_of_the_package(name, tmp_path):
    target = targets()[name]
    result = hunt(target, max(8, min(200, 2 * target.share)), seed=1, keep=tmp_path)
    assert not result.faults, str(result)


@pytest.mark.journey
@pytest.mark.parametrize("name", sorted(set(targets()) - UNFINISHED))
def test_what_is_corrupted_was_sound_before(name):
    """Else nothing behind the first check would be reached."""
    target, result = targets()[name], HuntResult(name)
    for data in target.seeds:
        tried(target, data, result)
    assert result.refused < len(target.seeds), str(result)


@pytest.mark.parametrize("kind", ["bytes", "text", "json", "tensors"])
def test_the_same_seed_corrupts_in_the_same_way_and_many_ways(kind):
    seeds = (b'{"a": [1, "b"], "c": {"d": null}}\n1,2\n', b"x")
    one, other = ([corrupt(rng, seeds, kind) for _ in range(200)] for rng in (Random(1), Random(1)))
    assert one == other
    assert len(set(one)) > 100
    assert max(map(len, one)) <= LONGEST


def parses(data):
    if data == b"refused":
        raise BadInput("f", "a", "b")
    if data == b"slow":
        end = time.process_time() + 3
        while time.process_time() < end:
            pass
    if data == b"warns":
        warnings.warn("a parser that warns", RuntimeWarning, stacklevel=1)
    return {b"sound": 1}[data]


@pytest.mark.journey
@pytest.mark.parametrize(
    ("data", "what"),
    [(b"sound", None), (b"refused", None), (b"?", "KeyError"), (b"warns", "RuntimeWarning"), (b"slow", "TooSlow")],
)
def test_each_kind_of_failure_is_detected_counted_and_kept(data, what, tmp_path, monkeypatch):
    monkeypatch.setattr(hunting, "SLOW_S", 0.2)
    target, result = Target("a b", "bytes", (b"sound",), parses, 1), HuntResult("a b")
    for _ in range(2):
        tried(target, data, result, tmp_path)
    where = f"{what} at target"
    assert result.times == (Counter({where: 2}) if what else Counter())
    assert [file.read_bytes() for file in tmp_path.glob("a-b-*")] == ([data] if what else [])
    assert (result.tried, result.refused) == (2, 2 * (data == b"refused"))
    assert (f"FAULT 2 times: {where}" in str(result)) == bool(what)


@pytest.mark.journey
def test_guided_by_what_files_reach(tmp_path):
    pytest.importorskip("atheris")
    from .fuzz import guided

    result = guided.hunt(targets()["dat"], 500, 0, tmp_path)
    assert result.tried == 500 and not result.faults, str(result)
