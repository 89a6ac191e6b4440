"""The same hunt guided by coverage: atheris (pip install 'gbvnet[fuzz]') keeps the files that reach code no file before
them reached, and corrupts those further, half the time with its own changes and half the time with mutate.py's.

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

from .hunt import HuntResult
from .targets import Target


def hunt(target: Target, count: int, seed: int, keep: Path) -> HuntResult:
    """`count` files; for the same seed the same, as far as the machine lets libFuzzer be. A process that dies is a
    fault too, and the file that killed it lies in `keep`."""
    if find_spec("atheris") is None:
        raise SystemExit("--guided needs atheris: pip install 'gbvnet[fuzz]'")
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gbvnet-guided-") as name:
        corpus, result_file = Path(name) / "corpus", Path(name) / "result.json"
        corpus.mkdir()
        for k, data in enumerate(target.seeds):
            (corpus / f"{k}").write_bytes(data)
        words = [target.name, str(count), str(seed), corpus, keep, result_file]
        command = [sys.executable, "-m", "tests.fuzz.reached", *words]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if result_file.exists():
            counts = json.loads(result_file.read_text())
            return HuntResult(**(counts | {"times": Counter(counts["times"])}))
    where = f"its process ended with {done.returncode}"
    return HuntResult(target.name, 1, faults={where: f"{where}: {done.stderr[-500:]}"}, times=Counter({where: 1}))
