"""The same benchmarks in two working trees of this repository, in turn: a machine that changes its speed changes it for
both.

python -m benchmarks.before_after BEFORE AFTER [NAME ...] [--rounds N]      e.g. ../before . starts signals reads

Each tree is measured by its own benchmarks and its own package; rows of the same name are compared, by the medians over
rounds. `git worktree add ../before COMMIT` makes such a tree.
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


def compare(before: Path, after: Path, names: list[str], rounds: int) -> list[dict]:
    """Return a row for each measurement that both trees have: medians before and after, and after / before."""
    values: dict[tuple[str, str, str], dict[Path, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for name in names:
            for tree in (before, after) if number % 2 == 0 else (after, before):
                for what, value, unit in measure_once(tree, name):
                    values[name, what, unit][tree].append(value)
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
    rows = []
    for (name, what, unit), of in values.items():
        if len(of) == 2:
            old, new = median(of[before]), median(of[after])
            ratio = new / old if old else float("nan")
            rows.append(
                {"benchmark": name, "what": what, "unit": unit, "before": old, "after": new, "after / before": ratio}
            )
    return rows


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("names", nargs="*", default=all_benchmarks.ALL)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(words)
    rows = compare(given.before.resolve(), given.after.resolve(), list(given.names), given.rounds)
    print(f"{all_benchmarks.machine()}, {given.rounds} rounds in turn\n")
    for row in rows:
        print(
            f"{row['benchmark']:<9} {row['what']:<80} {row['before']:>10.4g} {row['after']:>10.4g} {row['unit']:<14} "
            f"{row['after / before']:>7.3f}"
        )


if __name__ == "__main__":
    main()
