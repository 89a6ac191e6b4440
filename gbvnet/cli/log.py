"""Log lines of the package on the terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from typing_extensions import override


class _Stderr(logging.Handler):
    """Write to the current sys.stderr, which a progress bar replaces so that lines stay above the bar."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


@contextmanager
def log_lines(verbose: bool) -> Iterator[None]:
    """Write the package's log lines to stderr while the block runs: warnings and what is done, all of it if verbose."""
    logger, handler = logging.getLogger("gbvnet"), _Stderr()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
