"""Two trees are measured in turn, each by its own benchmarks, and the medians of rows that both have are compared."""

import json
import re

import pytest

from benchmarks.before_after import compare, main

BENCHMARK = """
from pathlib import Path

def measure():
    log = Path("../log.txt")
    done = log.read_text().split() if log.exists() else []
    log.write_text(" ".join([*done, "{tree}"]))
    yield {{"what": "a loop", "value": {base} + done.count("{tree}"), "unit": "s (of its own)"}}
    yield {{"what": "only {tree} has this", "value": 1, "unit": "x"}}
"""


@pytest.fixture
def trees(tmp_path):
    for tree, base in (("before", 8), ("after", 1)):
        (tmp_path / tree / "benchmarks").mkdir(parents=True)
        (tmp_path / tree / "benchmarks/__init__.py").touch()
        (tmp_path / tree / "benchmarks/loop.py").write_text(BENCHMARK.format(tree=tree, base=base))
    return tmp_path / "before", tmp_path / "after"


@pytest.mark.journey
def test_trees_are_measured_in_turn_and_their_medians_are_compared(trees, capsys):
    row, *alone = compare(*trees, ["loop:3"], 1)
    assert (row["benchmark"], row["what"], row["unit"], row["rounds"]) == ("loop", "a loop", "s", 3)
    assert (row["before"], row["after"], row["after / before"]) == (9, 2, pytest.approx(2 / 9))
    order = (trees[0].parent / "log.txt").read_text().split()
    assert order == ["before", "after", "after", "before", "before", "after"]
    assert [(r["what"], r["before"], r["after"], r["after / before"]) for r in alone] == [
        ("only before has this", 1, None, None),
        ("only after has this", None, 1, None),
    ]
    main([*map(str, trees), "loop", "--rounds", "1", "--out", str(out := trees[0].parent / "out.json")])
    assert "a loop" in (shown := capsys.readouterr().out) and re.search(
        r"only after has this +- +1 x +- 1 rounds", shown
    )
    assert len(json.loads(out.read_text())["rows"]) == 3


@pytest.mark.journey
def test_an_ended_run_goes_on_where_it_was(trees, tmp_path):
    record, log = tmp_path / "record.jsonl", tmp_path / "log.txt"
    first = compare(*trees, ["loop"], 1, record)
    rows = compare(*trees, ["loop"], 3, record)
    assert len(log.read_text().split()) == 6 and (rows[0]["before"], rows[0]["after"]) == (9, 2)
    assert compare(*trees, ["loop"], 3, record) == rows and len(log.read_text().split()) == 6
    assert compare(*trees, ["loop"], 1, record) == first and len(log.read_text().split()) == 6


@pytest.mark.journey
def test_a_benchmark_that_fails_is_reported_with_its_tree(trees):
    (trees[1] / "benchmarks/loop.py").write_text("def measure():\n    raise KeyError('no such thing')\n")
    with pytest.raises(SystemExit, match=r"(?s)after: the benchmark loop failed:.*no such thing"):
        compare(*trees, ["loop"], 1)
