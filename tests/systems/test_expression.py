"""Statistics of expression coefficients, against numpy on frames picked by hand, and what the system says of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gbvnet.config import CrossvalConfig
from gbvnet.errors import BadConfig
from gbvnet.store.reader import open_store
from gbvnet.systems import system, validate_config
from gbvnet.systems.expression import statistics

from ..synthetic_store import write_store

CONFIG = CrossvalConfig(system="expression", modality="face", target="valence")


def test_statistics_are_numpys_over_the_frames_that_show_a_face():
    x = np.random.default_rng(0).uniform(0.1, 0.9, (3, 6, 52)).astype(np.float32)
    x[1, [2, 5]] = np.nan  # no face was found
    got = statistics(x, frame_s=0.1).reshape(3, 5, 52)
    for window, frames in ((0, [0, 1, 2, 3, 4, 5]), (1, [0, 1, 3, 4])):
        values = x[window, frames].astype(np.float64)
        slope = np.polyfit(0.1 * np.array(frames), values, 1)[0]
        wanted = [values.mean(axis=0), values.std(axis=0), values.min(axis=0), values.max(axis=0), slope]
        assert got[window] == pytest.approx(np.array(wanted), rel=1e-5, abs=1e-6)


def test_one_frame_has_neither_sd_nor_slope_and_no_frame_has_nothing():
    x = np.full((2, 3, 52), np.nan, np.float32)
    x[0, 1] = 0.25
    got = statistics(x, frame_s=0.1).reshape(2, 5, 52)
    assert got[0, :, 7].tolist() == [0.25, 0, 0.25, 0.25, 0]
    assert np.isnan(got[1]).all()


@pytest.mark.journey
def test_a_window_without_coefficients_is_that_of_the_mean_face(tmp_path):
    store = write_store(tmp_path / "store")

    class OneUnseen(type(store)):
        def expression(self, rows):
            coefficients = super().expression(rows)
            coefficients[np.asarray(rows) == 7] = np.nan
            return coefficients

    rows, y = np.arange(len(store)), (store.windows["valence"] > 5).to_numpy(int)
    blind = OneUnseen(store.path)
    fitted = system("expression")(CONFIG).fit(blind, rows, y)
    p = fitted.predict_proba(blind, rows)
    bias = fitted.parameters[0]["bias"][0]
    assert p[7] == pytest.approx(1 / (1 + np.exp(-bias)))
    assert not np.isin(np.delete(p, 7), p[7]).any()


@pytest.mark.journey
def test_the_corner_of_the_mouth_weighs_most_where_it_alone_tells(tmp_path):
    store = write_store(tmp_path / "store")
    fitted = system("expression")(CONFIG).fit(
        store, np.arange(len(store)), (store.windows["valence"] > 5).to_numpy(int)
    )
    weights = fitted.parameters[0]["weights"].reshape(5, 52)
    assert set(np.argsort(weights[0])[-2:]) == {44, 45}  # of the means


@pytest.mark.journey
def test_a_store_of_another_tracker_is_refused_with_the_remedy(tmp_path):
    write_store(tmp_path / "store")
    settings = json.loads((tmp_path / "store/store.json").read_text())
    settings["prepare"]["landmarks"] = "dlib"
    (tmp_path / "store/store.json").write_text(json.dumps(settings))
    store = open_store(tmp_path / "store")
    store.expression = lambda rows: np.full((len(rows), 2, 52), np.nan, np.float32)
    with pytest.raises(BadConfig, match="no expression coefficients: its faces were prepared with landmarks dlib"):
        system("expression")(CONFIG).fit(store, np.arange(20), np.arange(20) % 2)


def test_signals_are_not_for_it():
    with pytest.raises(BadConfig, match="expression cannot see modality bio; give --modality face"):
        validate_config(replace(CONFIG, modality="bio"))
