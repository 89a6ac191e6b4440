"""Time two or more things in turn, so that a machine that changes its speed changes it for all."""

import time
from collections.abc import Callable
from statistics import median


def in_turn(repeats: int, **things: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each, after one call that is not counted."""
    for thing in things.values():
        thing()
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for _ in range(repeats):
        for name, thing in things.items():
            begin = time.perf_counter()
            thing()
            seconds[name].append(time.perf_counter() - begin)
    return {name: median(s) for name, s in seconds.items()}
