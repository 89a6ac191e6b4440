"""The same work on two Ray nodes gives the same bytes, also when one of them is killed; who cannot do it says why."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gbvnet import __version__
from gbvnet.errors import BadConfig, BadRecording, TaskDied
from gbvnet.parallel.ray_cluster import Cluster, _node_slots, _run_task
from gbvnet.parallel.tasks import available_cores, parallel_trainings, run, tasks_per_machine, threads_per_task

pytestmark = [
    pytest.mark.journey,  # it starts nodes
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
RAY = Path(sys.executable).with_name("ray")
CROSSVAL = (
    "--modality", "bio", "--target", "valence", "--folds", "4", "--model.variant", "micro",
    "--train.epochs", "150", "--train.patience", "150",
)  # fmt: skip


class Nodes:
    """A Ray cluster of nodes with one core each, on this machine alone."""

    def __init__(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        self.folder, self.nodes = folder, []
        self.add("--head", f"--port={self.address.split(':')[1]}", f"--temp-dir={folder}", "--include-dashboard=false")

    def add(self, *words):
        """Start a node, and return when it is part of the cluster."""
        few = ("--num-cpus=1", "--num-gpus=0", "--object-store-memory=100000000", "--disable-usage-stats", "--block")
        words = (RAY, "start", "--node-ip-address=127.0.0.1", *(words or [f"--address={self.address}"]), *few)
        shown = self.folder / f"node{len(self.nodes)}.log"
        with shown.open("w") as log:
            node = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        self.nodes.append(node)
        end = time.monotonic() + 120
        while "Ray runtime started" not in shown.read_text():
            assert node.poll() is None and time.monotonic() < end, shown.read_text()
            time.sleep(0.05)

    def kill(self):
        """The node that came last is gone, with all that it was at."""
        node = self.nodes.pop()
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def end(self):
        while self.nodes:
            self.kill()


@pytest.fixture(scope="module")
def nodes():
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # sockets want a short path
        made = Nodes(Path(folder))
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def deap(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    gbvnet(folder, "synth", "deap", "deap", "--subjects", "2", "--trials", "5", "--seconds", "2", "--jobs", "2")
    return folder / "deap"


def gbvnet(folder, *words, start=False):
    # one thread a task here, as on a node with one core
    words, environment = [sys.executable, "-m", "gbvnet", *map(str, words)], {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if start:
        return process
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    return output


def until(true, process):
    """Wait until something is so, while a command runs."""
    while not true():
        assert process.poll() is None, f"it ended before: {process.communicate()[0]}"
        time.sleep(0.02)


def contents(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"}


@pytest.mark.filterwarnings("default")
def test_a_cluster_that_is_not_there_is_reported():
    """First of all: `auto` finds what runs on this machine, and a process that joined a cluster ends with it."""
    with pytest.raises(BadConfig, match=r"127\.0\.0\.1:1: there is no Ray cluster"):
        list(run(square, [1], Cluster("127.0.0.1:1")))
    with pytest.raises(BadConfig, match="ray://somewhere: expected auto or HOST:PORT"):
        list(run(square, [1], Cluster("ray://somewhere")))
    with pytest.raises(BadConfig, match=r"auto: there is no Ray cluster .*start one with `ray start --head`"):
        list(run(square, [1], Cluster()))


def test_a_node_is_killed_and_the_work_ends_as_on_one_machine(nodes, deap, tmp_path):
    gbvnet(tmp_path, "prepare", "deap", deap, "local.store", "--face_side", "32", "--jobs", "2")
    nodes.add()
    on = ("--ray", nodes.address)
    prepare = gbvnet(tmp_path, "prepare", "deap", deap, "ray.store", "--face_side", "32", *on, start=True)
    until(lambda: any((tmp_path / "ray.store" / "data").glob("[!.]*")), prepare)
    nodes.kill()
    output = prepare.communicate(timeout=300)[0]
    assert prepare.returncode == 0 and "10 recordings prepared, 0 prepared before, 0 bad" in output
    assert contents(tmp_path / "ray.store") == contents(tmp_path / "local.store")

    gbvnet(tmp_path, "crossval", "local.store", "local", *CROSSVAL, "--jobs", available_cores())
    nodes.add()
    crossval = gbvnet(tmp_path, "crossval", "ray.store", "ray", *CROSSVAL, *on, start=True)
    began = tmp_path / "ray"
    until(lambda: len(list(began.glob("fold*/valence/history.csv"))) == 2, crossval)  # one on each node
    nodes.kill()
    output = crossval.communicate(timeout=300)[0]
    assert crossval.returncode == 0 and "the task is repeated" in output
    assert output.count("accuracy") == 4  # what the nodes logged is shown here
    tables = [(tmp_path / run / "predictions.parquet").read_bytes() for run in ("local", "ray")]
    assert tables[0] == tables[1]


def square(x):
    if x == 3:
        raise BadRecording("three", "another number", "3")
    if x == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


@pytest.fixture
def cluster(nodes):
    import ray

    yield Cluster(nodes.address)
    ray.shutdown()


@pytest.mark.filterwarnings("default")  # Ray's own
def test_errors_are_results_and_a_task_that_always_dies_is_given_up(cluster):
    got = dict(run(square, range(6), cluster))
    assert {x: got[x] for x in (0, 1, 2, 5)} == {0: 0, 1: 1, 2: 4, 5: 25}
    assert isinstance(got[3], BadRecording)
    assert isinstance(got[4], TaskDied) and "4: it died 3 times" in str(got[4])


@pytest.mark.filterwarnings("default")
def test_a_task_that_no_node_can_do_is_refused_with_what_there_is(cluster):
    refused = r"no node has the 64 CPUs and 0 GPUs of a task.* the cluster has .*\(1 CPUs, 0 GPUs\)"
    with pytest.raises(BadConfig, match=refused):
        list(run(square, [1], Cluster(cluster.address, cpus_per_task=64)))
    with pytest.raises(BadConfig, match=r"no node has the 1 CPUs and 0\.5 GPUs"):
        list(run(square, [1], Cluster(cluster.address, gpus_per_task=0.5), uses_gpu=True))


def test_a_node_must_have_the_same_disk_and_the_same_version():
    assert "sees no folder /nowhere" in str(_run_task(b"", None, "/nowhere", __version__))
    assert "has gbvnet" in str(_run_task(b"", None, ".", "0.0.0"))


@pytest.mark.parametrize(
    ("has", "cpus", "gpus", "room"),
    [({"CPU": 8.0}, 3, 0, 2), ({"CPU": 8.0, "GPU": 2.0}, 1, 0.25, 8), ({"CPU": 64.0, "GPU": 2.0}, 1, 0.3, 6),
     ({"CPU": 8.0}, 1, 1, 0), ({"CPU": 64.0, "GPU": 1.0}, 1, 0.1, 10), ({}, 1, 0, 0)],
)  # fmt: skip
def test_what_a_node_has_room_for(has, cpus, gpus, room):
    assert _node_slots({"Resources": has}, cpus, gpus) == room


def test_threads_and_neighbours_on_a_cluster():
    two = Cluster(cpus_per_task=2)
    assert (threads_per_task(two), tasks_per_machine(two)) == (2, max(1, available_cores() // 2))
    assert (threads_per_task(1), tasks_per_machine(3), parallel_trainings(0)) == (available_cores(), 3, 1)


@pytest.mark.parametrize("share", [-1, 1.5])
def test_shares_of_a_gpu_that_ray_does_not_know_are_refused(share):
    with pytest.raises(BadConfig, match=f"gpus_per_task {share}"):
        Cluster(gpus_per_task=share)
