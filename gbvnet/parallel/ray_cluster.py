"""Tasks on the nodes of a Ray cluster: their resources, and what happens when a node dies.

Ray does the scheduling. Each node must have the same version of gbvnet and see the same folders under the same paths,
as on a shared disk: a task reads the store and writes its results there itself, and sends back only a short result.
"""

import logging
import os
import pickle
import platform
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import __version__
from ..errors import BadConfig, GbvnetError, TaskDied

log = logging.getLogger(__name__)

POLL_S = 5.0  # seconds between checks whether any node can still run the remaining tasks
NO_NODE_TIMEOUT_S = 120.0  # give up after this long without such a node; a node that restarts takes a while


@dataclass(frozen=True)
class Cluster:
    """A running Ray cluster; pass it as `jobs` instead of a number of local processes.

    address : `auto` for the cluster that this machine belongs to, else host:port, as `ray start` printed it
    cpus_per_task : CPU cores and threads of a task
    gpus_per_task : GPUs of a training; 0.25 puts four trainings on one GPU. None: one if the cluster has GPUs, else 0
    """

    address: str = "auto"
    cpus_per_task: int = 1
    gpus_per_task: float | None = None

    def __post_init__(self) -> None:
        if self.cpus_per_task < 1:
            raise BadConfig(f"--cpus_per_task {self.cpus_per_task}: give at least 1")
        if self.gpus_per_task is not None and (
            self.gpus_per_task < 0 or self.gpus_per_task > 1 != self.gpus_per_task % 1
        ):
            raise BadConfig(f"--gpus_per_task {self.gpus_per_task}: give a share of one GPU, or a whole number of them")

    def slots(self) -> int:
        """Return how many trainings run at once if nobody else uses the cluster. Raises BadConfig."""
        ray = _connect(self.address)
        return sum(_node_slots(node, *self._task_resources(ray, True)) for node in _alive_nodes(ray))

    def run(
        self, call: Callable[[Any], Any], items: Sequence[Any], max_attempts: int, uses_gpu: bool
    ) -> Iterator[tuple[int, Any]]:
        """Yield (position in items, call(item)) as tasks end, in no fixed order.

        max_attempts : a task whose process or node died is repeated; after so many attempts its result is a TaskDied
        uses_gpu : whether a task can use a GPU

        Raises BadConfig if there is no such cluster or no node with enough resources, GbvnetError if no such node
        remains. Leaving the loop early cancels the running tasks.
        """
        ray = _connect(self.address)
        cpus, gpus = self._task_resources(ray, uses_gpu)
        if not any(_node_slots(node, cpus, gpus) for node in _alive_nodes(ray)):
            raise BadConfig(
                f"--ray {self.address}: no node has the {cpus} CPUs and {gpus:g} GPUs of a task; the cluster has "
                + ", ".join(map(_describe_node, _alive_nodes(ray)))
            )
        # SPREAD: a task that ran out of memory is repeated on another node, if there is one.
        task = ray.remote(_run_task).options(num_cpus=cpus, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD")
        packed = ray.put(pickle.dumps(call))
        here = (os.getcwd(), __version__)
        running = {task.remote(packed, item, *here): i for i, item in enumerate(items)}
        attempts, last_slot_s = Counter(running.values()), time.monotonic()
        try:
            while running:
                ended, _ = ray.wait(list(running), timeout=POLL_S)
                for ref in ended:
                    i = running.pop(ref)
                    try:
                        outcome = ray.get(ref)
                    except ray.exceptions.RayTaskError:
                        raise  # a fault of gbvnet itself, with the traceback of the node
                    except ray.exceptions.RayError as error:
                        reason = _first_line(error)
                        if attempts[i] < max_attempts:
                            log.warning("%s: %s; the task is repeated", items[i], reason)
                            attempts[i] += 1
                            running[task.remote(packed, items[i], *here)] = i
                            continue
                        outcome = TaskDied(f"{items[i]}: it died {max_attempts} times, the last time from: {reason}")
                    yield i, outcome
                last_slot_s = self._require_node(ray, cpus, gpus, last_slot_s)
        finally:
            for ref in running:
                ray.cancel(ref, force=True)

    def _task_resources(self, ray: Any, uses_gpu: bool) -> tuple[int, float]:
        """Return the CPUs and GPUs of a task."""
        has_gpu = any(node["Resources"].get("GPU") for node in _alive_nodes(ray))
        gpus = self.gpus_per_task if self.gpus_per_task is not None else float(has_gpu)
        return self.cpus_per_task, gpus if uses_gpu else 0.0

    def _require_node(self, ray: Any, cpus: int, gpus: float, last: float) -> float:
        """Return when a node with enough resources was last alive, in seconds of the monotonic clock.

        Raises GbvnetError if that is too long ago: Ray would wait for ever.
        """
        now = time.monotonic()
        if any(_node_slots(node, cpus, gpus) for node in _alive_nodes(ray)):
            return now
        if now - last > NO_NODE_TIMEOUT_S:
            raise GbvnetError(
                f"--ray {self.address}: for {NO_NODE_TIMEOUT_S:.0f} s no node had {cpus} CPUs and {gpus:g} GPUs; "
                "finished work is kept; run the same command again to continue"
            )
        return last


def _run_task(packed: bytes, item: Any, folder: str, version: str) -> Any:
    """Run one task on its node. Its data is unpickled only in the folder that its paths are relative to."""
    node = platform.node()
    if __version__ != version:
        return BadConfig(
            f"node {node} has gbvnet {__version__}, here it is {version}: install the same version on every node"
        )
    try:
        os.chdir(folder)
    except OSError:
        return BadConfig(f"node {node} sees no folder {folder}: all nodes need the same disk under the same paths")
    return pickle.loads(packed)(item)  # noqa: S301 - it comes from the calling command, not from a file


def _connect(address: str) -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise BadConfig("--ray needs Ray, here and on every node: pip install 'gbvnet[ray]'") from None
    if ray.is_initialized():
        return ray
    _require_listener(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # avoids a warning about a future change
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadConfig(
            f"--ray {address}: there is no Ray cluster ({_first_line(error)}); start one with `ray start --head`"
        ) from None
    return ray


def _require_listener(address: str) -> None:
    """Raise BadConfig if nothing listens at host:port: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise BadConfig(f"--ray {address}: expected auto or HOST:PORT, as `ray start --head` printed it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise BadConfig(
            f"--ray {address}: there is no Ray cluster ({error}); start one with `ray start --head --port={port}`"
        ) from None


def _alive_nodes(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _node_slots(node: dict[str, Any], cpus: int, gpus: float) -> int:
    """Return how many tasks a node runs at once."""
    room = node["Resources"].get("CPU", 0) // cpus
    return int(min(room, node["Resources"].get("GPU", 0) / gpus + 1e-9)) if gpus else int(room)


def _describe_node(node: dict[str, Any]) -> str:
    has = node["Resources"]
    return f"{node['NodeManagerHostname']} ({has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs)"


def _first_line(error: BaseException) -> str:
    """Return the first line of Ray's error message, which fills a page."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
