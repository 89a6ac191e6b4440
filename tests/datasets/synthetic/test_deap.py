"""The synthetic DEAP: its encodings against files that Python 2 really wrote, its promises, and its planted truth."""

import json
import pickle
import pickletools
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from gbvnet.config import SynthConfig
from gbvnet.datasets import write_synthetic
from gbvnet.datasets.deap import Reader
from gbvnet.datasets.synthetic import deap as synthetic
from gbvnet.datasets.synthetic.deap import dat_bytes, latent_pairs, plan, rating_of
from gbvnet.datasets.synthetic.face import EXPRESSIONS, FPS, Acting, Face, act_trial, smooth_noise, trial_light
from gbvnet.datasets.synthetic.signals import EEG, Physiology, positions, signals_of_trial
from gbvnet.errors import BadConfig, BadInput

SMALL = SynthConfig(subjects=1, trials=2, seconds=1, seed=5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("synth") / "deap"
    write_synthetic("deap", root, SMALL)
    return root


# ---------------------------------------------------------------- the pickle


def opcodes(content: bytes) -> list[tuple[str, object]]:
    return [(op.name, arg) for op, arg, _ in pickletools.genops(content)]


def shape_of(ops: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """Opcodes without what differs from array to array: sizes, bytes and the numbers of what is remembered."""
    free = {"BININT1", "BININT2", "BINPUT", "BINGET"}
    return [
        (name, None if name in free or (name.endswith("BINSTRING") and len(str(arg)) > 8) else arg) for name, arg in ops
    ]


def numpy_file_by_python_2() -> bytes:
    """An array of 73 float64 that Python 2's cPickle wrote, as numpy ships it for its own tests."""
    path = Path(np.__file__).parent / "_core" / "tests" / "data" / "astype_copy.pkl"
    if not path.exists():
        pytest.skip("this numpy ships no pickle that Python 2 wrote")
    return path.read_bytes()


def test_an_array_is_pickled_opcode_for_opcode_as_python_2_pickled_one():
    real = numpy_file_by_python_2()
    array = pickle.loads(real, encoding="latin1")
    head, size, raw, end = synthetic._array_opcodes(
        array, synthetic._RECONSTRUCT + b"q\x01", synthetic._NDARRAY + b"q\x02", b"q\x03", synthetic._F8 + b"q\x05"
    )
    written = b"\x80\x02" + b"".join([head, size, raw, end]) + b"."
    assert shape_of(opcodes(written)) == shape_of(opcodes(real))
    assert [arg for name, arg in opcodes(written) if name == "BINSTRING"] == [
        arg for name, arg in opcodes(real) if name == "BINSTRING"
    ]
    # The dtype was remembered as 4 there because its class had been; all else is equal to the byte.
    assert written.replace(b"q\x06", b"q\x04") == real


def test_a_dict_is_pickled_with_byte_strings_as_python_2_pickled_one():
    """joblib ships, for its own tests, what Python 2.7 pickled; its strings and dicts are the ones to write."""
    spec = find_spec("joblib")
    path = Path(spec.origin).parent / "test" / "data" / "joblib_0.9.2_pickle_py27_np17.pkl" if spec else Path()
    if not path.is_file():
        pytest.skip("this joblib ships no pickle that Python 2 wrote")
    used = {name for name, _ in opcodes(path.read_bytes())}
    written = opcodes(dat_bytes(np.zeros((2, 40, 512)), np.ones((2, 4))))
    names = {name for name, _ in written}
    assert {"PROTO", "EMPTY_DICT", "BINPUT", "MARK", "SETITEMS", "SHORT_BINSTRING", "BINSTRING"} <= names & used
    assert not names & {"BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "FRAME", "MEMOIZE"}  # no Python 2 wrote these
    assert written[0] == ("PROTO", 2)
    assert ("GLOBAL", "numpy.core.multiarray _reconstruct") in written


@pytest.mark.parametrize("n_trials", [2, 40])
def test_what_is_pickled_comes_back(n_trials):
    data = np.arange(n_trials * 40 * 512, dtype=float).reshape(n_trials, 40, 512)
    labels = np.linspace(1, 9, n_trials * 4).reshape(n_trials, 4)
    loaded = pickle.loads(dat_bytes(data, labels), encoding="latin1")
    assert list(loaded) == ["labels", "data"]
    assert loaded["data"].dtype == loaded["labels"].dtype == np.dtype("<f8")
    np.testing.assert_array_equal(loaded["data"], data)
    np.testing.assert_array_equal(loaded["labels"], labels)
    as_bytes = pickle.loads(dat_bytes(data, labels), encoding="bytes")  # only byte strings come back so
    assert list(as_bytes) == [b"labels", b"data"]


# ---------------------------------------------------------------- the corpus


@pytest.mark.journey
def test_the_reader_for_the_real_corpus_accepts_it_and_finds_the_planted_order(corpus):
    deap = Reader.open(corpus)
    assert (deap.synthetic, deap.n_trials, deap.seconds, deap.units) == (True, 2, 1, ("s01",))
    recordings = [deap.inspect(r) for r in deap.recordings("s01")]
    assert [r.warnings for r in recordings] == [(), ()]
    assert [(r.trial, r.stimulus) for r in recordings] == [("01", "02"), ("02", "01")]  # both are out of place
    planted = {f"{t.trial:02d}": t.ratings for t in plan(SMALL)}
    assert {r.trial: r.ratings for r in recordings} == planted
    for recording in recordings:
        assert recording.row == int(recording.stimulus) - 1
        assert deap.signals(recording).samples.shape == (40, 4 * 128)


@pytest.mark.journey
def test_rows_of_the_dat_are_rated_as_the_table_says_of_their_experiment(corpus):
    table = pd.read_csv(corpus / "metadata_csv/participant_ratings.csv")
    assert list(table) == [
        *("Participant_id", "Trial", "Experiment_id", "Start_time"),
        *("Valence", "Arousal", "Dominance", "Liking", "Familiarity"),
    ]
    with (corpus / "data_preprocessed_python/s01.dat").open("rb") as f:
        labels = pickle.load(f, encoding="latin1")["labels"]
    by_experiment = table.sort_values("Experiment_id")[["Valence", "Arousal", "Dominance", "Liking"]]
    np.testing.assert_array_equal(labels, by_experiment)


@pytest.mark.journey
def test_videos_are_h264_with_b_frames_at_50_fps_as_deaps_are(corpus):
    for trial in (1, 2):
        with av.open(str(corpus / f"face_video/s01/s01_trial{trial:02d}.avi")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.average_rate) == ("h264", 50)
            assert (stream.width, stream.height, stream.pix_fmt) == (720, 576, "yuv420p")
            kinds = Counter(av.video.frame.PictureType(f.pict_type).name for f in container.decode(stream))
        assert sum(kinds.values()) == 50
        assert kinds["B"] > 20


@pytest.mark.journey
def test_the_stamp_holds_the_settings_and_the_truth_of_every_trial(corpus):
    stamp = json.loads((corpus / "SYNTHETIC.json").read_text())
    assert (stamp["stamp"], stamp["trials"], stamp["seconds"]) == ("synthetic data", 2, 1)
    assert SynthConfig(**stamp["config"]) == SMALL
    assert [(t["subject"], t["trial"], t["experiment"]) for t in stamp["truth"]] == [("s01", 1, 2), ("s01", 2, 1)]
    assert set(stamp["truth"][0]["face"]) == {"valence", "arousal"}


@pytest.mark.journey
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(corpus, tmp_path):
    write_synthetic("deap", tmp_path / "again", SMALL)
    write_synthetic("deap", tmp_path / "other", SynthConfig(subjects=1, trials=2, seconds=1, seed=6, videos=0))
    files = [f.relative_to(corpus) for f in corpus.rglob("*") if f.is_file()]
    assert len(files) == 5  # .dat, two videos, ratings, stamp: nothing unfinished is left
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (corpus / file).read_bytes(), file
    dat = Path("data_preprocessed_python/s01.dat")
    assert (tmp_path / "other" / dat).read_bytes() != (corpus / dat).read_bytes()
    assert not list((tmp_path / "other").rglob("*.avi"))


@pytest.mark.journey
def test_two_processes_write_the_same_bytes_as_one(corpus, tmp_path):
    write_synthetic("deap", tmp_path, SMALL, jobs=2)
    for file in (f for f in corpus.rglob("*") if f.is_file()):
        assert (tmp_path / file.relative_to(corpus)).read_bytes() == file.read_bytes()


@pytest.mark.journey
def test_an_interrupted_corpus_is_completed_and_says_how_far_it_is(corpus, tmp_path):
    config = SynthConfig(subjects=2, trials=1, seconds=1, videos=0)

    class Interrupted(Exception):
        pass

    def interrupt(done, total):
        raise Interrupted

    with pytest.raises(Interrupted):
        write_synthetic("deap", tmp_path, config, progress=interrupt)
    assert not (tmp_path / "SYNTHETIC.json").exists()  # no reader takes half a corpus for a whole one
    (tmp_path / "data_preprocessed_python" / ".s02.dat.x.part").write_bytes(b"half")
    progress_calls = []
    write_synthetic("deap", tmp_path, config, progress=lambda done, total: progress_calls.append((done, total)))
    assert progress_calls == [(2, 3), (3, 3)]  # the ratings, and two subjects
    assert sorted(f.name for f in tmp_path.rglob("*") if f.is_file()) == [
        *("SYNTHETIC.json", "participant_ratings.csv", "s01.dat", "s02.dat"),
    ]


def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(BadInput, match=r"found 'thesis.doc' and no SYNTHETIC.json. Give another folder"):
        write_synthetic("deap", tmp_path, SMALL)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_file_among_synthetic_ones_that_gbvnet_did_not_write_is_refused(tmp_path):
    config = SynthConfig(subjects=1, trials=1, seconds=1, videos=0)
    write_synthetic("deap", tmp_path, config)
    (tmp_path / "data_preprocessed_python" / "s02.dat").write_bytes(b"licensed")
    with pytest.raises(BadInput, match=r"found 1 other files, as data_preprocessed_python.s02.dat"):
        write_synthetic("deap", tmp_path, config)


@pytest.mark.journey
def test_a_corpus_with_other_settings_is_refused_by_the_setting_that_differs(corpus):
    with pytest.raises(BadInput, match=r"expected effect 0\.0, found a corpus made with 1\.0"):
        write_synthetic("deap", corpus, SynthConfig(subjects=1, trials=2, seconds=1, seed=5, effect=0.0))


def test_a_destination_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "deap").write_text("")
    with pytest.raises(BadInput, match="expected a folder, found a file"):
        write_synthetic("deap", tmp_path / "deap", SMALL)


# ---------------------------------------------------------------- what is planted


@pytest.mark.parametrize("n", [8, 12, 40])
def test_half_of_the_latents_and_of_the_ratings_are_high_in_every_subject(n):
    pairs = np.array(latent_pairs(n, np.random.default_rng(3)))
    assert np.abs(pairs).max() <= 1
    assert ((pairs > 0).sum(axis=0) == n / 2).all()
    high = np.array([rating_of(*pair, SynthConfig()) >= 5 for pair in pairs])
    assert high.sum() == n / 2


@pytest.mark.journey
def test_one_modality_knows_three_ratings_of_four_and_both_know_all():
    pairs = np.array(latent_pairs(8000, np.random.default_rng(0)))
    high = np.array([rating_of(*pair, SynthConfig()) >= 5 for pair in pairs])
    assert [((pairs[:, i] > 0) == high).mean() for i in (0, 1)] == [0.75, 0.75]
    assert ((pairs.sum(axis=1) > 0) == high).all()


def test_ratings_are_made_of_both_in_their_shares_and_are_never_undecided():
    assert rating_of(1.0, 0.5, SynthConfig()) == 8.0  # 5 + 4 * (1 + 0.5) / 2
    assert rating_of(1.0, -0.5, SynthConfig(face=3.0)) == 7.5  # 5 + 4 * (3 - 0.5) / 4
    assert rating_of(-0.4, 0.9, SynthConfig(signals=0.0)) == 3.4
    assert [rating_of(x, -0.5, SynthConfig()) for x in (0.5, 0.5001, 0.4999)] == [5.01, 5.01, 4.99]


def test_presentation_order_is_scrambled_in_every_subject_and_differs_between_them():
    trials = plan(SynthConfig(subjects=8, trials=12))
    orders = [[t.experiment for t in trials if t.subject == s] for s in range(1, 9)]
    assert all(sorted(order) == list(range(1, 13)) and order != sorted(order) for order in orders)
    assert len(set(map(tuple, orders))) == 8


@pytest.mark.journey
def test_signals_carry_their_evidence_from_the_onset_on():
    body = Physiology.of_subject(0.0, np.random.default_rng(0))
    high, low = (signals_of_trial(body, v, v, 20, np.array([]), np.random.default_rng(1)) for v in (1.0, -1.0))
    np.testing.assert_array_equal(high[:, :384], low[:, :384])  # nothing shows in the 3 s before
    alpha = {name: band_power(high[i] - 0, 8, 12) / band_power(low[i], 8, 12) for i, name in enumerate(EEG)}
    assert alpha["F3"] < 0.5
    assert alpha["F4"] > 2
    assert alpha["Oz"] == pytest.approx(1, abs=0.2)
    assert band_power(high[7], 20, 40) > 2 * band_power(low[7], 20, 40)
    assert high[34].std() > low[34].std()  # zEMG
    assert np.ptp(high[36]) > 5  # skin conductance climbs


@pytest.mark.journey
def test_evidence_in_named_channels_is_in_these_alone():
    body = Physiology.of_subject(0.0, np.random.default_rng(0))
    named = ("F3", "C4", "O1")
    high, low = (
        signals_of_trial(body, v, v, 20, np.array([2.5]), np.random.default_rng(1), named) for v in (1.0, -1.0)
    )
    assert [EEG[i] for i in range(32) if not np.array_equal(high[i], low[i])] == ["F3", "O1", "C4"]
    np.testing.assert_array_equal(high[32:], low[32:])  # no muscle, no skin, no heart
    for name in named:
        assert band_power(high[EEG.index(name)], 8, 12) > 4 * band_power(low[EEG.index(name)], 8, 12)
        assert band_power(high[EEG.index(name)], 20, 40) > 4 * band_power(low[EEG.index(name)], 20, 40)
    steady = np.abs([Physiology.of_trial(1.0, np.random.default_rng(k), named).gain for k in range(200)]).mean(axis=0)
    assert steady[EEG.index("O1")] < 0.5 * steady[EEG.index("Oz")]  # the bait does not drown the truth


@pytest.mark.journey
def test_evidence_is_in_the_stamp_only_where_it_is_given_and_another_one_is_refused(corpus, tmp_path):
    assert "evidence" not in json.loads((corpus / "SYNTHETIC.json").read_text())["config"]
    small = {"subjects": 1, "trials": 1, "seconds": 1, "videos": 0}
    write_synthetic("deap", tmp_path, SynthConfig(**small, evidence=("F3", "O1")))
    write_synthetic("deap", tmp_path, SynthConfig(**small, evidence=("F3", "O1")))  # the same again: nothing to refuse
    for evidence, expected in ((None, "None"), (("F3",), r"\['F3'\]")):
        with pytest.raises(BadInput, match=rf"expected evidence {expected}, found a corpus made with \['F3', 'O1'\]"):
            write_synthetic("deap", tmp_path, SynthConfig(**small, evidence=evidence))


def test_evidence_in_no_channel_of_the_eeg_is_refused_before_anything_is_written(tmp_path):
    for name, hint in (("F33", "did you mean F3"), ("GSR", "there are Fp1, AF3")):
        with pytest.raises(BadConfig, match=f"no EEG channel {name}; {hint}"):
            write_synthetic("deap", tmp_path / "x", SynthConfig(evidence=("C4", name)))
    assert not (tmp_path / "x").exists()


def band_power(x, low_hz, high_hz):
    hz = np.fft.rfftfreq(len(x) - 384, 1 / 128)
    power = np.abs(np.fft.rfft(x[384:])) ** 2
    return power[(hz >= low_hz) & (hz <= high_hz)].mean()


@pytest.mark.journey
def test_eeg_is_4_to_45_hz_in_microvolts_and_alike_in_neighbours():
    samples = signals_of_trial(
        Physiology.of_subject(0.0, np.random.default_rng(0)), 0, 0, 60, np.array([]), np.random.default_rng(2)
    )
    power = np.abs(np.fft.rfft(samples[:32])) ** 2
    hz = np.fft.rfftfreq(samples.shape[1], 1 / 128)
    assert power[:, (hz < 3) | (hz > 47)].sum() < 0.001 * power.sum()
    assert 4 < samples[:32].std() < 40
    correlation = np.corrcoef(samples[:32])
    assert correlation[EEG.index("F3"), EEG.index("FC1")] > correlation[EEG.index("F3"), EEG.index("O2")] + 0.2


def test_blinks_are_in_the_vertical_eog():
    body = Physiology.of_subject(0.0, np.random.default_rng(0))
    one, none = (signals_of_trial(body, 0, 0, 4, np.array(at), np.random.default_rng(3))[33] for at in ([2.5], []))
    assert np.argmax(one - none) == (3 + 2.5) * 128
    assert (one - none).max() == pytest.approx(120)


def test_electrodes_stand_where_their_names_say():
    places = dict(zip(EEG, positions().tolist(), strict=True))
    assert places["Cz"] == [0, 0]
    assert places["F3"] == [-2, 2]
    assert places["Fp2"] == [1, 4]
    assert places["T8"] == [4, 0]
    assert places["PO4"] == [2, -3]


def test_a_trials_fingerprint_is_no_offset_and_goes_with_strength_0():
    rng = np.random.default_rng(4)
    assert all(np.all(value == 0) for value in vars(Physiology.of_trial(0.0, rng)).values())
    assert np.std(Physiology.of_trial(1.0, rng).gain) > 0.3
    assert (trial_light(0.0, rng) == 1).all()


def test_acting_shows_valence_in_the_mouth_and_arousal_in_brows_lids_and_jaw():
    happy = act_trial(1.0, -1.0, 4, np.array([1.0]), np.random.default_rng(0))
    mean = dict(zip(EXPRESSIONS, happy.expressions.mean(axis=0), strict=True))
    assert mean["smile"] > 10
    assert mean["brows"] < -4
    assert mean["jaw"] == 0
    assert happy.blink[FPS] == 1
    assert happy.blink[3 * FPS] < 1e-6
    nothing = act_trial(0.0, 0.0, 4, np.array([]), np.random.default_rng(0))
    assert np.abs(nothing.expressions.mean(axis=0)[0]) < 5


@pytest.mark.journey
def test_a_face_that_tells_with_its_mouth_alone_moves_nothing_else():
    whole, mouth = (act_trial(1.0, 1.0, 1, np.array([]), np.random.default_rng(0), only) for only in (False, True))
    columns = {name: i for i, name in enumerate(EXPRESSIONS)}
    for name in ("smile", "jaw"):
        np.testing.assert_array_equal(mouth.expressions[:, columns[name]], whole.expressions[:, columns[name]])
    assert not mouth.expressions[:, [columns["brows"], columns["lids"]]].any()
    np.testing.assert_array_equal(mouth.head, whole.head)

    drawn = []
    for evidence in (1.0, -1.0):
        acting = act_trial(evidence, evidence, 1, np.array([]), np.random.default_rng(0), True)
        still = Acting(acting.expressions[:1], acting.blink[:1], 0 * acting.head[:1])
        face = Face(np.random.default_rng(1))
        drawn.append(next(face.frames(still, trial_light(0.0, np.random.default_rng(2)))).astype(int))
        aim = face.frame_map
    moved = np.abs(drawn[0] - drawn[1]).max(axis=2) > 12
    about_the_mouth = aim[..., 1] > 225  # of the portrait: mouth at 279, tip of the nose above 235, eyes at 190
    assert moved.sum() > 500
    assert (moved & about_the_mouth).sum() > 0.99 * moved.sum()


def test_smooth_noise_is_smooth_and_has_no_jumps():
    noise = smooth_noise(2000, 3, 1.0, np.random.default_rng(0))
    assert noise.shape == (2000, 3)
    assert 0.5 < noise.std() < 1.3
    assert np.abs(np.diff(noise, axis=0)).max() < 0.15


@pytest.mark.journey
def test_head_motion_moves_the_face_and_leaves_the_frames_border_alone():
    face = Face(np.random.default_rng(0))
    acting = act_trial(0.0, 0.0, 1, np.array([]), np.random.default_rng(1))
    first, last = (
        f.copy() for i, f in enumerate(face.frames(acting, trial_light(1.0, np.random.default_rng(2)))) if i in (0, 49)
    )
    assert (first != last).mean() > 0.05
    assert (first[:30] == last[:30]).all()
    assert (first[:, :160] == last[:, :160]).all()
