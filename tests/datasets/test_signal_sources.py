"""How the signal files of a recording are written, in a table, in YAML and on the command line."""

import pytest

from gbvnet.datasets.signal_sources import SignalSource, parse_sources, sources_label
from gbvnet.errors import BadRecording

THERE = {"a.edf", "w.csv", "a + b.edf", "x@2.csv", "x"}


def parsed(given):
    return [(str(s.file), s.offset_s) for s in parse_sources(given, THERE.__contains__, "table")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", []),
        ("a.edf", [("a.edf", 0)]),
        ("a.edf + w.csv", [("a.edf", 0), ("w.csv", 0)]),
        ("a.edf + w.csv@-3.2", [("a.edf", 0), ("w.csv", -3.2)]),
        ("a.edf  +  w.csv @ +1e3 s + v.csv@.5", [("a.edf", 0), ("w.csv", 1000), ("v.csv", 0.5)]),
        ("a + b.edf", [("a + b.edf", 0)]),  # a file of this name is there
        ("a+b.edf", [("a+b.edf", 0)]),  # a plus without blanks belongs to a name
        ("x@2.csv", [("x@2.csv", 0)]),
        ("a.edf + x@2.csv@2", [("a.edf", 0), ("x@2.csv", 2)]),
        ("me@home.edf", [("me@home.edf", 0)]),
        (["a.edf", "w.csv@-3.2"], [("a.edf", 0), ("w.csv", -3.2)]),
        ([{"file": "a.edf"}, {"file": "w.csv", "offset_s": "-3.2", "rate_hz": ""}], [("a.edf", 0), ("w.csv", -3.2)]),
    ],
)
def test_files_and_offsets_are_read(given, wanted):
    assert parsed(given) == wanted


def test_a_mapping_says_more_of_a_file():
    entry = {"file": "w.csv", "offset_s": "2", "rate_hz": "4", "unit": "uS", "prefix": "left ", "rename": {"E": "EDA"}}
    (one, other) = parse_sources(["a.edf", entry], THERE.__contains__, "table")
    assert one.is_plain and not other.is_plain
    assert (other.rate_hz, other.unit) == (4.0, "uS")
    assert [other.channel_name(name) for name in ("E", "BVP")] == ["EDA", "left BVP"]
    assert other.as_list() == [2.0, 4.0, "uS", "left ", [["E", "EDA"]]]
    assert sources_label([one, other]) == "a.edf + w.csv@2"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a.edf@5 + w.csv", r"no offset of the first .* found a.edf@5. Write a.edf without it, and add -5 s to the"),
        ("a.edf + w.csv@soon", "expected a number of seconds behind the @ of w.csv, found 'soon'"),
        ("a.edf + ", "the name of a signal file on both sides of a"),
        ("a.edf +  + w.csv", "the name of a signal file on both sides of a"),
        ("a.edf + w.csv@1700000000000", "expected a number of seconds for offset_s, .* Is it in milliseconds"),
        ("a.edf + a.edf", "expected each signal file of a recording once, found a.edf twice"),
        ([{"file": "a.edf"}, {"file": "w.csv", "ofset_s": "1"}], "found 'ofset_s'. Did you mean offset_s"),
        ([{"offset_s": "1"}], "expected `file` in each entry of signals"),
        ([{"file": "a.edf", "offset_s": "soon"}], "a number of seconds for offset_s, found 'soon'"),
        ([{"file": "w.csv", "rate_hz": "0"}], "expected rate_hz above 0"),
        ([{"file": "w.csv", "unit": "bananas"}], "a unit of voltage, conductance, .* for w.csv, found 'bananas'"),
        ([{"file": "w.csv", "rename": "EDA"}], "`rename` of w.csv as {NAME IN THE FILE: NAME}, found 'EDA'"),
        ([{"file": "w.csv", "rename": {"a": ""}}], "`rename` of w.csv"),
        (["w.csv", {"file": "a.edf", "rate_hz": "256"}], "rate_hz of text files only, found it for a.edf"),
        ([["a.edf"]], "expected signal files, found"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, message):
    with pytest.raises(BadRecording, match=message):
        parsed(given)


def test_a_source_is_a_value():
    assert len({SignalSource("a"), SignalSource("a"), SignalSource("a", 1.0)}) == 2
