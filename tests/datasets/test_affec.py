"""AFFEC: trials, ratings, streams and their clocks, on a synthetic corpus with the irregularities of the real one."""

import gzip
import json
import shutil

import mne
import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.affec_clock import Run, decide
from gbvnet.datasets.affec_streams import CONDUCTANCE, FACE_FEATURES, Stream, read_stream
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.synthetic.affec import EVENT_S, FACE_HZ, GSR_HZ, LATE_S, Settings
from gbvnet.errors import BadConfig, BadRecording
from gbvnet.inference import batch
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SMALL = {"subjects": 2, "trials": 3, "seconds": 3, "seed": 4}
FEATURES = PrepareConfig(store_faces="features")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A corpus for each clock of the streams: by its name, its folder."""
    folder = tmp_path_factory.mktemp("affec")
    for clock in ("late", "own", "ambiguous"):
        write_synthetic("affec", folder / clock, Settings(**SMALL, clock=clock))
    write_synthetic("affec", folder / "defects", Settings(subjects=3, trials=9, seconds=2, defects=True))
    return folder


@pytest.fixture
def root(written, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(written / "late", tmp_path / "corpus")


def recordings(corpus):
    return [r for unit in corpus.units for r in corpus.recordings(unit)]


def errors(root, **options):
    """Error of each bad recording of a corpus by name, and the number of good ones."""
    checked = [r for unit in check_corpus(open_corpus("affec", root, **options)) for r in unit.recordings]
    return {r.name: r.error for r in checked if r.error}, sum(not r.error for r in checked)


def stream_file(root, kind, run=1, subject=0, ending="tsv.gz"):
    name = sorted(f.name for f in root.glob("sub-*"))[subject]
    return root / name / "beh" / f"{name}_task-fer_run-{run}_recording-{kind}_physio.{ending}"


def lines_of(path):
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def rewrite(path, lines):
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


# ---------------------------------------------------------------- trials and labels


@pytest.mark.journey
def test_trials_are_joined_by_their_film_and_keep_felt_and_perceived_ratings(written):
    corpus = open_corpus("affec", written / "late")
    truth = json.loads((written / "late/SYNTHETIC.json").read_text())["truth"]
    by_place = {(t["subject"], f"{t['run']}-{t['trial']:02d}"): t for t in truth}
    listed = recordings(corpus)
    assert len(listed) == len(truth) == 6
    for r in listed:
        planted = by_place[r.subject, r.trial]
        assert r.ratings == planted["ratings"] and r.stimulus == planted["stimulus"] and r.seconds == 3
        assert r.signal_times[0] == pytest.approx(planted["film_s"])
        assert r.signal_times[1:] == pytest.approx((planted["start_s"] + 0.5, planted["start_s"] + 2.5))
    assert [(c.name, c.label_set, c.of) for c in corpus.labels] == [
        ("valence", "felt", ""), ("arousal", "felt", ""),
        ("perceived_valence", "perceived", "valence"), ("perceived_arousal", "perceived", "arousal"),
    ]  # fmt: skip
    assert any(r.ratings["valence"] != r.ratings["perceived_valence"] for r in listed)
    assert not corpus.has_videos and len(corpus.channels) == 64 and len(corpus.face_feature_names) == 49
    assert any("run 0 is practice: its 4 trials are left out" in note for note in corpus.notes(corpus.units[0]))


def oracle(root, recording):
    """Signals, conductance and AU12_r of a recording by pandas and mne alone."""
    sub, run = f"sub-{recording.subject}", recording.trial[0]
    stem = f"{sub}_task-fer_run-{run}"
    events = pd.read_csv(root / sub / f"{stem}_events.tsv", sep="\t")
    events = events[(events["trial"] == int(recording.trial[2:])) & events["onset"].notna()].sort_values("onset")
    start = events.loc[events["flag"] == "video", "onset"].iloc[0]
    raw = mne.io.read_raw_edf(root / sub / "eeg" / f"{stem}_eeg.edf", preload=True, verbose="error")
    first = max(0, round((start - 5) * 256))
    times = np.arange(first, min(raw.n_times, round((start + recording.seconds + 5) * 256))) / 256
    streams = {}
    for kind in ("gsr", "videostream"):
        names = json.loads((root / sub / "beh" / f"{stem}_recording-{kind}_physio.json").read_text())["Columns"]
        table = pd.read_csv(
            root / sub / "beh" / f"{stem}_recording-{kind}_physio.tsv.gz",
            sep="\t", names=names, header=None, low_memory=False, skiprows=1 if run == "1" else 0,
        )  # fmt: skip
        streams[kind] = table.apply(pd.to_numeric, errors="coerce")
    gsr, face = streams["gsr"], streams["videostream"]
    conductance = np.interp(times, gsr["onset"], gsr["GSR_Conductance_cal"])
    return raw.get_data()[:, first : first + len(times)] * 1e6, conductance, face["onset"] - start, face


@pytest.mark.journey
def test_signals_and_features_are_those_that_pandas_and_mne_read(written):
    corpus = open_corpus("affec", written / "late")
    for recording in [r for r in recordings(corpus) if r.trial[0] in "13"]:  # run 2 has a JSON file that is cut
        eeg, conductance, face_s, face = oracle(written / "late", recording)
        signals = corpus.signals(corpus.inspect(recording))
        assert signals.rate_hz == 256 and signals.samples.shape == (64, len(conductance))
        assert np.allclose(signals.samples[:-1], eeg, atol=1e-6)
        assert np.allclose(signals.samples[-1], conductance, atol=1e-9)
        features = corpus.face_features(recording)
        inside = (face_s >= -5) & (face_s <= recording.seconds + 5)
        assert np.allclose(features.times_s, face_s[inside])
        good = (face["success"] == 1)[inside].to_numpy()
        mine = features.values[:, FACE_FEATURES.index("AU12_r")]
        assert np.isnan(features.values[~good]).all() and (~good).sum() < len(good) / 10
        assert np.allclose(mine[good], face["AU12_r"][inside][good])


@pytest.mark.journey
@pytest.mark.parametrize("clock", ["late", "own"])
def test_a_planted_event_is_at_one_time_in_all_streams(written, clock):
    corpus = open_corpus("affec", written / clock)
    for recording in recordings(corpus):
        signals, features = corpus.signals(recording), corpus.face_features(recording)
        onset = round(signals.onset)
        smooth = np.convolve(signals.samples[0], np.hanning(64) / 32, "same")[onset : onset + 256]
        level = signals.samples[-1][onset : onset + 256]
        film = (features.times_s > 0) & (features.times_s < 1)
        blink = np.nan_to_num(features.values[film, FACE_FEATURES.index("AU45_r")])
        weights = np.clip(blink - 1.2, 0, None)
        times = np.arange(256) / 256
        centre = [(x * t).sum() / x.sum() for x, t in (
            (np.clip(smooth - 75, 0, None), times), (np.clip(level - level.max() + 0.3, 0, None), times),
            (weights, features.times_s[film]))]  # fmt: skip
        assert centre[0] == pytest.approx(EVENT_S, abs=1 / GSR_HZ)
        assert centre[1] == pytest.approx(EVENT_S, abs=1 / GSR_HZ)
        assert centre[2] == pytest.approx(EVENT_S, abs=1 / FACE_HZ)


# ---------------------------------------------------------------- clocks


@pytest.mark.journey
def test_the_probes_tell_which_clock_the_streams_are_on(written):
    for clock, offset in (("late", 0.0), ("own", -LATE_S)):
        corpus = open_corpus("affec", written / clock)
        assert all(r.signal_files[1].offset_s == pytest.approx(offset, abs=1e-6) for r in recordings(corpus))
        decided = [note for note in corpus.notes(corpus.units[0]) if " on clock " in note]
        assert len(decided) == 6 and all("as_told" if clock == "late" else "zeroed" in note for note in decided)
        assert all("first onset 1.70 s; StartTime" in n and "from the run's end" in n for n in decided)


@pytest.mark.journey
def test_a_clock_that_nothing_decides_is_refused_until_the_user_decides(written, capsys):
    bad, n_good = errors(written / "ambiguous")
    assert len(bad) == 6 and n_good == 0
    for text in ("expected a stream whose clock can be decided", "first onset 1.70 s; no StartTime", "--clock as_told"):
        assert all(text in error for error in bad.values())
    assert errors(written / "ambiguous", clock="zeroed") == ({}, 6)
    root = str(written / "ambiguous")
    assert main(["check", "affec", root, "--jobs", "1"]) == 1
    assert main(["check", "affec", root, "--clock", "zeroed", "--jobs", "1"]) == 0
    assert "gsr on clock zeroed (first onset 1.70 s; --clock)" in capsys.readouterr().out


@pytest.mark.journey
def test_the_decision_is_part_of_the_store(written, tmp_path):
    stores = {}
    for clock in (None, "as_told", "zeroed"):
        stores[clock] = tmp_path / f"{clock}.store"
        prepare_store(open_corpus("affec", written / "late", clock=clock), stores[clock], PrepareConfig(faces=False))
    sources = {clock: open_store(path).settings["source"] for clock, path in stores.items()}
    assert sources == {None: "clock by probes", "as_told": "clock as_told", "zeroed": "clock zeroed"}
    read = {clock: open_store(path) for clock, path in stores.items()}
    rows = read[None].windows.index.to_numpy()
    signals = {clock: store.read(rows, faces=False)[2] for clock, store in read.items()}
    assert np.array_equal(signals[None], signals["as_told"])
    assert not np.allclose(signals[None][:, -1], signals["zeroed"][:, -1], atol=0.05)  # 1.7 s off
    assert read["zeroed"].recordings["signals"].str.contains("gz@-1.7").all()


@pytest.mark.journey
def test_prediction_takes_the_clock_too_and_only_of_a_corpus(written, tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(
        batch,
        "predict_many",
        lambda model, source, *others, **more: given.append(source) or batch.BatchPrediction([], 0),
    )
    (tmp_path / "model").mkdir()
    command = [
        "predict",
        str(tmp_path / "model"),
        str(written / "ambiguous"),
        str(tmp_path / "out"),
        "--clock",
        "zeroed",
    ]
    monkeypatch.setattr("gbvnet.cli.main.require_kinds", lambda *words: None)  # the model is none
    assert main([*command, "--corpus", "affec"]) == 0
    corpus, recordings = batch._open_source(given[0], None, None)
    assert corpus.source == "clock zeroed" and len(recordings) == 6
    assert main(command) == 2
    assert "--clock is an option of a corpus: name the corpus with --corpus" in capsys.readouterr().err


def made(times, start_s=None):
    return Stream(np.asarray(times), np.zeros((len(times), 2)), start_s, None, ())


def test_probes_that_contradict_each_other_decide_nothing():
    run, late = Run(100.0, np.zeros((0, 2))), np.arange(1.7, 99.9, 0.02)
    assert decide(made(late), run, None).clock == "as_told"
    assert decide(made(late, 0.0), run, None).clock is None
    assert "these disagree" in decide(made(late, 0.0), run, None).why
    assert decide(made(late + 1.7, 0.0), run, None).offset_s == pytest.approx(-3.4)
    assert decide(made(np.arange(0, 99, 0.02)), run, None).clock == "as_told"
    assert decide(made(np.arange(1.7, 60, 0.02)), run, None).clock is None
    rated = np.array([[20.0, 25.0], [40.0, 45.0]])
    times = np.arange(1.7, 60, 0.02)
    moving = ((times > 20) & (times < 25)) | ((times > 40) & (times < 45))
    cursor = Stream(times, np.stack([np.cumsum(moving), np.zeros(len(times))], axis=1), None, None, ())
    assert decide(made(np.arange(1.7, 60, 0.02)), Run(100.0, rated), cursor).clock == "as_told"
    assert decide(made(np.arange(1.7, 60, 0.02)), Run(100.0, rated - 1.7), cursor).clock == "zeroed"


@pytest.mark.journey
def test_options_of_a_reader_are_refused_elsewhere(written, tmp_path, capsys):
    with pytest.raises(BadConfig, match="clock: deap has no such option"):
        open_corpus("deap", tmp_path, clock="zeroed")
    with pytest.raises(BadConfig, match="clock: expected as_told or zeroed, found sometimes"):
        open_corpus("affec", written / "late", clock="sometimes")
    assert main(["check", "table", str(tmp_path), "--clock", "zeroed"]) == 2
    assert "table has no such option" in capsys.readouterr().err


# ---------------------------------------------------------------- what is wrong with files


@pytest.mark.journey
def test_defects_cost_what_they_touch_and_no_more(written):
    bad, n_good = errors(written / "defects")
    one, _, three = (unit.name for unit in check_corpus(open_corpus("affec", written / "defects")))
    assert "715" in str(bad) or "success" in bad[f"{one}_run1_trial01"]  # a stream of three columns
    assert "expected one line of ratings" in bad[f"{one}_run2_trial02"]
    assert "expected an event after the video" in bad[f"{one}_run3_trial03"]
    assert "_physio.json: expected Columns, a list of names, found none" in bad[f"{three}_run1_trial01"]
    assert len(bad) == 3 + 1 + 1 + 3 and n_good == 27 - 8 - 1
    corpus = open_corpus("affec", written / "defects")
    assert any("run 2: 1 trials without ratings are left out: 1" in note for note in corpus.notes(corpus.units[0]))
    without = [r for r in corpus.recordings(corpus.units[1]) if r.trial[0] == "1"]
    assert all(r.signals is None and r.face_features and "no skin conductance" in str(r.warnings) for r in without)
    assert "no gsr of run 1" in corpus.notes(corpus.units[1])


def change_json(path, **more):
    about = json.loads(path.read_text()) | more
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not None}))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: stream_file(root, "gsr").write_bytes(b"no gzip"), "expected a table in gzip, found"),
        (lambda root: stream_file(root, "gsr").write_bytes(stream_file(root, "gsr").read_bytes()[:900]), "in gzip"),
        (lambda root: change_json(stream_file(root, "gsr", ending="json"), Columns=None), "expected Columns"),
        (lambda root: change_json(stream_file(root, "gsr", ending="json"), Columns=["onset"] * 24), CONDUCTANCE),
        (lambda root: change_json(stream_file(root, "gsr", ending="json"), Columns=["x"] * 24), "expected onset"),
        (lambda root: stream_file(root, "gsr", ending="json").unlink(), "No such file"),
        (lambda root: rewrite(stream_file(root, "gsr"), lines_of(stream_file(root, "gsr"))[:2]), "found 1"),
        (lambda root: rewrite(stream_file(root, "gsr"), lines_of(stream_file(root, "gsr"))[1:] * 2), "that increase"),
        (lambda root: change_json(stream_file(root, "gsr", ending="json"), SamplingFrequency=5000), "in seconds?"),
        (lambda root: next(root.glob("sub-*/eeg/*run-1_eeg.edf")).write_bytes(b"0" * 999), "mne reads"),
        (lambda root: next(root.glob("sub-*/sub-*run-1_events.tsv")).write_text("onset\n"), "no flag, trial"),
        (lambda root: next(root.glob("sub-*/beh/*run-1_beh.tsv")).unlink(), "the ratings of a run, found no such file"),
        (lambda root: next(root.glob("sub-*/beh/*run-1_beh.tsv")).write_text("stim_file\ttrial\n"), "no f_emotion_v"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_costs_its_run_only(root, change, message):
    for unit in sorted(root.glob("sub-*"))[1:]:
        shutil.move(unit, root.parent / unit.name)  # so that the change is in the first of those that are globbed
    change(root)
    for unit in root.parent.glob("sub-*"):
        shutil.move(unit, root / unit.name)
    bad, n_good = errors(root)
    assert len(bad) == 1 and n_good == 5, bad
    (error,) = bad.values()
    assert message in error and "expected" in error and "found" in error


@pytest.mark.journey
def test_a_rating_off_its_scale_is_refused(root):
    file = next(root.glob("sub-*/beh/*run-1_beh.tsv"))
    table = pd.read_csv(file, sep="\t")
    table["p_emotion_v"] = 12
    table.to_csv(file, sep="\t", index=False)
    bad, n_good = errors(root)
    assert n_good == 5 and "expected perceived_valence from 1 to 9, found 12" in str(bad)


@pytest.mark.journey
def test_a_gap_in_the_conductance_is_not_interpolated(root):
    corpus = open_corpus("affec", root)
    first = recordings(corpus)[0]
    file = first.signal_files[1].file
    start = first.signal_times[0]
    lines = [line for line in lines_of(file)[1:] if not start < float(line.split("\t")[0]) < start + 1.5]
    rewrite(file, lines)
    bad, n_good = errors(root)
    assert n_good == 5 and "s of them without a line" in bad[first.name]


@pytest.mark.journey
def test_the_number_of_fields_decides_on_the_names(root):
    file, sidecar = stream_file(root, "videostream", run=2), stream_file(root, "videostream", 2, ending="json")
    assert len(json.loads(sidecar.read_text())["Columns"]) == 190
    corpus = open_corpus("affec", root)
    assert any("names 190 of 715 columns: names taken from" in note for note in corpus.notes(corpus.units[0]))
    for other in root.glob("sub-*/beh/*videostream_physio.json"):
        other.write_text(sidecar.read_text())
    with pytest.raises(BadRecording, match="found 715 fields and no such file"):
        read_stream(file, ("success",), [sidecar, *sorted(root.glob("sub-*/beh/*videostream_physio.json"))])


def test_lines_out_of_order_and_twice_are_counted(tmp_path):
    file, sidecar = tmp_path / "x_recording-gsr_physio.tsv.gz", tmp_path / "x_recording-gsr_physio.json"
    sidecar.write_text(json.dumps({"Columns": ["onset", "a"]}))
    rewrite(file, ["onset\ta", *(f"{t}\t{10 * t}" for t in (0, 1, 3, 2, 4, 4, 5)), "6\tn/a", "text", "7"])
    stream = read_stream(file, ("a",), [sidecar])
    assert stream.times_s.tolist() == [0, 1, 2, 3, 4, 5, 6] and np.isnan(stream.values[-1, 0])
    assert stream.values[:-1, 0].tolist() == [0, 10, 20, 30, 40, 50]
    text = " ".join(stream.notes)
    assert "3 lines of" in text and "1 line of x_recording-gsr_physio.tsv.gz earlier" in text and "another" in text


@pytest.mark.journey
def test_archives_may_be_unpacked_below_folders_of_their_own(written, root):
    want = [r.ratings for r in recordings(open_corpus("affec", root))]
    for kind in ("gsr", "videostream"):
        for file in sorted(root.glob(f"sub-*/beh/*_recording-{kind}_physio.*")):
            target = root / kind / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    (root / "videostream_corrections_only").mkdir()
    cut, *_ = sorted(root.glob("videostream/sub-*/beh/*run-2*.json"))
    whole = sorted(root.glob("videostream/sub-*/beh/*run-1*.json"))[0].read_text()
    mended = root / "videostream_corrections_only" / cut.relative_to(root / "videostream")
    mended.parent.mkdir(parents=True)
    mended.write_text(whole)
    corpus = open_corpus("affec", root)
    assert [r.ratings for r in recordings(corpus)] == want
    assert not any("190" in note for unit in corpus.units for note in corpus.notes(unit))


@pytest.mark.journey
def test_the_whole_way_from_files_to_a_report(tmp_path, capsys):
    paths = {name: str(tmp_path / name) for name in ("corpus", "store", "run", "report")}
    sizes = ["--subjects", "4", "--trials", "8", "--seconds", "3"]
    assert main(["synth", "affec", paths["corpus"], *sizes, "--jobs", "1"]) == 0
    assert main(["check", "affec", paths["corpus"], "--jobs", "1"]) == 0
    assert main(["prepare", "affec", paths["corpus"], paths["store"], "--jobs", "1"]) == 2  # there are no pictures
    assert "--store_faces features" in capsys.readouterr().err
    features = ["--store_faces", "features", "--jobs", "1"]
    assert main(["prepare", "affec", paths["corpus"], paths["store"], *features]) == 0
    store = open_store(paths["store"])
    assert store.windows["has_face"].all() and store.windows["has_signals"].all()
    assert store.settings["labels"]["perceived_valence"] == {"scale": [1, 9], "set": "perceived", "of": "valence"}
    folds = ["--protocol", "subject", "--folds", "4", "--target", "arousal", "--modality", "bio", "--jobs", "1"]
    assert main(["crossval", paths["store"], paths["run"], "--system", "logreg", *folds]) == 0
    assert main(["report", paths["run"], paths["report"]]) == 0
