"""python -m tests.fuzz [--count N] [--seed N] [--only NAME] [--keep FOLDER]: a long run, and what it found.

Prints for each parser how many files it was given, how many it took, how many it refused with a GbvnetError, and in
how many seconds; ends with 1 if any other exception came up. `--guided` leaves the choice of changes to atheris, which
looks at what of the code each file reaches (see guided.py).
"""

import argparse
import sys
import time
from pathlib import Path

import gbvnet.inference.predict  # noqa: F401  now, with all it needs: the package may change while this runs

from . import guided
from .hunt import hunt
from .targets import targets


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="files in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=sorted(targets()), help="these parsers alone")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="where files that crash are kept")
    parser.add_argument("--guided", action="store_true", help="choose changes by what they reach; needs atheris")
    args = parser.parse_args()
    chosen = [targets()[name] for name in args.only or targets()]
    of, began, tried, faults = sum(t.share for t in chosen), time.perf_counter(), 0, 0
    for target in chosen:
        n = -(-args.count * target.share // of)  # rounded up
        result = guided.hunt(target, n, args.seed, args.keep) if args.guided else hunt(target, n, args.seed, args.keep)
        print(result, flush=True)
        tried, faults = tried + result.tried, faults + len(result.faults)
    print(f"{tried:,} files, {faults} different faults, {time.perf_counter() - began:,.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
