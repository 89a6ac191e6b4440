"""Text tables of signals as programs and spreadsheets write them, and their clocks. The right value of a signal is a
known function of its time."""

import numpy as np
import pandas as pd
import pytest

from gbvnet.datasets import open_corpus
from gbvnet.datasets.formats.signal_file import read_signals, span_s
from gbvnet.datasets.formats.signal_text import read_clock, read_text_table, text_rate_hz, time_columns, to_numbers
from gbvnet.datasets.known_channels import known_channels
from gbvnet.datasets.recording import Channel
from gbvnet.datasets.table_template import write_template
from gbvnet.errors import BadInput, BadRecording

EDA = (Channel("EDA", "gsr"),)
RATE_HZ, SECONDS = 32, 40
TIME = np.arange(RATE_HZ * SECONDS) / RATE_HZ


def value(t):
    return 5 + 0.5 * np.sin(t / 3)


def lines(mark=",", decimal=".", head=("time", "EDA"), end=""):
    rows = [mark.join((f"{t:.5f}", f"{value(t):.6f}")).replace(".", decimal) + end for t in TIME]
    return [mark.join(head), *rows]


FORMS = {
    "sep line": ("\n".join(["sep=;", *lines(";", ",")]), "utf-8"),
    "sep line quoted": ("\n".join(['"sep=;"', *lines(";", ".")]), "utf-8-sig"),
    "sep is a tab": ("\n".join(["sep=\t", *lines("\t", ",")]), "utf-8"),
    "tabs and decimal comma": ("\n".join(lines("\t", ",")), "utf-8"),
    "semicolons and decimal comma": ("\n".join(lines(";", ",")), "utf-8"),
    "semicolons and decimal point": ("\n".join(lines(";", ".")), "utf-8"),
    "quoted numbers": ("\n".join(["time,EDA"] + [f'"{t:.5f}","{value(t):.6f}"' for t in TIME]), "utf-8"),
    "quoted decimal commas": (
        "\n".join(["time,EDA"] + [f'"{t:.5f}","{value(t):.6f}"'.replace(".", ",") for t in TIME]), "utf-8",
    ),
    "latin-1": ("\n".join(lines(head=("time", "EDA [µS]"))), "latin-1"),
    "windows-1252": ("# für Anna – gemessen\n" + "\n".join(lines()), "cp1252"),
    "utf-16": ("\n".join(lines(head=("time", "EDA (µS)"))), "utf-16"),
    "utf-16 without its mark": ("\n".join(lines()), "utf-16-le"),
    "percent lines": ("%OpenBCI Raw EXG Data\n%Sample Rate = 32 Hz\n" + "\n".join(lines(", ")), "utf-8"),
    "percent lines and no clock": (
        "%Sample Rate = 32 Hz\nSample Index, EDA\n" + "\n".join(f"{k % 256}, {value(t):f}" for k, t in enumerate(TIME)),
        "utf-8",
    ),
    "hash lines": ("# a recording\n\n# of skin\n" + "\n".join(lines()), "utf-8"),
    "lines that end in a mark": ("\n".join(lines(";", ".", end=";")), "utf-8"),
    "lines that end in marks": ("\n".join(lines(";", ".", end=";;;")), "utf-8"),
    "names of rows": ("\n".join(["time,EDA"] + [f"r{k},{t:.5f},{value(t):.6f}" for k, t in enumerate(TIME)]), "utf-8"),
    "a line of units in brackets": ("\n".join([lines()[0], "[s],(uS)", *lines()[1:]]), "utf-8"),
    "a line of units": ("\n".join([lines()[0], "s,uS", *lines()[1:]]), "utf-8"),
    "shimmer": (
        '"sep=;"\nShimmer_40AC_Timestamp_Unix_CAL;EDA;\nms;uS;\n'
        + "\n".join(f"{t * 1e3:.3f};{value(t):.6f};" for t in TIME),
        "utf-8",
    ),
    "thousands": (
        "\n".join(["t;EDA;level"] + [f"{t:.5f};{value(t):.6f};1.234,5".replace(".", ",", 2) for t in TIME]), "utf-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
def test_a_table_is_read_as_it_is_written(form, suffix, tmp_path):
    text, encoding = FORMS[form]
    file = tmp_path / f"a{suffix}"
    file.write_bytes(text.encode(encoding))
    samples, rate_hz, begin = read_signals(file, 10, 30, EDA)[:3]
    assert rate_hz == pytest.approx(RATE_HZ, rel=1e-6)
    t = begin + np.arange(samples.shape[1]) / RATE_HZ
    assert begin == pytest.approx(10, abs=1e-3) and len(t) == 20 * RATE_HZ
    assert samples[0] == pytest.approx(value(t), abs=1e-3)


NAMES = {
    "time": 1, "Time": 1, "timestamp": 1, "timestamps": 1, "Time Stamp": 1, "TimeStamp": 1, "t": 1, "seconds": 1,
    "time_s": 1, "time (s)": 1, "Time[s]": 1, "Time (sec)": 1, "unix": 1, "unix_time": 1, "lsl_timestamp": 1,
    "t [s]": 1, "elapsed_time": 1, "ms": 1e3, "time_ms": 1e3, "Time (ms)": 1e3, "milliseconds": 1e3,
    "timestamp_ms": 1e3, "t [µs]": 1e6, "time_ns": 1e9,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_clocks_with_their_units(name, tmp_path):
    pd.DataFrame({"EDA": value(TIME), name: TIME * NAMES[name]}).to_csv(tmp_path / "a.csv", index=False)
    assert span_s(tmp_path / "a.csv") == pytest.approx((0, SECONDS), abs=1e-6)
    samples, _, begin = read_signals(tmp_path / "a.csv", 20, 30, EDA)[:3]
    assert samples[0] == pytest.approx(value(begin + np.arange(samples.shape[1]) / RATE_HZ), abs=1e-6)


@pytest.mark.parametrize("factor", [1, 1e3, 1e6, 1e9])
def test_a_clock_since_1970_tells_its_unit_by_its_size(factor, tmp_path):
    since = 1_700_000_000 + TIME
    pd.DataFrame({"timestamp": (since * factor).round(6), "EDA": value(TIME)}).to_csv(
        tmp_path / "a.csv", index=False, float_format="%.6f"
    )
    begin, end = span_s(tmp_path / "a.csv")
    assert begin == pytest.approx(1_700_000_000) and end - begin == pytest.approx(SECONDS, abs=1e-3)


@pytest.mark.parametrize(
    "name",
    ["trial_time", "response time", "template", "trial", "temperature", "date", "timer", "reaction_time_ms", "T7"],
)
def test_other_columns_are_no_clocks(name):
    assert time_columns([name, "EDA"]) == []


@pytest.mark.journey
@pytest.mark.parametrize("rate_hz", [128, 256, 300, 500, 512, 600, 1000, 1024, 2048, 255.999, 999.983])
@pytest.mark.parametrize("start", [0.0, 1.6e9])
@pytest.mark.parametrize("how", [np.round, lambda t, n: np.floor(t * 10**n) / 10**n])
def test_a_regular_clock_in_rounded_milliseconds_is_taken(rate_hz, start, how):
    n = round(rate_hz * 120)  # of 999.983 Hz, two steps are of 2 ms
    table = pd.DataFrame({"time": how(start + np.arange(n) / rate_hz, 3), "EDA": 0.0})
    _, clock_rate_hz, begin, fit = read_clock("a.csv", table)
    assert fit is None
    if rate_hz != 999.983:  # so that a file of 120 s has 120 windows
        assert n / clock_rate_hz == pytest.approx(n / rate_hz, abs=2e-5)
    assert clock_rate_hz == pytest.approx(rate_hz, rel=2e-5) and begin == pytest.approx(start, abs=1e-3)


@pytest.mark.journey
@pytest.mark.parametrize("rate_hz", [128, 250, 256, 512, 1000, 1024])
@pytest.mark.parametrize("lost", [1, 2, 40])
@pytest.mark.parametrize("where", [3, 0.25, 0.5, 0.99])
def test_lost_samples_are_a_gap_even_in_a_rounded_clock(rate_hz, lost, where):
    n = rate_hz * 60
    at = where if where > 1 else int(where * n)
    true = np.delete(np.arange(n) / rate_hz, slice(at, at + lost))
    fit = read_clock("a.csv", pd.DataFrame({"time": true.round(3)})).fit
    too_short = (rate_hz, lost, where) == (1024, 1, 3)  # a millisecond that is lost after three rows, in milliseconds
    assert [segment.first for segment in fit.segments] == ([0] if too_short else [0, at])
    times = np.concatenate([s.start_s + np.arange(s.n) / s.rate_hz for s in fit.segments])
    assert times == pytest.approx(true, abs=1e-3 if too_short else 2e-4)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (np.where(TIME == 20, 19.0, TIME), "at 19.969 s it goes back by 0.96875 s, between data rows 640 and 641"),
        (np.r_[TIME, TIME], "it goes back by 39.9688 s, between data rows 1280 and 1281"),
        (np.random.default_rng(0).uniform(0, 0.1, 500).cumsum(), r"times of which 5 % are 0\.\d+ s or more beside"),
        (np.random.default_rng(0).uniform(0, 40, 500).cumsum(), "constant rate between gaps"),
        (np.where(TIME == 20, np.nan, TIME), "found nan in data row 641"),
        (np.where(TIME == 20, np.inf, TIME), "found inf in data row 641"),
        (np.r_[0:10, 12:15] / 1, "gaps or jumps: between data rows 10 and 11, at 9.000 s, it jumps by 3 s"),
    ],
)
def test_an_uneven_clock_without_a_line_is_refused_with_place_and_size(t, message):
    with pytest.raises(BadRecording, match=message):
        read_clock("a.csv", pd.DataFrame({"time": t}))


def test_one_stamp_of_the_sample_before_is_no_gap():
    fit = read_clock("a.csv", pd.DataFrame({"time": np.where(TIME == 20, TIME - 1 / RATE_HZ, TIME)})).fit
    assert len(fit.segments) == 1 and fit.rate_hz == pytest.approx(RATE_HZ, rel=1e-5)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (np.zeros(500), "the same time, 0 s, in its first and its last row"),
        (np.floor(np.arange(256 * 60) / 256), "times rounded to 1 s, of about 256"),
        ((np.arange(256 * 60) / 256).round(1), r"times rounded to 0\.1 s, of about 256"),
        (
            np.r_[np.arange(7680) / 256, 30 + np.arange(7680) / 256 * 1.01],
            r"data row 7681, at 30\.000 s, is 0\.15 s earl",
        ),
        (
            np.arange(15360) / 256 + 1e-4 * (np.arange(15360) / 256) ** 2,
            r"data row 7680, at 30\.\d+ s, is 0\.09 s earl",
        ),
    ],
)
def test_a_clock_that_does_not_tell_when_each_sample_was_taken_is_refused(t, message):
    with pytest.raises(BadRecording, match=message):
        read_clock("a.csv", pd.DataFrame({"time": t}))


@pytest.mark.parametrize(
    ("t", "rate_hz"),
    [
        (np.arange(60.0), 1.0),  # whole seconds are exact at 1 Hz
        ((np.arange(240) / 4).round(1), 4.0),
        ((np.arange(7680) / 128).round(2), 128.0),
        (np.arange(7680) / 128 + 1e-6 * (np.arange(7680) / 128) ** 2, 128.0),  # 1 ms of drift
    ],
)
def test_a_clock_with_digits_enough_is_taken(t, rate_hz):
    assert read_clock("a.csv", pd.DataFrame({"time": t}))[1] == pytest.approx(rate_hz, rel=2e-3)


def test_dates_and_relative_milliseconds_are_refused_with_the_remedy(tmp_path):
    dates = pd.DataFrame({"time": ["2024-03-05 10:11:12.000", "2024-03-05 10:11:12.031"], "EDA": 1.0})
    with pytest.raises(
        BadRecording, match=r"found '2024-03-05 10:11:12.000' in data row 1 .* Write the time as seconds"
    ):
        read_clock("a.csv", dates)
    with pytest.raises(BadRecording, match=r"Are they milliseconds\? Then name the column time_ms"):
        read_clock("a.csv", pd.DataFrame({"time": np.arange(100) * 4.0}))
    (tmp_path / "a.csv").write_text("Zeit,EDA\n0,1\n0.1,2\n")
    with pytest.raises(BadRecording, match="expected a column time, found none among Zeit, EDA"):
        read_signals(tmp_path / "a.csv", 0, 1, EDA)


@pytest.mark.journey
def test_two_clocks_must_agree(tmp_path):
    both = {"timestamp": 1.7e12 + TIME * 1e3, "time": TIME, "EDA": value(TIME)}
    pd.DataFrame(both).to_csv(tmp_path / "a.csv", index=False)
    assert span_s(tmp_path / "a.csv") == pytest.approx((0, SECONDS))  # `time` goes first
    pd.DataFrame(both | {"time_s": TIME / 2}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(BadRecording, match="32 samples a second by time and 64 by time_s"):
        span_s(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,2\n1,2,3\n", "a line that names its columns first, found numbers in the first line"),
        ("time,EDA\n0,5,1,2\n1,0,1,3\n", "2 cells in a line, as many as columns, found 4"),
        ("# nothing\n", "a line that names its columns first, found none"),
        ("", "a line that names its columns first, found none"),
        ("a\0b\0\0\0\0\0c" * 50, "a table of signals, found bytes that are no text"),
    ],
)
def test_what_is_no_such_table_is_refused(text, message, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadRecording, match=message):
        read_signals(tmp_path / "a.csv", 0, 1, EDA)


@pytest.mark.journey
def test_the_files_of_a_wristband(tmp_path):
    for name, rate in (("EDA", 4), ("BVP", 64), ("TEMP", 4), ("HR", 1)):
        t = np.arange(60 * rate) / rate
        (tmp_path / f"{name}.csv").write_text(f"1560279825.0\n{rate}.0\n" + "".join(f"{value(x):.6f}\n" for x in t))
    (tmp_path / "ACC.csv").write_text("1560279825.0,1560279825.0,1560279825.0\n32.0,32.0,32.0\n" + "1,2,63\n" * 1920)
    (tmp_path / "IBI.csv").write_text("1560279825.0, IBI\n3.1,0.8\n3.9,0.8\n")
    (tmp_path / "tags.csv").write_text("")
    samples, rate_hz, begin = read_signals(tmp_path / "EDA.csv", 1560279835, 1560279855, EDA)[:3]
    assert (rate_hz, begin, samples.shape) == (4, 1560279835, (1, 80))
    assert samples[0] == pytest.approx(value(10 + np.arange(80) / 4), abs=1e-5)
    table, n = write_template(tmp_path)
    text = table.read_text()
    cell = "EDA.csv + BVP.csv + TEMP.csv"
    assert n == 1 and [line for line in text.splitlines() if line.startswith("s01")] == [f"s01,01,,,{cell}" + "," * 6]
    assert "which a line names together: EDA.csv (4 Hz), BVP.csv (64 Hz), TEMP.csv (4 Hz)" in text
    assert "tags.csv: expected a table of signals, a line that names its columns first, found none" in text
    assert "EDA: gsr" in (tmp_path / "table.yaml").read_text()
    assert "  BVP: ppg\n  TEMP: temp" in (tmp_path / "table.yaml").read_text()
    (tmp_path / "table.yaml").write_text("channels: {EDA: gsr, BVP: ppg, TEMP: gsr}\n")
    start = 1560279825
    filled = text.replace(f"{cell},,,", f"{cell},{start + 10},{start + 30},")
    (tmp_path / "recordings.csv").write_text(filled)
    corpus = open_corpus("table", tmp_path)
    signals = corpus.signals(corpus.recordings("s01")[0])
    assert signals.rates_hz == (4, 64, 4)
    for row, hz in zip(signals.samples, signals.rates_hz, strict=True):  # a margin of 7 s before the baseline, at 0 s
        assert row == pytest.approx(value(np.arange(len(row)) / hz), abs=1e-4)


def test_a_folder_of_tables_without_signals_names_them_and_why(tmp_path):
    (tmp_path / "x.csv").write_text("mood,key\n1,2\n")
    (tmp_path / "y.tsv").write_text("1\t2\n3\t4\n")
    with pytest.raises(BadInput, match=r"found x.csv: no column is named like a signal \(mood, key\); y.tsv: expected"):
        write_template(tmp_path)


def test_answers_are_no_channels_and_doubles_are_reported(tmp_path):
    pd.DataFrame(
        {
            "time": TIME,
            "EDA": value(TIME),
            "response": 1,
            "key_resp": 2,
            "A1": 1,
            "A2": 1,
            "A3": 3,
            "A4": 4,
            "temporal": 1,
        }
    ).to_csv(tmp_path / "a.csv", index=False)
    known = known_channels(tmp_path / "a.csv")
    assert known.kinds == {"EDA": "gsr"}
    [note] = known.notes
    assert note.startswith(
        "1 of 8 channels are known by name in a.csv and used; not used: response, key_resp, A1, A2, A3"
    )
    (tmp_path / "b.csv").write_text("time,EDA,Fp1,EDA\n0,1,2,3\n0.1,1,2,3\n")
    known = known_channels(tmp_path / "b.csv")
    assert known.kinds == {"Fp1": "eeg"}
    assert known.notes == ("b.csv has 2 channels called EDA: none of them is used",)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("before", "mark", "encoding"),
    [("sep=;\n", ";", "utf-8"), ("", "\t", "utf-16"), ("", ";", "cp1252"), ("% a comment\n", ",", "utf-8-sig")],
)
def test_a_table_of_recordings_may_be_written_so_too(before, mark, encoding, tmp_path):
    pd.DataFrame({"time": TIME, "EDA": value(TIME)}).to_csv(tmp_path / "ä.csv", index=False)
    rows = [("subject", "trial", "signals", "start_s", "stop_s"), ("a", "1", "ä.csv", "10", "20")]
    text = before + "".join(mark.join(row) + "\n" for row in rows)
    (tmp_path / "recordings.csv").write_bytes(text.encode(encoding))
    corpus = open_corpus("table", tmp_path)
    [recording] = corpus.recordings("a")
    assert recording.error is None and corpus.inspect(recording).warnings == ()


def test_the_attributes_of_a_table_are_what_its_comments_say(tmp_path):
    (tmp_path / "a.csv").write_text("# Sampling frequency: 0.5 kHz\nEDA\n1\n2\n")
    assert read_text_table(tmp_path / "a.csv").attrs == {"rate_hz": 500.0}


@pytest.mark.parametrize(
    ("written", "rate_hz"),
    [
        ("250", 250),
        ("62,5", 62.5),
        ("256.000", 256),
        ("1,024.5", 1024.5),
        ("1000", 1000),
        ("1,000", None),
        ("1.000", None),
    ],
)
def test_a_rate_with_a_separator_is_taken_if_it_can_be_read_in_one_way_only(written, rate_hz, tmp_path):
    (tmp_path / "a.csv").write_text(f"# Sampling rate: {written} Hz\nEDA\n1\n2\n")
    table = read_text_table(tmp_path / "a.csv")
    assert table.attrs.get("rate_hz") == rate_hz
    if rate_hz is None:
        with pytest.raises(
            BadRecording, match=rf"none among EDA, and a rate that can be read in two ways \({written}\)"
        ):
            text_rate_hz(tmp_path / "a.csv", table, None, None, "")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_empty_line_of_one_column_is_a_lost_sample_and_moves_no_other(end, encoding, tmp_path):
    cells = [
        "# Sampling rate: 4 Hz",
        "EDA",
        "",
        "0",
        "1 # an artefact",
        "",
        "3",
        "#N/A",
        "5",
        "# a remark",
        "6",
        "",
        "",
    ]
    (tmp_path / "a.csv").write_bytes(end.join(cells).encode(encoding))
    values = to_numbers(read_text_table(tmp_path / "a.csv")["EDA"])
    np.testing.assert_array_equal(values, [0, 1, np.nan, 3, np.nan, 5, 6])
    assert len(read_text_table(tmp_path / "a.csv", nrows=2)) == 2


@pytest.mark.parametrize("error", ["#N/A", "#DIV/0!", '"#VALUE!"'])
def test_an_error_of_a_spreadsheet_at_the_begin_of_a_line_is_a_cell_and_no_comment(error, tmp_path):
    (tmp_path / "a.csv").write_text(f"Fp1,Fp2\n0,10\n{error},11\n# a remark\n2,12\n")
    table = read_text_table(tmp_path / "a.csv")
    np.testing.assert_array_equal(to_numbers(table["Fp1"]), [0, np.nan, 2])
    np.testing.assert_array_equal(to_numbers(table["Fp2"]), [10, 11, 12])
    (tmp_path / "b.csv").write_text("Fp1,Fp2\n0,10\n# a remark\n2,12\n")
    assert len(read_text_table(tmp_path / "b.csv")) == 2


def test_a_line_of_too_many_cells_and_a_title_are_refused_by_line(tmp_path):
    file = tmp_path / "a.csv"
    for content, message in (
        ([*lines()[:900], lines()[900] + ",5", *lines()[901:]], "expected 2 cells .* found 3 in line 901"),
        (
            ["A recording of Monday", *(line + ",0" for line in lines())],
            "Line 1 is read as the column names: delete it",
        ),
    ):
        file.write_text("\n".join(content) + "\n")
        with pytest.raises(BadRecording, match=message) as error:
            span_s(file)
        assert "\n" not in str(error.value)


@pytest.mark.journey
def test_samples_that_are_no_numbers_cost_the_trials_that_hold_them(tmp_path):
    """A cell at 5 s and one at 30 s: the trial from 10 to 20 s keeps its windows, that from 28 to 35 s is refused."""
    rows = lines()
    for second in (5, 30):
        rows[1 + second * RATE_HZ] = f"{second:.5f},lost"
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "recordings.csv").write_text(
        "subject,trial,signals,start_s,stop_s,valence\nanna,1,a.csv,10,20,7\nanna,2,a.csv,28,35,7\n"
    )
    (tmp_path / "table.yaml").write_text("baseline_s: 0\n")
    corpus = open_corpus("table", tmp_path)
    good, bad = corpus.recordings("anna")
    signals = corpus.signals(good)
    at = round(signals.onset)
    assert signals.samples[0, at : at + 10 * RATE_HZ] == pytest.approx(
        value(TIME[(TIME >= 10) & (TIME < 20)]), abs=1e-6
    )
    with pytest.raises(
        BadRecording, match=r"a\.csv: expected finite samples, found NaN .* in EDA, the first at 30\.000"
    ):
        corpus.inspect(bad)


@pytest.mark.journey
def test_a_table_is_parsed_once_for_all_of_its_trials(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("\n".join(lines()) + "\n")
    rows = [f"anna,{k},a.csv,{5 + 3 * k},{8 + 3 * k},7" for k in range(9)]
    (tmp_path / "recordings.csv").write_text("subject,trial,signals,start_s,stop_s,valence\n" + "\n".join(rows) + "\n")
    corpus = open_corpus("table", tmp_path)
    whole = []
    read_csv = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda *a, **k: whole.append(k.get("nrows")) or read_csv(*a, **k))
    for recording in corpus.recordings("anna"):
        corpus.inspect(recording)
    assert whole.count(None) == 1


@pytest.mark.parametrize("pair", [("Fp1", "FP1"), ("EEG Fp1-REF", "Fp1"), ("T7", "T3"), ("ECG", "ecg")])
def test_one_channel_in_two_spellings_is_reported_and_what_init_writes_can_be_read(pair, tmp_path):
    head = ",".join(("time", *pair, "Cz"))
    (tmp_path / "a.csv").write_text(head + "\n" + "\n".join(f"{t:.5f},1,2,3" for t in TIME) + "\n")
    known = known_channels(tmp_path / "a.csv")
    assert known.kinds == {"Cz": "eeg"}
    assert known.notes == (f"a.csv has {pair[0]} and {pair[1]}, which are one channel: none of them is used",)
    write_template(tmp_path)
    settings = (tmp_path / "table.yaml").read_text()
    assert known.notes[0] in settings and "  Cz: eeg" in settings.splitlines()


def test_cells_behind_an_empty_one_are_not_lost(tmp_path):
    (tmp_path / "x.csv").write_text("time\n0,,5\n1,,6\n")
    with pytest.raises(BadRecording, match="expected 1 cell in a line, as many as columns, found 3"):
        read_text_table(tmp_path / "x.csv")


def test_a_number_of_very_many_digits_takes_no_time(tmp_path):
    (tmp_path / "x.csv").write_text("9" * 100_000 + "x\n1\n")
    assert len(read_text_table(tmp_path / "x.csv")) == 1
