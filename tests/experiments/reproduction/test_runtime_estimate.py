"""The time of a run follows from what a few training steps took."""

import threading
from dataclasses import replace

import pytest
import torch

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import GbvnetError
from gbvnet.experiments.reproduction import runtime_estimate
from gbvnet.experiments.reproduction.plan import estimate_studies, plan_studies
from gbvnet.experiments.reproduction.recipe import load_recipe
from gbvnet.experiments.reproduction.runtime_estimate import Throughput, Workload, seconds

from .stub_system import THROUGHPUT

pytestmark = pytest.mark.usefixtures("stub")


@pytest.mark.journey
def test_each_kind_of_run_is_measured_once(store, monkeypatch):
    measured = []
    monkeypatch.setattr(
        runtime_estimate, "measure", lambda run, workload, jobs: measured.append(run.name) or THROUGHPUT
    )
    monkeypatch.setattr(runtime_estimate, "_try", lambda *_: None)
    studies = plan_studies([load_recipe("tiny")], [store])
    estimates = estimate_studies(studies, None)
    kinds = ["facebio", "face", "bio", "eeg", "peri", "majority-facebio", "ridge-bio"]
    ablations = ["ablation-fusion-concat", "ablation-face-time-none"]
    assert measured == [f"trial-{kind}" for kind in kinds + ablations]  # and none of protocol window again
    assert sum(e.trainings for e in estimates.values()) == 48


def test_the_time_of_a_run_is_that_of_its_steps():
    work = Workload(trainings=4, train=1000, validation=200, test=400)
    config = CrossvalConfig(train=TrainConfig(epochs=10))
    # 10 epochs x 1000 windows x 10 ms, 4 x 2 s, 400 x 5 ms, and 2 x 1000 + 200 windows read in 1 ms each
    assert seconds(config, work, THROUGHPUT) == pytest.approx(100 + 8 + 2 + 2.2)
    assert seconds(config, work, THROUGHPUT, jobs=2) == pytest.approx(112.2 / 2)
    on_gpu = Throughput(**{**THROUGHPUT.__dict__, "device": "a GPU"})
    assert seconds(config, work, on_gpu, jobs=2) == pytest.approx(112.2)  # they share it
    slow_disk = CrossvalConfig(train=TrainConfig(epochs=10, memory_gib=0.0))
    waiting = Throughput(**{**THROUGHPUT.__dict__, "read_s": 0.02})
    assert seconds(slow_disk, work, waiting) == pytest.approx(200 + 8 + 2 + 44)


def test_the_training_after_pruning_counts():
    work = Workload(trainings=4, train=1000, validation=200, test=400)
    whole = seconds(CrossvalConfig(train=TrainConfig(epochs=10)), work, THROUGHPUT)
    pruned = replace(THROUGHPUT, pruned_window_s=0.004)
    config = CrossvalConfig(train=TrainConfig(epochs=10), prune=0.5, prune_epochs=7)
    assert seconds(config, work, pruned) == pytest.approx(whole + 7 * 1000 * 0.004)
    assert seconds(replace(config, prune_epochs=0), work, pruned) == pytest.approx(whole)


def test_trainings_that_share_a_gpu_take_what_they_took_together():
    work, config = (
        Workload(trainings=4, train=1000, validation=200, test=400),
        CrossvalConfig(train=TrainConfig(epochs=10)),
    )
    alone = replace(THROUGHPUT, device="a GPU")
    assert seconds(config, work, replace(alone, together=4), jobs=4) == pytest.approx(seconds(config, work, alone) / 4)


@pytest.mark.journey
def test_on_a_gpu_as_many_trainings_are_measured_as_will_run_at_once(store, monkeypatch):
    (study,) = plan_studies([load_recipe("tiny")], [store])
    calls = []

    def in_turn(task, numbers, jobs, isolate, uses_gpu):
        calls.append((list(numbers), jobs, isolate, uses_gpu))
        threads = [threading.Thread(target=lambda k=k: results.append((k, task(k)))) for k in numbers]
        results = []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    slow = iter((0.01, 0.03, 0.02))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(runtime_estimate, "run_tasks", in_turn)
    monkeypatch.setattr(runtime_estimate, "_try", lambda *_: None)
    monkeypatch.setattr(
        runtime_estimate, "_measure_alone", lambda *_: replace(THROUGHPUT, device="a GPU", window_s=next(slow))
    )
    run, workload = study.runs[0], study.workloads[0]
    measured = runtime_estimate.measure(run, workload, 3)
    assert (measured.together, measured.window_s) == (3, 0.03) and calls == [([0, 1, 2], 3, True, True)]
    cpu = replace(run, config=replace(run.config, train=replace(run.config.train, device="cpu")))
    monkeypatch.setattr(runtime_estimate, "_measure_alone", lambda *_: THROUGHPUT)
    assert runtime_estimate.measure(cpu, workload, 3) == THROUGHPUT and len(calls) == 1


@pytest.mark.journey
def test_a_failed_measurement_stops_the_plan(store, monkeypatch):
    (study,) = plan_studies([load_recipe("tiny")], [store])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(runtime_estimate, "run_tasks", lambda *_, **__: [(0, GbvnetError("not enough memory"))])
    with pytest.raises(GbvnetError, match="not enough memory"):
        runtime_estimate.measure(study.runs[0], study.workloads[0], 2)
