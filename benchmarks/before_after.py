"""The same benchmarks in two working trees of this repository, in turn: a machine that changes its speed changes it for
both.

python -m benchmarks.before_after BEFORE AFTER [NAME[:N] ...] [--rounds N] [--record FILE] [--out FILE]

Each tree is measured by its own benchmarks and its own package; rows of the same name are compared, by the medians over
N rounds. `git worktree add ../before COMMIT` makes such a tree. What is measured is appended to the file of --record, a
line of JSON for each benchmark of a tree in a round, and what stands there already is not measured again: a run that
was ended goes on. The comparison goes to the terminal, and as JSON into the file that --out names.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

from . import __main__ as all_benchmarks

CODE = "import json, sys; from importlib import import_module as of; rows = of('benchmarks.' + sys.argv[1]).measure()"
CODE += "; print('\\n' + json.dumps([[row['what'], row['value'], row['unit'].partition(' (')[0]] for row in rows]))"


def measure_once(tree: Path, name: str) -> list[tuple[str, float, str]]:
    """Run one benchmark of a tree in a process of its own; its rows are (what, value, unit).

    Raises SystemExit with what the process wrote last if it fails.
    """
    words = [sys.executable, "-c", CODE, name]
    done = subprocess.run(words, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{tree}: the benchmark {name} failed:\n{done.stderr[-2000:]}")
    return [tuple(row) for row in json.loads(done.stdout.splitlines()[-1])]


class Record:
    """What was measured, a line of JSON each in a file, or nowhere (None): ended runs go on where they were."""

    def __init__(self, file: Path | None):
        self.file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file and file.exists() else []
        self.rows = {self._key(of): of["rows"] for of in map(json.loads, lines)}

    @staticmethod
    def _key(of: dict) -> tuple:
        return of["tree"], of["commit"], of["benchmark"], of["round"]

    def of(self, tree: Path, name: str, number: int) -> list[tuple[str, float, str]]:
        """Return the rows of a benchmark of a tree in a round: as recorded, else measured now."""
        line = {"tree": str(tree), "commit": _commit(tree), "benchmark": name, "round": number}
        if (rows := self.rows.get(self._key(line))) is None:
            rows = measure_once(tree, name)
            if self.file:
                with self.file.open("a", encoding="utf-8") as f:
                    f.write(json.dumps(line | {"rows": rows}) + "\n")
        return rows


def _commit(tree: Path) -> str:
    """The commit that a tree stands at ("" if git knows none)."""
    words = ["git", "-C", str(tree), "rev-parse", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def compare(before: Path, after: Path, names: list[str], rounds: int, record: Path | None = None) -> list[dict]:
    """Return a row for each measurement: medians before and after, None of a tree that has none, and after / before.

    names : of benchmarks, each with its own number of rounds if it has one: "faces:2"
    """
    values: dict[tuple[str, str, str], dict[Path, list[float]]] = defaultdict(lambda: defaultdict(list))
    recorded = Record(record)
    parts = [name.partition(":") for name in names]
    of_each = {name: int(n or rounds) for name, _, n in parts}
    for number in range(max(of_each.values())):
        for name in (name for name, n in of_each.items() if number < n):
            for tree in (before, after) if number % 2 == 0 else (after, before):
                for what, value, unit in recorded.of(tree, name, number):
                    values[name, what, unit][tree].append(value)
            print(f"round {number + 1} of {of_each[name]}: {name}", file=sys.stderr, flush=True)
    rows = []
    for (name, what, unit), of in values.items():
        old, new = (median(of[tree]) if tree in of else None for tree in (before, after))
        ratio = new / old if old and new is not None else None
        row = {"benchmark": name, "what": what, "unit": unit, "rounds": of_each[name]}
        rows.append(row | {"before": old, "after": new, "after / before": ratio})
    return rows


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("names", nargs="*", default=all_benchmarks.ALL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FILE")
    given = parser.parse_args(words)
    before, after = given.before.resolve(), given.after.resolve()
    rows = compare(before, after, list(given.names), given.rounds, given.record)
    print(f"{all_benchmarks.machine()}, medians of rounds in turn\n")
    for row in rows:
        old, new, ratio = map(_text, (row["before"], row["after"], row["after / before"]))
        print(
            f"{row['benchmark']:<9} {row['what']:<80} {old:>10} {new:>10} {row['unit']:<14} {ratio:>7} "
            f"{row['rounds']} rounds"
        )
    if given.out:
        about = {"machine": all_benchmarks.machine(), "before": _commit(before), "after": _commit(after)}
        given.out.write_text(json.dumps(about | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
