"""Comparison methods without networks: smoothing in trials, trees and support vector machines as arrays, scalp maps."""

from pathlib import Path

import numpy as np
import pytest
import pywt
from scipy import signal, stats
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from gbvnet.config import CrossvalConfig
from gbvnet.errors import BadConfig
from gbvnet.evaluation.metrics import auc
from gbvnet.evaluation.targets import Target
from gbvnet.report.published_results import PAPER_MONTAGE
from gbvnet.store.reader import Store
from gbvnet.systems import bhatti_like, siddharth_like, system, validate_config
from gbvnet.systems.features import topography as scalp
from gbvnet.systems.features.band_power import ENTROPY, LOG_POWER, log_power
from gbvnet.systems.features.extract import extract_features
from gbvnet.systems.features.kalman import smooth, smooth_trials
from gbvnet.systems.features.peripheral import autonomic, peaks
from gbvnet.systems.features.time_domain import fractal

from ...synthetic_store import write_store

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"


def config(name, **changes):
    return CrossvalConfig(**({"system": name, "modality": "eeg", "target": "valence"} | changes))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("classical") / "store")


class Changed(Store):
    """A store in which one thing is not as it was."""

    lost_expressions = False
    louder: np.ndarray = np.array([], int)

    def expression(self, rows):
        coefficients = super().expression(rows)
        return np.full_like(coefficients, np.nan) if self.lost_expressions else coefficients

    def read(self, rows, faces=True, signals=True):
        faces, ok, x = super().read(rows, faces, signals)
        if x is not None:
            x[np.isin(rows, self.louder)] *= 7
        return faces, ok, x


def named(store, names):
    """The same store with other channel names."""
    other = Changed(store.path)
    other.settings = {
        **other.settings,
        "channels": [[n, kind] for n, (_, kind) in zip(names, other.settings["channels"], strict=True)],
    }
    return other


# ---------------------------------------------------------------- smoothing


@pytest.mark.parametrize(("drift", "start"), [(1e-4, 1e-2), (0.5, 3.0), (100.0, 1.0)])
def test_smoothing_gives_the_mean_that_follows_from_all_windows_at_once(drift, start):
    x = np.random.default_rng(0).normal(size=(20, 3)).cumsum(axis=0)
    # The states are jointly normal with covariance start + drift * min(s, t), seen with a noise of variance 1.
    t = np.arange(20)
    covariance = start + drift * np.minimum(t[:, None], t)
    exact = x.mean(axis=0) + covariance @ np.linalg.solve(covariance + np.eye(20), x - x.mean(axis=0))
    assert smooth(x, drift, start) == pytest.approx(exact, rel=1e-9)


def test_smoothing_of_one_window_or_of_steady_ones_changes_nothing():
    assert smooth(np.array([[3.0, 4.0]])).tolist() == [[3, 4]]
    assert smooth(np.full((9, 1), 5.0)) == pytest.approx(np.full((9, 1), 5.0))


@pytest.mark.journey
def test_smoothing_takes_all_of_a_trial_in_its_order_and_nothing_else(store):
    def features(of, at):
        return extract_features(of, at, [0, 1], ENTROPY).reshape(len(at), -1)

    rows = np.array([7, 3, 8, 119])  # 5 windows a trial
    plain = features(store, np.arange(len(store)))
    expected = [smooth(plain[5:10])[2], smooth(plain[:5])[3], smooth(plain[5:10])[3], smooth(plain[115:])[4]]
    assert smooth_trials(store, rows, features) == pytest.approx(np.stack(expected), rel=1e-5)
    louder = Changed(store.path)
    louder.louder = np.array([9])
    moved = smooth_trials(louder, np.arange(len(store)), features)
    same = np.isclose(moved, smooth_trials(store, np.arange(len(store)), features), rtol=1e-6).all(axis=1)
    assert np.flatnonzero(~same).tolist() == [5, 6, 7, 8, 9]


@pytest.mark.journey
def test_zhu_sees_smoothed_entropies(store):
    rows = np.arange(10)
    raw = extract_features(store, rows, [0, 1, 2], ENTROPY).reshape(10, -1)
    expected = np.concatenate([smooth(raw[:5]), smooth(raw[5:])])
    assert system("zhu")(config("zhu")).vectors(store, rows) == pytest.approx(expected, rel=1e-5)


def test_zhu_is_not_tested_where_smoothing_would_leak():
    with pytest.raises(BadConfig, match="zhu is not tested by protocol window: it smooths over all windows of a trial"):
        validate_config(config("zhu", protocol="window"))
    validate_config(config("zhu", protocol="trial"))


# ---------------------------------------------------------------- trees and machines


def data(n=300, d=6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + 0.5 * rng.normal(size=n) > 0).astype(int)


def test_the_tree_says_what_scikit_learns_says():
    (x, y), (new, _) = data(), data(1000)
    made = system("yuvaraj-like")(config("yuvaraj-like"))
    theirs = DecisionTreeClassifier(min_samples_leaf=5, random_state=3).fit(x, y)
    probabilities = made.output(made.learn(x, y, seed=3), new)
    assert np.array_equal(probabilities, theirs.predict_proba(new)[:, 1])
    assert len(np.unique(probabilities)) > 5


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("options", [{}, {"classifier": "svm"}])
def test_of_one_class_alone_it_predicts_that_class(only, options):
    made = system("yuvaraj-like")(config("yuvaraj-like", options=options))
    x, _ = data()
    assert (made.output(made.learn(x, np.full(len(x), only), 0), x) > 0.5).all() == bool(only)


def test_the_machine_says_what_scikit_learns_says_and_learns_from_so_many_windows_only(store):
    made = system("yuvaraj-like")(config("yuvaraj-like", options=dict(classifier="svm", svm_windows=24)))
    x, y = data()
    parameters = made.learn(x, y, 0)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = SVC(C=1.0, gamma=1 / 6).fit(z, y).decision_function(z)
    p = made.output(parameters, x)
    assert np.log(p / (1 - p)) == pytest.approx(theirs, abs=1e-4)
    training_sets = []
    made.learn = lambda x, y, seed: training_sets.append(x) or {"vectors": x}
    made.fit(store, np.arange(120), np.arange(120) % 2)
    assert len(training_sets[0]) == 24
    tree = system("yuvaraj-like")(config("yuvaraj-like", options=dict(svm_windows=24)))
    tree.learn = made.learn
    tree.fit(store, np.arange(120), np.arange(120) % 2)
    assert len(training_sets[1]) == 120


def test_fractal_dimensions_with_a_tree_tell_rough_signals_from_smooth_ones():
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    x = rng.normal(size=(400, 4, 128))
    x[:, 2] += 0.4 * y[:, None] * rng.normal(size=(400, 128)).cumsum(axis=1)
    features = fractal(x, 128.0).reshape(400, -1).astype(np.float32)
    made = system("yuvaraj-like")(config("yuvaraj-like"))
    parameters = made.learn(features[:300], y[:300], 0)
    assert auc(y[300:], made.output(parameters, features[300:])) > 0.9


def test_what_the_regression_sees_are_log_powers_and_the_level_of_what_is_no_eeg(store):
    rows = np.array([3, 50])
    features = system("logreg")(config("logreg", modality="bio")).vectors(store, rows)
    x = store.read(rows)[2].astype(np.float64)
    assert features == pytest.approx(
        np.concatenate([log_power(x, 32.0).reshape(2, -1), x[:, 3:].mean(axis=2)], axis=1), rel=1e-5
    )
    assert system("logreg")(config("logreg")).vectors(store, rows).shape == (2, 9)


# ---------------------------------------------------------------- three domains


def test_the_three_domains_are_those_of_numpy_scipy_and_pywavelets(store):
    """Of one window: statistics, band powers of the Hann-tapered periodogram, and levels of the wavelet transform."""
    rows, rate = np.arange(10), float(store.settings["rate_hz"])
    made = {
        name: system("bhatti-like")(config("bhatti-like", options={"domain": name})) for name in bhatti_like.DOMAINS
    }
    each = {name: of.vectors(store, rows) for name, of in made.items()}
    whole = system("bhatti-like")(config("bhatti-like")).vectors(store, rows)
    assert np.array_equal(whole, np.concatenate(list(each.values()), axis=1))
    x = store.read(rows, faces=False)[2][4, 1].astype(np.float64)  # the second of three EEG channels
    of = {name: values.reshape(10, 3, -1)[4, 1] for name, values in each.items()}
    first, second = np.abs(np.diff(x)).mean(), np.abs(x[2:] - x[:-2]).mean()
    expected = [x.mean(), x.std(), first, first / x.std(), second, second / x.std()]
    assert of["time"] == pytest.approx(expected, rel=1e-4, abs=1e-7)
    hz, power = signal.periodogram(x, rate, "hann", detrend="constant")
    bands = [power[(low <= hz) & (hz < high)].mean() for low, high in ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45))
             if ((low <= hz) & (hz < high)).any() and high <= rate / 2]  # fmt: skip
    assert of["frequency"] == pytest.approx(np.log(bands), rel=1e-4, abs=1e-4)
    approximation, *details = pywt.wavedec(x, "db4", level=pywt.dwt_max_level(len(x), 8))
    levels = [level**2 for level in (*details[::-1], approximation)]
    entropies = [stats.entropy(level) for level in levels]
    assert of["wavelet"] == pytest.approx([*np.log([v.sum() for v in levels]), *entropies], rel=1e-4, abs=1e-4)


def of_task(classifier, task):
    made = system("bhatti-like")(config("bhatti-like", options={"classifier": classifier}))
    made.target = Target("valence", task, "", ("valence",), ((1.0, 9.0),), ())
    return made


@pytest.mark.journey
def test_the_neighbours_and_the_perceptron_say_what_scikit_learns_say():
    (x, y), (new, _) = data(), data(1000)
    mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    z, of_new = ((each - mean) / sd for each in (x, new))
    three, rating = y + (x[:, 2] > 0), 5 + x[:, 0].astype(np.float64)
    for task, labels, theirs in (
        ("binary", y, KNeighborsClassifier(5).fit(z, y).predict_proba(of_new)[:, 1]),
        ("multiclass", three, KNeighborsClassifier(5).fit(z, three).predict_proba(of_new)),
        ("regression", rating, KNeighborsRegressor(5).fit(z, rating).predict(of_new)),
    ):
        made = of_task("knn", task)
        assert made.output(made.learn(x, labels, 0), new) == pytest.approx(theirs, abs=1e-6), task
    layer = dict(activation="tanh", alpha=1.0, batch_size=18, learning_rate_init=3e-3, max_iter=50, random_state=4)
    made = of_task("mlp", "binary")
    theirs = MLPClassifier(64, **layer).fit(z, y).predict_proba(of_new)[:, 1]
    assert made.output(made.learn(x, y, 4), new) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("classifier", ["mlp", "svm", "knn"])
def test_of_one_class_alone_each_classifier_predicts_that_class(only, classifier):
    made, (x, _) = of_task(classifier, "binary"), data(8)
    assert (made.output(made.learn(x[:3], np.full(3, only), 0), x) > 0.5).all() == bool(only)


def test_only_the_support_vector_machine_learns_from_a_part_of_the_windows(store):
    for classifier, n in (("mlp", 120), ("svm", 24), ("knn", 120)):
        made = system("bhatti-like")(config("bhatti-like", options=dict(classifier=classifier, svm_windows=24)))
        training_sets = []
        made.learn = lambda x, y, seed, to=training_sets: to.append(x) or {"vectors": x}
        made.fit(store, np.arange(100), np.arange(100) % 2, validation=(np.arange(100, 120), np.arange(20) % 2))
        assert [len(x) for x in training_sets] == [n]


# ---------------------------------------------------------------- pictures of the scalp


def test_a_scalp_has_each_electrodes_value_at_its_place_and_left_is_left():
    names = tuple(PAPER_MONTAGE)
    assert scalp.known_electrodes(names) == list(range(32))
    values = np.zeros(32)
    values[names.index("C3")] = 1
    picture = scalp.interpolation_weights(names) @ values
    at = scalp.pixels()
    peak = at[np.argmax(picture)]
    assert peak[0] < -0.15 and abs(peak[1]) < 0.06  # left of the vertex, neither front nor back
    values = np.zeros(32)
    values[[names.index("Fp1"), names.index("Fp2")]] = 1
    peak = at[np.argmax(scalp.interpolation_weights(names) @ values)]
    assert peak[1] > 0.4
    assert at[0, 1] == at[:, 1].max() and at[0, 0] < at[1, 0]  # rows from the front, columns from the left
    assert scalp.interpolation_weights(names).sum(axis=1) == pytest.approx(np.ones(len(at)))  # a flat scalp is flat


@pytest.mark.parametrize("names", [("Cz",), ("Fz", "Cz", "Oz"), ("T3", "T7"), ("F3", "F4", "P3", "P4")])
def test_any_number_of_electrodes_makes_a_scalp(names):
    assert scalp.interpolation_weights(names).sum(axis=1) == pytest.approx(np.ones(len(scalp.pixels())))


@pytest.mark.journey
def test_scalps_follow_the_electrodes_names_not_their_order(store):
    rows = np.arange(6)
    maps = siddharth_like.scalp_maps(store, rows, [0, 1, 2])
    assert maps == pytest.approx(siddharth_like.scalp_maps(store, rows, [2, 0, 1]), rel=1e-5)
    weights = scalp.interpolation_weights(("Fz", "Cz", "Oz"))
    middle = (scalp.pixels() ** 2).sum(axis=1) < 0.05**2
    assert middle.sum() == 4 and (weights[middle].argmax(axis=1) == 1).all() and weights[middle, 1].min() > 0.6
    power = extract_features(store, rows, [0, 1, 2], LOG_POWER)[
        :, :, 1:
    ]  # theta and alpha: beta is above half the rate
    assert maps == pytest.approx(np.einsum("nck,pc->nkp", power, weights).reshape(6, -1), rel=1e-4)


def test_eeg_channels_without_a_place_are_reported(store):
    with pytest.raises(BadConfig, match="none of its EEG channels has a known place on the scalp: E1, E2, E3"):
        siddharth_like.scalp_maps(named(store, ["E1", "E2", "E3", "GSR1", "Resp"]), np.arange(3), [0, 1, 2])


# ---------------------------------------------------------------- heart, skin and face


def test_numbers_of_heart_and_skin_are_those_worked_by_hand():
    at = np.arange(64) / 32.0
    x = (3 + 2 * at)[None, None]
    mean, sd, slope, rough, peak = autonomic(x, 32.0)[0, 0, :5]
    assert [mean, slope, rough, peak] == pytest.approx([3 + 63 / 32, 2, 2 * 63 / 64 * 64 / 63, 0])
    assert sd == pytest.approx(np.std(x))


def test_heartbeats_are_counted_as_scipy_counts_them():
    beats = np.zeros(1280)
    beats[40::100] = 1.0
    x = np.convolve(beats, np.hanning(15), "same")[None, None] + 0.01 * np.random.default_rng(0).normal(size=1280)
    assert peaks(x, 128.0).item() * 10 == 13
    if not (file := SAMPLES / "ecg.txt").exists():
        pytest.skip(f"{file} is not here")
    ecg = signal.decimate(np.loadtxt(file, comments="#", ndmin=2)[:, -1], 8)  # to 125 Hz
    windows = ecg[: len(ecg) // 625 * 625].reshape(1, -1, 625)
    theirs = [len(signal.find_peaks(w, height=w.mean() + w.std(), distance=38)[0]) for w in windows[0]]
    assert (peaks(windows, 125.0)[0] * 5 == theirs).mean() > 0.9
    seconds = ecg[: len(ecg) // 125 * 125].reshape(1, -1, 125)
    assert (peaks(seconds, 125.0)[0, 1:] == 1).all()  # as neurokit2 0.2.13 finds them, which passes over the first


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("beats_a_minute", [55, 70, 95, 120])
@pytest.mark.parametrize("kind", ["ecg", "ppg"])
def test_heartbeats_are_counted_as_neurokit_counts_them(kind, beats_a_minute):
    """neurokit2 needs pandas below 3, so it is no dependency; docs/comparison_methods.md has the commands."""
    nk = pytest.importorskip("neurokit2", reason="neurokit2 is not installed")
    rate, n = 128, 1280  # windows of ten seconds
    make, find = {
        "ecg": (nk.ecg_simulate, lambda x: nk.ecg_peaks(nk.ecg_clean(x, rate), rate)[1]["ECG_R_Peaks"]),
        "ppg": (nk.ppg_simulate, lambda x: nk.ppg_findpeaks(nk.ppg_clean(x, rate), rate)["PPG_Peaks"]),
    }[kind]
    x = np.asarray(make(duration=60, sampling_rate=rate, heart_rate=beats_a_minute, random_state=1), float)
    theirs = np.histogram(find(x), np.arange(7) * n)[0]
    beats = 10 * peaks(x.reshape(6, 1, n), float(rate))[:, 0]
    assert np.abs(beats - theirs).max() <= 2 and np.abs(beats.sum() - theirs.sum()) <= 3  # beats at a window's ends


def test_movements_are_numpys_statistics_over_the_frames_that_show_a_face():
    x = np.random.default_rng(0).uniform(0.1, 0.9, (4, 10, 52)).astype(np.float32)
    x[1, 3:] = np.nan
    x[2, ::2] = 0
    x[3] = np.nan
    features = siddharth_like.expression_statistics(x).reshape(4, 3, 52)
    for window, frames in ((0, x[0]), (1, x[1, :3]), (2, x[2, 1::2])):
        expected = np.stack([frames.mean(axis=0), frames.std(axis=0), np.percentile(frames, 95, axis=0)])
        assert features[window] == pytest.approx(expected, rel=1e-5)
    assert np.isnan(features[3]).all()


@pytest.mark.journey
def test_pictures_are_reduced_to_the_components_that_scikit_learn_finds():
    x = np.random.default_rng(0).normal(size=(200, 60)) @ np.random.default_rng(1).normal(size=(60, 60))
    widths = np.array([[40, 1], [20, 0]])
    centre, axes = siddharth_like._components(x, widths)
    reduced = siddharth_like._reduced(x, widths, axes, centre)
    theirs = PCA(30).fit_transform(x[:, :40])
    assert np.abs(reduced[:, :30]) == pytest.approx(np.abs(theirs), rel=1e-6, abs=1e-6)
    assert np.array_equal(reduced[:, 30:], x[:, 40:])


@pytest.mark.journey
def test_the_extreme_learning_machine_is_a_ridge_on_random_units():
    x, y = data()
    parameters = siddharth_like._elm(x, y, 0, "binary")
    hidden = np.tanh(x @ parameters["inward"] + parameters["offset"])
    z = (hidden - hidden.mean(axis=0)) / hidden.std(axis=0)
    theirs = Ridge(alpha=siddharth_like.RIDGE * len(x)).fit(z, 2 * y - 1).predict(z)
    assert hidden @ parameters["outward"] + parameters["bias"] == pytest.approx(2 * theirs, rel=1e-6, abs=1e-6)


@pytest.mark.journey
def test_a_store_without_expressions_gives_small_pictures_and_is_not_mixed_up_with_one_that_has_them(store):
    bare = Changed(store.path)
    bare.lost_expressions = True
    y = (store.windows["valence"] > 5).to_numpy(int)
    made = system("siddharth-like")(config("siddharth-like", modality="face"))
    rows = np.arange(len(store))
    assert made.vectors(store, rows).shape == (120, 156) and made.vectors(bare, rows).shape == (120, 16 * 16 * 3)
    made.fit(bare, rows[:60], y[:60])
    assert auc(y[60:], made.predict_proba(bare, rows[60:])) > 0.9
    with pytest.raises(BadConfig, match=r"learnt from other channels.*blocks of \[768\] numbers, not \[156\]"):
        made.predict_proba(store, rows)


@pytest.mark.journey
def test_a_window_whose_face_shows_no_expression_counts_as_the_mean(store):
    made = system("siddharth-like")(config("siddharth-like", modality="face"))
    y = (store.windows["valence"] > 5).to_numpy(int)
    made.fit(store, np.arange(60), y[:60])
    x = made.vectors(store, np.arange(60))
    gone, mean = np.full((1, x.shape[1]), np.nan), x.mean(axis=0, keepdims=True)
    assert made.output(made.parameters[0], gone) == pytest.approx(made.output(made.parameters[0], mean), abs=1e-4)


def test_peripheral_signals_that_are_neither_heart_nor_skin_are_not_enough(store):
    other = Changed(store.path)
    other.settings = {**other.settings, "channels": [["Fz", "eeg"], ["Cz", "eeg"], ["Oz", "eeg"], *[["R", "resp"]] * 2]}
    made = system("siddharth-like")(config("siddharth-like", modality="peri"))
    with pytest.raises(BadConfig, match=r"siddharth-like sees ecg, ppg, gsr of modality peri, and .* has none of them"):
        made.vectors(other, np.arange(3))
    assert made.vectors(store, np.arange(3)).shape == (3, 8)  # skin conductance: 5 numbers and 3 bands


@pytest.mark.parametrize("options", [{"svm_windows": 5}, {"classifier": "svm", "svm_windows": 0}])
def test_a_support_vector_machine_needs_some_windows(options):
    with pytest.raises(BadConfig, match=r"options\.svm_windows must be at least 10"):
        system("yuvaraj-like")(config("yuvaraj-like", options=options))
