"""Parallel tasks (recordings, fold trainings) in this process, in local processes, or on a Ray cluster.

A function that has tasks takes `jobs`, a number of local processes or a Cluster, and passes it on to `run`.
"""

import gc
import logging
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from typing_extensions import override

from ..errors import GbvnetError, TaskDied, os_error_message
from ..plugins import load_files, loaded_files
from .ray_cluster import Cluster
from .worker_pool import WorkerPool, WorkerSettings, give_back, take_pool

log = logging.getLogger(__name__)
LOGGER = "gbvnet"  # the logger whose lines a task sends back

Item = TypeVar("Item")
Jobs = int | Cluster
MAX_ATTEMPTS = 3  # a task whose process died, for example out of memory, is repeated up to this often

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "TORCHINDUCTOR_COMPILE_THREADS", "OPENCV_FOR_THREADS_NUM",
)  # fmt: skip
_GIVEN_THREADS = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # before `limit_threads` changes it; or 4,2


def available_cores() -> int:
    """Return the number of cores that this process may use; on a shared machine these may be fewer than all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_task(jobs: Jobs) -> int:
    """Return the number of threads of one task."""
    return jobs.cpus_per_task if isinstance(jobs, Cluster) else max(1, available_cores() // max(1, jobs))


def tasks_per_machine(jobs: Jobs) -> int:
    """Return how many tasks share the memory of this machine; on a cluster, of the node that calls it."""
    return max(1, available_cores() // jobs.cpus_per_task if isinstance(jobs, Cluster) else jobs)


def parallel_trainings(jobs: Jobs) -> int:
    """Return how many trainings run at once."""
    return max(1, jobs.slots() if isinstance(jobs, Cluster) else jobs)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    import torch

    given, n = os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count()
    names = map(str, range(n)) if given is None else (name.strip() for name in given.split(","))
    return list(names)[:n]


def limit_threads(threads: int) -> None:
    """Limit torch, BLAS and OpenCV to this many threads, whether they are imported already or later.

    Otherwise each process uses every core: two trainings on two cores then took 13 times as long. OMP_NUM_THREADS of
    the user is the most that is used: other programs may need the other cores.
    """
    threads = min(threads, int(_GIVEN_THREADS)) if _GIVEN_THREADS.isdecimal() and int(_GIVEN_THREADS) else threads
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "numpy" in sys.modules or "scipy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)


@contextmanager
def threads_restored() -> Iterator[None]:
    """Give back the caller's numbers of threads, and its environment, after a block that limits threads.

    A library that is imported within the block gets what `limit_threads` allows on all cores.
    """
    variables = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    restore = _thread_restorers()
    try:
        yield
    finally:
        limit_threads(available_cores())
        for set_before in restore:
            set_before()
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _thread_restorers() -> list[Callable[[], Any]]:
    """Return a function for each library that is imported, which sets its present number of threads again."""
    restore: list[Callable[[], Any]] = []
    if "torch" in sys.modules:
        restore.append(partial(sys.modules["torch"].set_num_threads, sys.modules["torch"].get_num_threads()))
    if "cv2" in sys.modules:
        restore.append(partial(sys.modules["cv2"].setNumThreads, sys.modules["cv2"].getNumThreads()))
    if "numpy" in sys.modules or "scipy" in sys.modules:
        from threadpoolctl import threadpool_limits

        restore.append(threadpool_limits().restore_original_limits)
    return restore


def run(
    function: Callable[[Item], Any],
    items: Iterable[Item],
    jobs: Jobs = 1,
    isolate: bool = False,
    uses_gpu: bool = False,
) -> Iterator[tuple[Item, Any | GbvnetError]]:
    """Call `function` on each item, `jobs` at once, and yield (item, result) as they end, in no fixed order.

    isolate : use another process even for one job: a damaged video may crash the library that decodes it
    uses_gpu : whether a task can use a GPU; processes share one GPU, and of several each takes the next in turn

    A GbvnetError is returned as the result, and so is one for a full disk or lack of memory: one bad item does not stop
    the others. Any other exception is a fault of gbvnet itself and is raised. With one job everything runs in this
    process. `function` and the items must be picklable. Log lines of other processes are logged here when a task ends.
    Leaving the loop early, or Ctrl-C, stops the other processes at once. Within `worker_pool.kept_workers` the
    processes of one call serve the next.
    """
    _stop_if_imported()
    items = list(items)
    if isinstance(jobs, Cluster):
        call = _RemoteCall(function, jobs.cpus_per_task, uses_gpu)
        for i, result in jobs.run(call, items, MAX_ATTEMPTS, uses_gpu):
            yield items[i], _log_and_unpack(result)
        return
    if not isolate and (jobs <= 1 or len(items) <= 1):
        for item in items:
            yield item, _call(function, item, uses_gpu)
        return
    call = _RemoteCall(function, uses_gpu=uses_gpu)
    resources = (threads_per_task(jobs), tuple(visible_gpus()) if uses_gpu else ())
    left, workers = list(range(len(items))), WorkerSettings(max(1, jobs), _limit_worker, resources)
    while left:
        suspects: list[int] = []  # in progress when a process died; which of them killed it is unknown
        for i, outcome in _run_pool(call, items, left, workers, suspects):
            left.remove(i)
            yield items[i], outcome
        for i in suspects:
            left.remove(i)
            yield items[i], _run_in_own_process(call, items[i], replace(workers, processes=1))


def _stop_if_imported() -> None:
    """Exit if this process is a worker that still imports the user's script: it must not run its commands again."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # the check that multiprocessing itself uses
        raise SystemExit(1)


def _require_started(pool: WorkerPool) -> None:
    """Raise GbvnetError if no worker of a broken pool had started: then no task can be the reason."""
    if not pool.ever_started:
        raise GbvnetError(
            "the worker processes ended before their first task. Each of them imports the script that was started: it "
            'must be a file whose commands stand below `if __name__ == "__main__":`. If they do, there is not enough '
            "memory to start the processes: use fewer jobs"
        ) from None


def _run_pool(
    call: "_RemoteCall", items: list[Item], todo: list[int], workers: WorkerSettings, suspects: list[int]
) -> Iterator[tuple[int, Any]]:
    """Run tasks in one pool until all are done or a process dies; the tasks in progress are then in `suspects`."""
    pool = take_pool(workers)
    futures: dict[Future, int] = {}
    all_ended = False
    try:
        for i in list(todo):
            futures[pool.submit(call, items[i])] = i
        while futures:
            ended, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in ended:
                outcome = _log_and_unpack(future.result())
                yield futures.pop(future), outcome
        all_ended = True
    except BrokenProcessPool:
        _require_started(pool)
        suspects += list(futures.values())[: 2 * workers.processes]  # in the order of submission
        log.warning("a worker process died; its task is repeated in a process of its own")
    finally:
        if all_ended:
            give_back(pool)
        else:
            pool.stop()


def _run_in_own_process(call: "_RemoteCall", item: Item, worker: WorkerSettings) -> Any | GbvnetError:
    for _ in range(MAX_ATTEMPTS - 1):  # the first attempt was in the pool
        pool = WorkerPool(worker)
        try:
            return _log_and_unpack(pool.submit(call, item).result())
        except BrokenProcessPool:
            _require_started(pool)
        finally:
            pool.stop()
    return TaskDied(f"{item}: its process died {MAX_ATTEMPTS} times; is there enough memory, is the file undamaged?")


def _call(function: Callable[[Item], Any], item: Item, uses_gpu: bool) -> Any | GbvnetError:
    """Return what a function returns, or the error that counts as a result; nothing of it is left on a GPU."""
    outcome = _result_or_error(function, item)
    if uses_gpu:
        _free_gpu_memory(outcome)
    return outcome


def _result_or_error(function: Callable[[Item], Any], item: Item) -> Any | GbvnetError:
    try:
        return function(item)
    except GbvnetError as e:
        return e
    except (OSError, MemoryError, RuntimeError) as e:
        message = os_error_message(e)
        if message is None:
            raise
        return GbvnetError(message)


@dataclass(frozen=True)
class _RemoteCall:
    """A picklable call of a function in another process, which returns its result together with its log lines."""

    function: Callable[[Any], Any]
    threads: int | None = None  # None: already limited
    uses_gpu: bool = False
    level: int = field(default_factory=lambda: logging.getLogger(LOGGER).getEffectiveLevel())

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """The files of plug-ins are imported in the other process before objects of their classes are unpickled."""
        return _unpickled, (loaded_files(), pickle.dumps((self.function, self.threads, self.uses_gpu, self.level)))

    def __call__(self, item: Any) -> "_TaskResult":
        logger, collector = logging.getLogger(LOGGER), _LogCollector()
        before = logger.level
        logger.addHandler(collector)
        logger.setLevel(self.level)
        if self.threads:
            limit_threads(self.threads)
        try:
            outcome = _call(self.function, item, self.uses_gpu)
        finally:
            logger.removeHandler(collector)
            logger.setLevel(before)
        return _TaskResult(outcome, collector.lines)


def _free_gpu_memory(outcome: Any) -> None:
    """Free what a task that has ended holds on a GPU, if it used one: the next task, or other processes, may need the
    memory. A training holds itself in a ring, and an error holds what its functions had."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    error: BaseException | None = outcome if isinstance(outcome, GbvnetError) else None
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
    gc.collect()
    torch.cuda.empty_cache()


def _unpickled(files: tuple[Path, ...], packed: bytes) -> _RemoteCall:
    load_files(files)
    return _RemoteCall(*pickle.loads(packed))  # noqa: S301 - it comes from the calling command, not from a file


class _TaskResult(NamedTuple):
    outcome: Any
    lines: list[tuple[int, str]]  # level and text


class _LogCollector(logging.Handler):
    """A handler that collects log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, self.format(record)))


def _log_and_unpack(result: Any) -> Any:
    """Log the lines of another process, and return its outcome. A TaskDied is returned as it is."""
    if not isinstance(result, _TaskResult):
        return result
    for level, line in result.lines:
        log.log(level, "%s", line)
    return result.outcome


def _limit_worker(number: int, threads: int, gpus: Sequence[str]) -> None:
    """Begin a worker: its share of the threads, and one of several GPUs."""
    if len(gpus) > 1:  # CUDA reads it at its first use, which is still to come
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    limit_threads(threads)
