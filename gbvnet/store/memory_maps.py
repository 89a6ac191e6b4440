"""Recordings' files as memory maps: arrays that are read from the disk when they are used."""

from collections import OrderedDict
from pathlib import Path

import numpy as np

from .format import DTYPES, data_file, read_header


def _max_open_files(wanted: int = 4096) -> int:
    """Return how many files may be open at once; the limit is raised if the system allows: DEAP has 1280 recordings."""
    try:
        import resource
    except ImportError:  # on Windows, where a process cannot set the limit
        return 512 + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(soft, limit)


class MemoryMaps:
    """Memory maps of recordings, opened on first use. Each holds a file open, so the number of maps is limited."""

    def __init__(self, path: Path):
        self.path = path
        self.open: OrderedDict[str, dict[str, np.ndarray]] = OrderedDict()
        self.limit = max(16, _max_open_files() - 512)

    def __getitem__(self, recording: str) -> dict[str, np.ndarray]:
        if recording in self.open:
            self.open.move_to_end(recording)
            return self.open[recording]
        while len(self.open) >= self.limit:
            self.open.popitem(last=False)
        file = data_file(self.path, recording)
        tensors, _, begin = read_header(file)
        content = np.memmap(file, dtype=np.uint8, mode="r")
        views: dict[str, np.ndarray] = {}
        for name, tensor in tensors.items():
            first, last = (begin + offset for offset in tensor.data_offsets)
            views[name] = np.asarray(content[first:last]).view(DTYPES[tensor.dtype]).reshape(tensor.shape)
        self.open[recording] = views
        return views
