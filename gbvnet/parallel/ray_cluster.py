"""Tasks on the nodes of a Ray cluster: what one needs, where it may go, what is done when its node dies.

Ray does the scheduling. Each node must have this gbvnet, and see the same folders under the same paths, as on a shared
disk: a task reads the store and writes its results there itself, and only a line of it travels.
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

POLL_S = 5.0  # how often it is asked whether the nodes that are left can still do what is left
NO_NODE_TIMEOUT_S = 120.0  # how long no node may be able to; a node that comes back, or a new one, takes a while


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that is there already; give it as `jobs`, in the place of a number of local processes.

    address : `auto` for the cluster that this machine belongs to, else host:port, as `ray start` printed it
    cpus_per_task : cores that a task takes, and threads that it computes with
    gpus_per_task : GPUs that a training takes; 0.25 puts four on one. None is one where the cluster has GPUs, else none
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

    def room(self) -> int:
        """How many trainings run at once, if nobody else uses the cluster. Raises BadConfig."""
        ray = _connect(self.address)
        return sum(_node_slots(node, *self._needs(ray, True)) for node in _alive_nodes(ray))

    def run(
        self, call: Callable[[Any], Any], items: Sequence[Any], tries: int, trains: bool
    ) -> Iterator[tuple[int, Any]]:
        """Yield (place in items, call(item)) as tasks end, wherever they ran.

        trains : whether a task has a use for a GPU

        A task whose process or node died is handed out again; after so many tries TaskDied is its result. Raises
        BadConfig if there is no such cluster or no node that could do a task, GbvnetError if none is left that could.
        Leaving the loop early stops what runs.
        """
        ray = _connect(self.address)
        cpus, gpus = self._needs(ray, trains)
        if not any(_node_slots(node, cpus, gpus) for node in _alive_nodes(ray)):
            raise BadConfig(
                f"--ray {self.address}: no node has {cpus} CPUs and {gpus:g} GPUs, as a task needs; the cluster has "
                + ", ".join(map(_describe_node, _alive_nodes(ray)))
            )
        # SPREAD: a task that died with its memory full goes elsewhere, where there is an elsewhere.
        task = ray.remote(_run_task).options(num_cpus=cpus, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD")
        packed = ray.put(pickle.dumps(call))
        here = (os.getcwd(), __version__)
        running = {task.remote(packed, item, *here): i for i, item in enumerate(items)}
        tried, last_room = Counter(running.values()), time.monotonic()
        try:
            while running:
                ended, _ = ray.wait(list(running), timeout=POLL_S)
                for ref in ended:
                    i = running.pop(ref)
                    try:
                        outcome = ray.get(ref)
                    except ray.exceptions.RayTaskError:
                        raise  # a fault of ours, with the traceback of the node
                    except ray.exceptions.RayError as why:
                        if tried[i] < tries:
                            log.warning("%s: %s; it is tried again", items[i], _first_line(why))
                            tried[i] += 1
                            running[task.remote(packed, items[i], *here)] = i
                            continue
                        outcome = TaskDied(
                            f"{items[i]}: it died {tries} times, the last time of this: {_first_line(why)}"
                        )
                    yield i, outcome
                last_room = self._still_room(ray, cpus, gpus, last_room)
        finally:
            for ref in running:
                ray.cancel(ref, force=True)

    def _needs(self, ray: Any, trains: bool) -> tuple[int, float]:
        """CPUs and GPUs of a task."""
        there = any(node["Resources"].get("GPU") for node in _alive_nodes(ray))
        gpus = self.gpus_per_task if self.gpus_per_task is not None else float(there)
        return self.cpus_per_task, gpus if trains else 0.0

    def _still_room(self, ray: Any, cpus: int, gpus: float, last: float) -> float:
        """When some node could last do a task. Raises GbvnetError if that is too long ago: Ray would wait for ever."""
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
    """One task, on its node. What it works on is unpacked only here, in the folder where its paths make sense."""
    node = platform.node()
    if __version__ != version:
        return BadConfig(f"node {node} has gbvnet {__version__}, here it is {version}: install the same everywhere")
    try:
        os.chdir(folder)
    except OSError:
        return BadConfig(f"node {node} sees no folder {folder}: all nodes need the same disk under the same paths")
    return pickle.loads(packed)(item)  # noqa: S301 - it came from the command that asked, not from a file


def _connect(address: str) -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise BadConfig("--ray needs Ray, here and on every node: pip install 'gbvnet[ray]'") from None
    if ray.is_initialized():
        return ray
    _require_listener(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of what it will do one day
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadConfig(
            f"--ray {address}: there is no Ray cluster ({_first_line(error)}); begin one with `ray start --head`"
        ) from None
    return ray


def _require_listener(address: str) -> None:
    """Raise BadConfig if nobody listens at host:port, where Ray would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise BadConfig(f"--ray {address}: expected auto or HOST:PORT, as `ray start --head` printed it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise BadConfig(
            f"--ray {address}: there is no Ray cluster ({error}); begin one with `ray start --head --port={port}`"
        ) from None


def _alive_nodes(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _node_slots(node: dict[str, Any], cpus: int, gpus: float) -> int:
    """How many tasks a node takes at once."""
    room = node["Resources"].get("CPU", 0) // cpus
    return int(min(room, node["Resources"].get("GPU", 0) / gpus + 1e-9)) if gpus else int(room)


def _describe_node(node: dict[str, Any]) -> str:
    has = node["Resources"]
    return f"{node['NodeManagerHostname']} ({has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs)"


def _first_line(error: BaseException) -> str:
    """The first line of what Ray says, which goes on for a page."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
