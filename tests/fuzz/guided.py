"""The same hunt guided by coverage: atheris (pip install 'gbvnet[fuzz]') keeps the files that reach code no file before
them reached, and spoils those further, half the time with its own changes and half the time with mutate.py's.

libFuzzer, which atheris is made of, takes over its process, and only what is imported under its eyes can be watched: so
each parser gets a process, `python -m tests.fuzz.reached`.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from .hunt import Found
from .targets import Target


def hunt(target: Target, count: int, seed: int, keep: Path) -> Found:
    """`count` files; for the same seed the same, as far as the machine lets libFuzzer be. A process that dies is a
    fault too, and the file that killed it lies in `keep`."""
    if find_spec("atheris") is None:
        raise SystemExit("--guided needs atheris: pip install 'gbvnet[fuzz]'")
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gbvnet-guided-") as name:
        corpus, result = Path(name) / "corpus", Path(name) / "found.json"
        corpus.mkdir()
        for k, data in enumerate(target.seeds):
            (corpus / f"{k}").write_bytes(data)
        command = [sys.executable, "-m", "tests.fuzz.reached", target.name, str(count), str(seed), corpus, keep, result]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if result.exists():
            told = json.loads(result.read_text())
            return Found(**(told | {"times": Counter(told["times"])}))
    where = f"its process ended with {done.returncode}"
    return Found(target.name, 1, faults={where: f"{where}: {done.stderr[-500:]}"}, times=Counter({where: 1}))
