"""A store read with another baseline is the store that would have been prepared with it."""

import pickle

import numpy as np
import pytest

from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus
from gbvnet.errors import BadConfig
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store
from gbvnet.store.rebaselined import Rebaselined

from ..fakes import write_deap


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baselines")
    corpus = open_corpus("deap", write_deap(folder / "deap"))
    for how in ("none", "mean", "template"):
        prepare_store(corpus, folder / how, PrepareConfig(faces=False, baseline=how))
    return folder


@pytest.mark.journey
@pytest.mark.parametrize("made", ["none", "mean", "template"])
@pytest.mark.parametrize("wanted", ["none", "mean", "template"])
def test_it_reads_as_if_prepared_so(stores, made, wanted):
    rebaselined, real = Rebaselined(open_store(stores / made), wanted), open_store(stores / wanted)
    rows = np.array([5, 0, 17, 3])
    assert rebaselined.read(rows)[2] == pytest.approx(real.read(rows)[2], abs=1e-3)  # of values up to 2300
    assert rebaselined.settings["prepare"] == real.settings["prepare"]


@pytest.mark.journey
def test_another_baseline_is_another_identity_and_crosses_processes(stores):
    rebaselined = Rebaselined(open_store(stores / "mean"), "template")
    assert rebaselined.digest != open_store(stores / "mean").digest
    again = pickle.loads(pickle.dumps(rebaselined))
    assert again.digest == rebaselined.digest
    assert np.array_equal(again.read([4])[2], rebaselined.read([4])[2])


@pytest.mark.journey
def test_a_template_of_other_windows_is_refused(stores, tmp_path):
    corpus = open_corpus("deap", stores / "deap")
    prepare_store(corpus, tmp_path / "half", PrepareConfig(faces=False, window_s=0.5))
    with pytest.raises(BadConfig, match="template needs windows of 1 s"):
        Rebaselined(open_store(tmp_path / "half"), "template")
    Rebaselined(open_store(tmp_path / "half"), "none").read([0])
