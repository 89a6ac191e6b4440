"""The peak memory of a piece of work is that of this work, whatever ran before in the process."""

import subprocess
import sys

import pytest

CODE = """
import gc
import sys
import numpy as np
from gbvnet.parallel.peak_memory import PeakMemory

def work(mb):  # in pieces so small that the allocator keeps them when they are freed
    return [np.ones(1000) for _ in range(mb * 125)]

if sys.argv[1] != "alone":
    freed = work(400)
    kept = freed[::1000]  # so that no freed piece is at the end of the heap
    if sys.argv[1] == "after a ring":  # as a training is, which holds its trainer, which holds it
        freed.append(freed)
    del freed
with PeakMemory() as peak:
    gc.collect()  # as Python may do at any moment: what it frees, the work would use again
    work(100)
with PeakMemory() as again:
    work(100)
print(peak.mb, again.mb)
"""


@pytest.mark.journey
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it")
@pytest.mark.parametrize("before", ["alone", "after more", "after a ring"])
def test_it_is_that_of_this_work_alone(before):
    shown = subprocess.run([sys.executable, "-c", CODE, before], capture_output=True, text=True, check=True).stdout
    assert list(map(float, shown.split())) == pytest.approx([100, 100], rel=0.15)
