"""The AMIGOS reader against a script of scipy alone, with signals that tell their own time, and what it refuses."""

import re
from fractions import Fraction

import numpy as np
import pytest
import scipy.io

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import amigos, open_corpus
from gbvnet.datasets.amigos_file import CHANNELS, FILMS, LONG, SHORT, segment_traces
from gbvnet.datasets.amigos_probes import order_of_columns, skin_direction
from gbvnet.datasets.check import check_corpus, missing
from gbvnet.datasets.synthetic.matlab_file import cells, mat_bytes
from gbvnet.errors import BadRecording
from gbvnet.io.frame_times import VideoInfo
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SECONDS = {"18": 47.5, "4": 21.0, "N1": 60.0}  # films with signals
EMPTY = np.zeros((0, 0))


def signals(subject: int, film: str) -> np.ndarray:
    """(N, 17): each value is its own time, 0 at the film's start; plus subject, film and channel."""
    n = round((5 + SECONDS[film]) * 128)
    return (np.arange(n) / 128 - 5)[:, None] + 1000 * subject + 10_000 * [*SECONDS].index(film) + np.arange(17) / 100


def felt(subject: int, film: str) -> np.ndarray:
    """Arousal 2 and a bit, valence 7 and a bit, ..."""
    bit = 0.1 * subject + 0.01 * [*SECONDS].index(film)
    return np.array([[2 + bit, 7 + bit, 5, 1, 9, 0, 0, 1, 0, 0, 0, 1]])


def annotated(film: str) -> np.ndarray:
    """Valence rises by 0.1 a segment, arousal falls."""
    k = np.arange(int(SECONDS[film] // 20) + 2)
    return np.stack([k + 1, k / 10, -k / 10], axis=1)


def variables(subject: int) -> dict:
    """As in the real files: 20 cells, in another order of films for each participant."""
    order = np.random.default_rng(10 * subject).permutation([*FILMS]).tolist()
    return {
        "VideoIDs": cells(order),
        "joined_data": cells(signals(subject, film) if film in SECONDS else EMPTY for film in order),
        "labels_selfassessment": cells(felt(subject, film) if film in SECONDS else EMPTY for film in order),
        "labels_ext_annotation": cells(annotated(film) if film in SECONDS else EMPTY for film in order),
    }


def path(root, subject=1):
    return root / f"mat/Data_Preprocessed_P{subject:02d}.mat"


def write(root, subject=1, held=None, mat73=False):
    path(root).parent.mkdir(parents=True, exist_ok=True)
    path(root, subject).write_bytes(mat_bytes(held or variables(subject), mat73))


@pytest.fixture
def root(tmp_path):
    for subject in (1, 2):
        write(tmp_path / "amigos", subject)
    films = '{"18": 47, "4": 21, "N1": 60}'
    stamp = f'{{"stamp": "synthetic data", "trials": 2, "seconds": 21, "films": {films}}}'
    (tmp_path / "amigos/SYNTHETIC.json").write_text(stamp)
    return tmp_path / "amigos"


def checked(root, corpus="amigos"):
    """All recordings by name, and the errors of participants."""
    units = list(check_corpus(open_corpus(corpus, root)))
    return {r.name: r for u in units for r in u.recordings}, {u.name: u.error for u in units if u.error}


def at(held, film):
    """The cell of a film."""
    return held["VideoIDs"].ravel().tolist().index(film)


# ---------------------------------------------------------------- what is read


@pytest.mark.journey
@pytest.mark.parametrize(("corpus", "films"), [("amigos", ["4", "18"]), ("amigos-long", ["N1"])])
def test_signals_ratings_and_film_are_those_of_a_script_with_scipy_alone(root, corpus, films):
    opened = open_corpus(corpus, root)
    assert opened.units == ("P01", "P02") and opened.dataset == corpus
    for subject, unit in enumerate(opened.units, 1):
        mat = scipy.io.loadmat(path(root, subject), simplify_cells=True)
        recordings = opened.recordings(unit)
        assert [r.stimulus for r in recordings] == films
        for r in recordings:
            k = [str(name) for name in mat["VideoIDs"]].index(r.stimulus)
            assert (r.error, r.name, r.subject, r.seconds) == (None, f"{unit}_{r.stimulus}", unit, SECONDS[r.stimulus])
            assert [r.ratings[name] for name in ("arousal", "valence", "dominance", "liking", "familiarity")] == [
                *mat["labels_selfassessment"][k][:5]
            ]  # fmt: skip
            names = ("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness")
            assert [r.ratings[name] == "yes" for name in names] == mat["labels_selfassessment"][k][5:].tolist()
            got = opened.signals(r)
            assert np.array_equal(got.samples, mat["joined_data"][k].T)
            assert (got.onset, got.rate_hz, got.channels) == (640, 128, CHANNELS)
            assert np.allclose(got.samples[0, 640] % 1000, 0)  # at the film's start the signals say 0 s
            segments = mat["labels_ext_annotation"][k]
            assert r.traces["external_valence"].values[0] == segments[1, 1]
            assert r.traces["external_arousal"].values[0] == segments[1, 2]
    assert [c.name for c in CHANNELS[-3:]] == ["ECG_Right", "ECG_Left", "GSR"] and CHANNELS[0].filtered
    assert not CHANNELS[-1].filtered


@pytest.mark.journey
def test_cells_are_joined_by_their_films_and_never_by_position(root):
    """The same film lies in another cell for each participant here; by position, ratings would be another film's."""
    one, other = (variables(subject) for subject in (1, 2))
    assert at(one, "18") != at(other, "18")
    recordings, _ = checked(root)
    assert recordings["P01_18"].ratings["arousal"] == pytest.approx(2.1)
    assert recordings["P02_18"].ratings["arousal"] == pytest.approx(2.2)
    assert recordings["P02_4"].ratings["valence"] == pytest.approx(7.21)
    assert len({(r.row, r.stimulus) for r in recordings.values()}) == 4


@pytest.mark.journey
def test_the_store_has_each_window_at_its_own_time_and_annotators_ratings_of_it(root, tmp_path):
    config = PrepareConfig(filter=False, baseline="none")
    assert prepare_store(open_corpus("amigos", root), tmp_path / "store", config).bad == []
    store = open_store(tmp_path / "store")
    x = store.read(np.arange(len(store)), faces=False)[2]
    assert len(store) == 2 * (47 + 21)
    for k, row in store.windows.iterrows():
        offset = 1000 * int(row["subject"][1:]) + 10_000 * [*SECONDS].index(row["stimulus"])
        wanted = row["start_s"] + np.arange(128) / 128 + offset
        assert np.abs(x[k] - np.arange(17)[:, None] / 100 - wanted).max() < 1 / 128
    assert np.abs(store.baseline("P01_18")[0] - (np.arange(-640, 0) / 128 + 1000)).max() < 1 / 256
    film = store.windows[store.windows["recording"] == "P01_18"].set_index("start_s")
    assert film["external_valence"][[0, 19, 20, 39, 40, 46]].tolist() == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert film["external_arousal"][[0, 45]].tolist() == [-0.1, -0.3]


def test_segments_of_annotators_are_placed_on_the_film():
    rows = np.stack([np.arange(1, 5), np.arange(4) / 10, -np.arange(4) / 10], axis=1)
    traces = segment_traces(rows, 50.0)  # two whole segments, and what the last 20 s have beyond them
    assert traces["external_valence"].times_s.tolist() == [0, 20, 40, 50]
    assert traces["external_valence"].values[:3].tolist() == [0.1, 0.2, 0.3]
    assert traces["external_arousal"].values[:3].tolist() == [-0.1, -0.2, -0.3]
    assert np.isnan(traces["external_valence"].values[3])
    assert segment_traces(rows, 40.0)["external_valence"].times_s.tolist() == [0, 20, 40]
    assert segment_traces(rows[:2], 12.0)["external_valence"].values[0] == 0.1  # the last 20 s hold all of it
    assert segment_traces(rows, 60.0) is None and segment_traces(rows[[0, 2, 1, 3]], 50.0) is None
    assert sum(SHORT.values()) == 94 and sum(LONG.values()) == 246  # 340 a participant


@pytest.mark.journey
def test_both_versions_of_matlab_files_are_read_alike(root, tmp_path):
    pytest.importorskip("h5py")
    write(tmp_path / "hdf5", 1, mat73=True)
    one, other = open_corpus("amigos", root), open_corpus("amigos", tmp_path / "hdf5")
    for a, b in zip(one.recordings("P01"), other.recordings("P01"), strict=True):
        assert (a.name, a.row, a.ratings, a.traces, a.seconds) == (b.name, b.row, b.ratings, b.traces, b.seconds)
        assert np.array_equal(one.signals(a).samples, other.signals(b).samples)


@pytest.mark.journey
def test_files_may_lie_in_folders_and_twice_is_refused(root):
    deep = root / "Physiological Recordings/Matlab Preprocessed Data/P02"
    deep.mkdir(parents=True)
    path(root, 2).rename(deep / path(root, 2).name)
    assert open_corpus("amigos", root).recordings("P02")[0].signals.parent == deep
    (root / "copy").mkdir()
    (root / "copy" / path(root, 2).name).write_bytes(b"x")
    _, errors = checked(root)
    assert set(errors) == {"P02"} and "expected one file of P02, found 2: " in errors["P02"]


# ---------------------------------------------------------------- what is refused, and what is reported


def test_a_folder_without_the_corpus_says_so(tmp_path):
    with pytest.raises(BadRecording, match=r"files Data_Preprocessed_P01\.mat to P40\.mat, here or in a folder below"):
        open_corpus("amigos", tmp_path)


def replaced(held, name, film, value):
    held[name].ravel()[at(held, film)] = value
    return held


def without(held, name):
    return {key: value for key, value in held.items() if key != name}


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: without(v, "VideoIDs"), r"a variable VideoIDs, found joined_data.*Nothing else says which cell"),
        (lambda v: without(v, "joined_data"), "a variable joined_data, found VideoIDs"),
        (lambda v: v | {"VideoIDs": cells(["4"])}, r"1 cells in joined_data, one for each film, found cell of 1 x 20"),
        (lambda v: v | {"VideoIDs": "4"}, "expected cells in VideoIDs, found char"),
        (lambda v: replaced(v, "VideoIDs", "18", "4"), r"each film once in VideoIDs, found 4 in cells \d+ and \d+"),
        (lambda v: replaced(v, "VideoIDs", "18", "99"), r"a film of 4, 5.* in VideoIDs\{\d+\}, found '99'"),
        (lambda v: replaced(v, "VideoIDs", "18", cells(["4"])), r"expected text in one row in VideoIDs\{"),
        (lambda v: v | {"labels_selfassessment": cells([])}, "20 cells in labels_selfassessment"),
    ],
)  # fmt: skip
def test_a_participant_whose_file_is_not_as_assumed_is_refused_and_no_other(root, capsys, change, message):
    write(root, 1, change(variables(1)))
    recordings, errors = checked(root)
    assert set(errors) == {"P01"} and re.search(message, errors["P01"]), errors
    assert str(path(root)) in errors["P01"] and set(recordings) == {"P02_4", "P02_18"}
    assert main(["check", "amigos", str(root), "--jobs", "1"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def labels(at_column, value):
    row = felt(1, "18")
    row[0, at_column] = value
    return row


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("joined_data", np.zeros((900, 16)), r"17 channels in joined_data\{\d+\} \(film 18\), found double of"),
        ("joined_data", np.zeros((640, 17)), "more than the 5 s before film 18"),
        ("joined_data", "x", "samples x 17 channels"),
        ("joined_data", np.full((3000, 17), np.nan), "3,000 of 3,000 NaN or infinite in channel AF3, the first at 0"),
        ("labels_selfassessment", np.zeros((1, 11)), "12 ratings in labels_selfassessment"),
        ("labels_selfassessment", labels(0, 0), r"arousal from 1 to 9 in .*found 0\. Its columns may not be those"),
        ("labels_selfassessment", labels(1, np.nan), "valence from 1 to 9 .*found nan"),
        ("labels_selfassessment", labels(5, 3), "neutral 0 or 1 .*found 3"),
        ("labels_ext_annotation", np.zeros((4, 2)), "segments x 3 in labels_ext_annotation"),
        ("labels_ext_annotation", np.full((4, 3), 2.0), "ratings from -1 to 1 in .*found 2"),
    ],
)  # fmt: skip
def test_a_film_that_is_not_as_assumed_is_refused_and_no_other(root, tmp_path, name, value, message):
    write(root, 1, replaced(variables(1), name, "18", value))
    recordings, errors = checked(root)
    bad = {r.name: r.error for r in recordings.values() if r.error}
    assert not errors and list(bad) == ["P01_18"] and re.search(message, bad["P01_18"]), bad
    summary = prepare_store(open_corpus("amigos", root), tmp_path / "store", PrepareConfig(faces=False))
    assert (summary.n_prepared, len(summary.bad)) == (3, 1)


@pytest.mark.journey
def test_what_the_corpus_itself_lacks_is_a_note_and_no_error(root):
    held = replaced(variables(1), "labels_selfassessment", "18", EMPTY)
    write(root, 1, replaced(held, "joined_data", "4", EMPTY))
    write(root, 2, replaced(replaced(variables(2), "labels_ext_annotation", "4", EMPTY), "labels_ext_annotation", "18",
                            annotated("4")))  # fmt: skip
    corpus = open_corpus("amigos", root)
    units = {u.name: u for u in check_corpus(corpus)}
    assert units["P01"].warnings == ("no signals of film 4", "no self-assessment of film 18")
    (alone,) = units["P01"].recordings
    assert alone.error is None and alone.ratings == {} and "no self-assessment: only annotators'" in alone.warnings[0]
    first, second = units["P02"].recordings
    assert first.warnings == ("no external annotation",) and first.traces == {}
    assert second.warnings == (
        "3 annotated segments where a film of 47.5 s has 4: external ratings are not used",
    )  # fmt: skip
    assert [row[0] for row in missing(list(units.values()))] == ["subject", "P01"]
    write(root, 1, replaced(held, "labels_ext_annotation", "18", EMPTY))
    assert "a label of P01_18, found neither felt nor external" in checked(root)[0]["P01_18"].error


@pytest.mark.journey
def test_a_truncated_file_is_refused_and_the_others_are_used(root):
    whole = path(root).read_bytes()
    path(root).write_bytes(whole[: len(whole) // 2])
    recordings, errors = checked(root)
    assert set(recordings) == {"P02_4", "P02_18"} and "fetch it again" in errors["P01"].lower()


@pytest.mark.journey
def test_of_the_real_corpus_absent_participants_and_films_of_odd_lengths_are_named(root):
    (root / "SYNTHETIC.json").unlink()
    corpus = open_corpus("amigos", root)
    assert corpus.notes()[0].startswith("no file of P03, P04, ") and corpus.notes()[0].endswith("P40")
    assert corpus.notes("P01")[0].startswith("no signals of films 5, 9, 10")
    recordings, _ = checked(root)
    assert "the film lasts 47.5 s, which does not fit its 5 segments of 20 s" in recordings["P01_18"].warnings
    long = open_corpus("amigos-long", root)
    assert any("watched together: P07 P01 P02 P16" in note for note in long.notes())
    assert long.notes("P01") == ("no signals of films P1, B1, U1",)


# ---------------------------------------------------------------- probes


def pairs(swapped=False):
    rng, films = np.random.default_rng(0), {}
    for film in range(8):
        arousal, valence = rng.uniform(-1, 1, 2)
        first = np.array([5 + 3 * arousal, 5 + 3 * valence])
        films[str(film)] = [(first[::-1] if swapped else first, np.array([valence, arousal]))]
    return films


def test_columns_in_another_order_are_noticed_over_films():
    (right,), (wrong,) = order_of_columns(pairs()), order_of_columns(pairs(swapped=True))
    assert "correlate by 1.00 (arousal) and 1.00 (valence) as their columns are read" in right and "ARE" not in right
    assert wrong.endswith("ARE AROUSAL AND VALENCE IN THE ORDER THAT IS ASSUMED? (docs/corpora/amigos.md)")
    assert order_of_columns({"4": pairs()["0"]}) == []


def test_the_direction_of_the_skin_channel_shows_in_its_fast_changes():
    at_s, rng = np.arange(60 * 128) / 128, np.random.default_rng(0)
    since = np.clip(at_s[:, None] - rng.uniform(0, 60, 9), 0, None)
    conductance = 4 + 0.02 * at_s + (0.5 * since / 0.8 * np.exp(1 - since / 0.8)).sum(axis=1)
    assert skin_direction([conductance] * 3)[0].endswith("go down in 0 of 3 films, a conductance's")
    assert skin_direction([1e6 / conductance])[0].endswith("go down in 1 of 1 films, a resistance's")
    assert "its median is 2.14e+05" in skin_direction([1e6 / conductance])[0]
    assert skin_direction([np.zeros(9000), np.full(9000, np.nan), np.ones(3)]) == []


# ---------------------------------------------------------------- videos


def with_video(root, name="Exp1_P01_face/P01_18_face.mov"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
    return root / name


@pytest.mark.journey
@pytest.mark.parametrize(
    ("seconds", "used", "message"),
    [
        (52.5, True, None),
        (51.6, True, None),
        (50.0, True, r"the video lasts 50.0 s, and the film with the 5 s before it 52.5 s$"),
        (47.5, False, "it may begin with the film itself, so that its start is not known, and it is not used"),
        (90.0, True, "the video lasts 90.0 s"),
    ],
)
def test_the_start_of_a_video_is_compared_by_lengths(root, monkeypatch, seconds, used, message):
    video = with_video(root)
    monkeypatch.setattr(amigos, "probe", lambda path: VideoInfo(8, 8, Fraction(25), round(seconds * 25)))
    recordings, _ = checked(root)
    recording = recordings["P01_18"]
    assert recording.video == (video if used else None) and recording.video_start_s == 5
    assert recordings["P02_18"].video is None
    assert [bool(message) and bool(re.search(message, w)) for w in recording.warnings] == [True] * bool(message)


@pytest.mark.journey
def test_two_videos_of_a_film_are_refused_and_those_of_no_film_are_named(root):
    with_video(root)
    with_video(root, "copies/P01_18_face.mp4")
    with_video(root, "Exp2_P02_face/P02_N23_face.mov")
    recordings, _ = checked(root)
    assert "expected one face video of P01 and film 18, found 2: " in recordings["P01_18"].error
    assert open_corpus("amigos", root).notes("P02") == ("videos of no film, not used: P02_N23_face.mov",)
