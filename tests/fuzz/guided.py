"""The same hunt guided by coverage: atheris keeps the files that reach code no file before them reached.

libFuzzer, which atheris is made of, ends its process; so each parser gets one of its own. It starts anew after each
fault, since it stops at the first.
"""

from pathlib import Path

from .hunt import Found
from .targets import Target


def hunt(target: Target, count: int, seed: int, keep: Path) -> Found:
    raise NotImplementedError
