"""The CASE reader against scripts of pandas alone, in its three forms of files, and what it refuses."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gbvnet.cli.main import main
from gbvnet.config import PrepareConfig
from gbvnet.datasets import open_corpus, write_synthetic
from gbvnet.datasets.case import BASELINE_S, CHANNELS, LABELS
from gbvnet.datasets.case_file import read_sequences
from gbvnet.datasets.check import check_corpus
from gbvnet.datasets.synthetic.case import Settings
from gbvnet.errors import BadRecording
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

SIZE = {"subjects": 1, "trials": 2, "seconds": 4, "seed": 2}
FORMS = ("interpolated", "non-interpolated", "raw")
SIGNALS = ["ecg", "bvp", "gsr", "rsp", "skt", "emg_zygo", "emg_coru", "emg_trap"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Each form of the same corpus: one subject and two films, of 5 and 6 s."""
    roots = {}
    for form in FORMS:
        roots[form] = tmp_path_factory.mktemp("case") / form
        write_synthetic("case", roots[form], Settings(**SIZE, layout=form))
    return roots


@pytest.fixture
def mine(corpora, tmp_path):
    """A copy of the interpolated files to change."""
    return shutil.copytree(corpora["interpolated"], tmp_path / "case")


def checked(root):
    """Return every recording by name."""
    return {r.name: r for unit in check_corpus(open_corpus("case", root)) for r in unit.recordings}


def table(root, part="physiological") -> tuple[Path, pd.DataFrame]:
    path = root / f"data/interpolated/{part}/sub_1.csv"
    return path, pd.read_csv(path)


def put(root, change, part="physiological"):
    """Write a table again as `change` returns it."""
    path, rows = table(root, part)
    change(rows).to_csv(path, index=False)


def errors(root):
    units = list(check_corpus(open_corpus("case", root)))
    return {u.name: u.error for u in units if u.error} | {
        r.name: r.error for u in units for r in u.recordings if r.error
    }


# ---------------------------------------------------------------- against pandas


def by_pandas(root, form, film):
    """A film's signals and ratings as a user of pandas reads them, in the units of the CSV files, times in ms."""
    folder = root / "data" / form
    if form != "raw":
        signals = pd.read_csv(folder / "physiological/sub_1.csv")
        joystick = pd.read_csv(folder / "annotations/sub_1.csv")
        return signals[signals.video == film], joystick[joystick.video == film]
    signals = pd.read_csv(folder / "physiological/sub1_DAQ.txt", sep="\t", header=None, names=["daqtime", *SIGNALS])
    joystick = pd.read_csv(folder / "annotations/sub1_joystick.txt", sep="\t", header=None)
    joystick.columns = ["jstime", "valence", "arousal"]
    joystick[["valence", "arousal"]] = 0.5 + 9 * (joystick[["valence", "arousal"]] + 26225) / 52450
    signals["ecg"] = (signals["ecg"] - 2.8) / 50 * 1000
    signals["bvp"], signals["rsp"] = 58.962 * signals["bvp"] - 115.09, 58.923 * signals["rsp"] - 115.01
    signals["gsr"], signals["skt"] = 24 * signals["gsr"] - 49.2, 21.341 * signals["skt"] - 32.085
    for name in ("emg_zygo", "emg_coru", "emg_trap"):
        signals[name] = (signals[name] - 2.0) / 4000 * 1e6
    names = {1: "amusing-1", 2: "amusing-2"}
    order = pd.read_csv(root / "metadata/seqs_order.txt", sep="\t")["sub1"].tolist()
    lengths = pd.read_csv(root / "metadata/videos_duration.txt", sep="\t", usecols=[0, 1]).set_index("video_name")
    ends = np.cumsum(lengths.loc[order, "video_duration"].to_numpy())
    at = order.index(names[film])
    for rows, time in ((signals, "daqtime"), (joystick, "jstime")):
        rows[time] *= 1000
    return (
        rows[(rows[time] >= ends[at - 1]) & (rows[time] < ends[at])]
        for rows, time in ((signals, "daqtime"), (joystick, "jstime"))
    )


@pytest.mark.journey
@pytest.mark.parametrize("form", FORMS)
def test_signals_and_ratings_are_those_of_a_script_of_pandas(corpora, form):
    corpus = open_corpus("case", corpora[form])
    assert (corpus.source, corpus.units, corpus.channels) == (form, ("s01",), CHANNELS)
    made = checked(corpora[form])
    assert list(made) == ["s01_v1", "s01_v2"]
    for film, recording in ((1, made["s01_v1"]), (2, made["s01_v2"])):
        assert (recording.trial, recording.stimulus, recording.error) == (str(film), str(film), None)
        assert recording.ratings == {"intended_emotion": "amusing"}
        signals, joystick = by_pandas(corpora[form], form, film)
        times = signals["daqtime"].to_numpy()
        assert recording.seconds == pytest.approx((times[-1] - times[0]) / 1000 + 0.001, abs=1e-6)
        got = corpus.signals(recording)
        assert (got.rate_hz, got.channels) == (1000, CHANNELS) and got.onset >= BASELINE_S * 1000
        n, first = len(times), int(got.onset)
        units = np.array([1000, 1, 1, 1, 1, 1, 1, 1])  # mV are kept in uV, all others are as they are
        wanted = signals[SIGNALS].to_numpy().T * units[:, None]
        if form != "interpolated":  # the values at each ms between those at the times of logging
            grid = times[0] + np.arange(n - 1)
            wanted = np.stack([np.interp(grid, times, x) for x in wanted])
        mine = got.samples[:, first : first + wanted.shape[1]]
        assert mine == pytest.approx(wanted, rel=1e-6, abs=1e-6)
        for name in ("valence", "arousal"):
            trace = recording.traces[name]
            after = joystick["jstime"].to_numpy() - times[0] >= 0
            times_s = (joystick["jstime"].to_numpy()[after] - times[0]) / 1000
            inside = trace.times_s > 0
            kept = times_s > 0
            assert trace.times_s[inside] == pytest.approx(times_s[kept], abs=1e-6)
            assert trace.values[inside] == pytest.approx(joystick[name].to_numpy()[after][kept], abs=1e-9)


@pytest.mark.journey
def test_the_three_forms_give_the_same_signals_to_rounding(corpora):
    samples = {}
    for form, root in corpora.items():
        corpus = open_corpus("case", root)
        [recording] = [r for r in corpus.recordings("s01") if r.stimulus == "1"]
        signals = corpus.signals(recording)
        samples[form] = signals.samples[:, int(signals.onset) : int(signals.onset) + 4900]
    for form in FORMS[1:]:
        off = np.abs(samples[form] - samples["interpolated"])
        sd = samples["interpolated"].std(axis=1, keepdims=True)
        assert (off.mean(axis=1, keepdims=True) < 0.05 * sd + 0.002).all(), form


@pytest.mark.journey
def test_what_it_declares(corpora):
    corpus = open_corpus("case", corpora["interpolated"])
    assert corpus.labels == LABELS
    about = {c.name: (c.label_set, c.trace, c.scale) for c in LABELS}
    assert about["valence"] == about["arousal"] == ("felt", True, (0.5, 9.5))
    assert about["intended_emotion"] == ("intended", False, None)
    assert [c.name for c in CHANNELS] == SIGNALS
    assert [c.kind for c in CHANNELS] == ["ecg", "ppg", "gsr", "resp", "temp", "emg", "emg", "emg"]
    assert [c.filtered for c in CHANNELS] == [False] * 5 + [True] * 3


@pytest.mark.journey
@pytest.mark.parametrize("form", FORMS)
def test_an_event_in_the_signals_and_in_the_ratings_meet_in_the_store_to_a_step(corpora, tmp_path, form):
    """A step of the skin's temperature and one of valence, both 2.5 s after the start of film 1."""
    root = shutil.copytree(corpora[form], tmp_path / "case")
    start_s = by_start(root, form)
    raw, suffix = form == "raw", ("sub1_DAQ.txt", "sub1_joystick.txt") if form == "raw" else ("sub_1.csv",) * 2
    for part, name, column in zip(("physiological", "annotations"), suffix, (5, 1), strict=True):
        path = root / f"data/{form}/{part}/{name}"
        rows = pd.read_csv(path, sep="\t" if raw else ",", header=None if raw else 0)
        late = rows.iloc[:, 0] / (1 if raw else 1000) >= start_s + 2.5
        low, high = ((-10000, 20000) if raw else (3.0, 8.0)) if column == 1 else ((3.0, 3.1) if raw else (32.0, 34.0))
        rows.iloc[:, column] = np.where(late, high, low)
        rows.to_csv(path, sep="\t" if raw else ",", header=not raw, index=False)
    prepare_store(open_corpus("case", root), tmp_path / "store", PrepareConfig(filter=False, baseline="none"))
    store = open_store(tmp_path / "store")
    rows = np.flatnonzero(store.windows["recording"] == "s01_v1")
    temperature = store.read(rows, faces=False)[2][:, SIGNALS.index("skt")].ravel()
    at_s = np.flatnonzero(temperature > np.mean([temperature.min(), temperature.max()]))[0] / 128
    times_s, values = store.trace("s01_v1", "valence")
    moved_s = times_s[np.flatnonzero(values > 5)[0]]
    assert abs(at_s - 2.5) <= 1.01 / 128 and 0 <= moved_s - 2.5 <= 1.31 / 20  # a step and its jitter
    means = store.windows.loc[rows, "valence"].to_numpy()
    assert np.flatnonzero(means > means[0] + 1)[0] == 2  # the window from 2 to 3 s has both


def by_start(root, form):
    """Return when film 1 begins, s, by pandas alone."""
    signals, _ = by_pandas(root, form, 1)
    return float(signals["daqtime"].iloc[0]) / 1000


# ---------------------------------------------------------------- what is reported


@pytest.mark.journey
def test_a_joystick_that_was_not_moved_is_reported_and_so_is_one_folder_of_several(corpora, tmp_path, capsys):
    root = shutil.copytree(corpora["interpolated"], tmp_path / "case")
    shutil.copytree(corpora["raw"] / "data/raw", root / "data/raw")
    assert open_corpus("case", root).source == "interpolated"
    assert main(["check", "case", str(root), "--jobs", "1"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "the interpolated files are read; not used: raw (data/raw)" in shown
    assert "valence is 5 all the time: was the joystick moved?" in shown


def test_without_the_stamp_absent_subjects_and_films_are_named(mine):
    (mine / "SYNTHETIC.json").unlink()
    corpus = open_corpus("case", mine)
    assert corpus.notes()[0].startswith("no file of s02, s03, ") and corpus.notes()[0].endswith("s30")
    assert corpus.notes("s01") == ("no film 3, 4, 5, 6, 7, 8",)


@pytest.mark.journey
def test_clocks_that_end_far_from_each_other_and_unknown_videos_are_notes(mine):
    put(mine, lambda rows: rows[:-40], "annotations")  # 2 s: all of the end video
    put(mine, lambda rows: rows.assign(video=rows.video.replace(12, 99)))
    notes = open_corpus("case", mine).notes("s01")
    assert any("rows of videos that are not known are not used: 99" in note for note in notes)
    assert any(re.search(r"the signals end at 4\d\.\d s and the joystick at \d+\.\d s of one clock", n) for n in notes)
    assert not errors(mine)


def moved(rows, film, by):
    """Shift where a film begins and ends by a number of rows."""
    first, last = rows.index[rows.video == film][[0, -1]]
    videos = rows.video.to_numpy().copy()
    videos[first : last + 1] = 11
    videos[first + by : last + 1 + by] = film
    return rows.assign(video=videos)


@pytest.mark.journey
def test_a_film_at_two_times_is_reported_and_far_from_each_other_refused(mine):
    put(mine, lambda rows: moved(rows, 1, 4), "annotations")
    recording = checked(mine)["s01_v1"]
    assert recording.error is None
    assert sum("by the signals' file and at" in w for w in recording.warnings) == 2
    put(mine, lambda rows: moved(rows, 1, 30), "annotations")
    [(name, error)] = errors(mine).items()
    assert name == "s01_v1"
    assert re.search(r"annotations/sub_1\.csv: expected video 1 to begin at .* as in sub_1\.csv, found ", error)


@pytest.mark.journey
def test_a_baseline_in_another_screen_is_a_warning_and_without_a_screen_a_refusal(mine):
    order = [int(v) for v in dict.fromkeys(table(mine)[1].video) if v < 9]
    first, second = order

    def instead(video):
        def change(rows):
            videos = rows.video.to_numpy().copy()
            videos[: int((videos == 10).sum() + 12_000)] = 10
            start = np.flatnonzero(videos == second)[0]
            videos[start - 12_000 : start] = video
            return rows.assign(video=videos)

        return change

    put(mine, instead(5))
    made = checked(mine)
    assert any("the baseline is in the start video" in w for w in made[f"s01_v{first}"].warnings)
    wanted = rf"expected 10 s of a screen \(videos 10 to 12\) before video {second}, found video 5 in 10\.00 s"
    assert re.search(wanted, made[f"s01_v{second}"].error)


@pytest.mark.journey
def test_a_gap_in_the_signals_is_reported_and_a_long_one_refused(corpora, tmp_path):
    root = shutil.copytree(corpora["interpolated"], tmp_path / "case")
    path, rows = table(root)
    start = int(np.flatnonzero(rows.video == 1)[0])
    rows.drop(index=range(start + 1000, start + 1300)).to_csv(path, index=False)
    recording = checked(root)["s01_v1"]
    assert any("1 gap in the signals, interpolated: the longest of 0.30 s, 1.0 s" in w
               for w in recording.warnings)  # fmt: skip
    assert open_corpus("case", root).signals(recording).samples.shape[1] > 5000
    rows.drop(index=range(start + 1000, start + 2500)).to_csv(path, index=False)
    assert re.search(r"samples of video 1 without a gap of over 1 s, found 1\.50 s at", errors(root)["s01_v1"])


@pytest.mark.journey
def test_values_off_the_scale_and_samples_that_are_none_cost_one_recording(mine):
    def change(rows):
        values = rows.valence.to_numpy().copy()
        values[np.flatnonzero(rows.video == 1)[10]] = 9.6
        return rows.assign(valence=values)

    put(mine, change, "annotations")

    def without(rows):
        values = rows.gsr.to_numpy().copy()
        values[np.flatnonzero(rows.video == 2)[10]] = np.nan
        return rows.assign(gsr=values)

    put(mine, without)
    refusals = errors(mine)
    assert re.search(r"valence from 0\.5 to 9\.5, found 9\.6 \(1 of \d+ rows of the film\)", refusals["s01_v1"])
    assert re.search(r"finite samples in s01_v2, found 1 of .* in channel gsr", refusals["s01_v2"])


@pytest.mark.journey
def test_a_film_that_is_shown_twice_or_that_one_file_lacks_is_refused(mine):
    def twice(rows):
        videos = rows.video.to_numpy().copy()
        videos[:500] = 1
        return rows.assign(video=videos)

    put(mine, twice)
    put(mine, lambda rows: rows.assign(video=rows.video.replace(2, 11)), "annotations")
    refusals = errors(mine)
    assert re.search(r"one stretch of rows of video 1, found 2 of them, the second from", refusals["s01_v1"])
    assert re.search(
        r"annotations/sub_1\.csv: expected one stretch of rows of video 2, found no row", refusals["s01_v2"]
    )


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.rename(columns={"gsr": "eda"}), r"10 columns of numbers: daqtime, ecg, .*, found no gsr among"),
        (lambda x: x.assign(daqtime=x.daqtime / 1000), r"about 1000 rows a second, found 1e\+06 rows a second, if"),
        (lambda x: x.iloc[::-1], r"times that increase in column daqtime, found .* in data row 2"),
        (lambda x: x.assign(video=x.video + 0.5), r"a whole number in each row of column video, found 10\.5"),
        (lambda x: x.assign(daqtime=x.daqtime.where(x.index != 7)), r"a time in each row of column daqtime, found"),
        (lambda x: x.astype(object).replace(x.ecg[5], "x"), r"columns of numbers.*found a file that does not read"),
        (lambda x: x[x.video > 9], r"expected one stretch of rows of video 1, found no row"),
        (lambda x: x[:0], r"columns of numbers.*, found no whole row"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_with_the_place(mine, change, message):
    put(mine, change)
    refusals = errors(mine)
    assert refusals and all("physiological/sub_1.csv" in error for error in refusals.values())
    assert re.search(message, next(iter(refusals.values()))), refusals


def test_one_file_of_the_two_is_refused_and_no_file_at_all(mine, tmp_path):
    (mine / "data/interpolated/annotations/sub_1.csv").unlink()
    wanted = r"interpolated: expected a file of subject 1 in folder annotations, as sub_1\.csv is there, found none"
    assert re.search(wanted, errors(mine)["s01"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRecording, match=r"files sub_1\.csv or sub1_DAQ\.txt in folders physiological and annot"):
        open_corpus("case", tmp_path / "empty")
    shutil.copytree(mine / "data/interpolated", mine / "copy")
    with pytest.raises(BadRecording, match=r"one folder of interpolated files, found copy and data/interpolated"):
        open_corpus("case", mine)


@pytest.mark.journey
def test_a_last_line_that_is_cut_is_left_out(mine):
    path, _ = table(mine)
    path.write_bytes(path.read_bytes()[:-3])
    assert not errors(mine)
    path.write_bytes(path.read_bytes()[:-12])
    assert not errors(mine)


# ---------------------------------------------------------------- raw files


def test_raw_files_need_the_order_of_the_videos_and_find_it_above_their_own_folder(corpora, tmp_path):
    root = shutil.copytree(corpora["raw"], tmp_path / "case")
    assert set(checked(root / "data/raw")) == {"s01_v1", "s01_v2"}
    shutil.move(root / "metadata", tmp_path / "metadata")
    shutil.move(root / "data", tmp_path / "elsewhere/case/data")
    with pytest.raises(BadRecording, match=r"metadata/videos_duration\.txt: .*Raw files do not say which video"):
        open_corpus("case", tmp_path / "elsewhere/case/data")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("videos_duration.txt", "video_name\tvideo_duration\nbluVid\tlong\n", "length in ms, found 'bluVid long'"),
        ("videos_duration.txt", "video_name\tvideo_duration\nhorror\t100\n", "found 'horror 100' in line 2"),
        ("videos_duration.txt", "", "a line of names and lines of values, found 0 lines"),
        ("seqs_order.txt", "sub1\tsub2\nbluVid\n", r"expected 2 videos, .* in line 2, found 1 cells"),
        ("seqs_order.txt", "sub1\nscary-2\n", r"its length in videos_duration\.txt, in line 2, found 'scary-2'"),
    ],
)  # fmt: skip
def test_tables_of_metadata_that_do_not_fit_are_refused_with_the_line(corpora, tmp_path, name, text, message):
    folder = shutil.copytree(corpora["raw"] / "metadata", tmp_path / "metadata")
    assert read_sequences(folder)[0][0] == (10, 3000.0)
    (folder / name).write_text(text)
    with pytest.raises(BadRecording, match=message):
        read_sequences(folder)


@pytest.mark.journey
def test_seconds_where_milliseconds_belong_and_the_other_way_round_are_refused(corpora, tmp_path):
    root = shutil.copytree(corpora["raw"], tmp_path / "case")
    path = root / "data/raw/physiological/sub1_DAQ.txt"
    rows = pd.read_csv(path, sep="\t", header=None)
    rows[0] *= 1000
    rows.to_csv(path, sep="\t", header=False, index=False)
    assert re.search(r"found 1(\.\d+)? rows a second, if daqtime is in seconds\. Raw files", errors(root)["s01"])
    rows.iloc[:, :-1].to_csv(path, sep="\t", header=False, index=False)
    assert re.search(r"9 columns of numbers: .*, found 8 in the first line", errors(root)["s01"])
