"""Plug-ins that tests have loaded are forgotten after them.

Every process that a command starts imports the plug-ins of its caller. Those of all tests before, many of which import
torch, made each process take 7 s of CPU time.
"""

import sys
from contextlib import contextmanager

from gbvnet import plugins


@contextmanager
def forgotten():
    """Forget the files that the block loads as plug-ins; those that were loaded before stay."""
    before = set(sys.modules)
    yield
    for name in [name for name in sys.modules if name.startswith(plugins._OWN) and name not in before]:
        del sys.modules[name]
    plugins._of_file.cache_clear()
