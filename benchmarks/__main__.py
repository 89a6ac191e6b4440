"""Run the benchmarks named on the command line, or all; print a table and write benchmarks/results/latest.json."""

import json
import platform
import sys
from importlib import import_module
from pathlib import Path

from gbvnet import __version__
from gbvnet.parallel.tasks import available_cores

ALL = ("starts", "signals", "reads", "faces", "training", "estimate", "export")
RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {available_cores()} cores"


def main(names: list[str]) -> None:
    print(f"gbvnet {__version__} on {machine()}\n")
    rows = []
    for name in names or ALL:
        for row in import_module(f"benchmarks.{name}").measure():
            rows.append({"benchmark": name, **row})
            print(
                f"{name:<9} {row['what']:<66} {row['value']:>10.4g} {row['unit']:<14} {row.get('aim', '')}", flush=True
            )
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "latest.json"
    kept = json.loads(file.read_text())["rows"] if names and file.exists() else []
    rows = [r for r in kept if r["benchmark"] not in names] + rows
    file.write_text(json.dumps({"gbvnet": __version__, "machine": machine(), "rows": rows}, indent=2) + "\n")
    print(f"\n{file}")


if __name__ == "__main__":
    main(sys.argv[1:])
