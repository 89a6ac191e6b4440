"""The command line: instant help, one clear line for what is wrong, and exit codes that a script can trust."""

import os
import subprocess
import sys

import pytest
import yaml

from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import command_parser, main
from gbvnet.cli.options import quote_names

HEAVY = ("torch", "mne", "mediapipe", "lightning", "sklearn", "pandas", "matplotlib", "cv2", "av")


@pytest.mark.journey
def test_help_of_each_command_is_instant_and_has_an_example():
    code = (
        "import sys\n"
        "from gbvnet.cli.command import COMMANDS; from gbvnet.cli.main import main\n"
        "for name in ['', *COMMANDS]:\n"
        "    try: main([name, '--help'] if name else ['--help'])\n"
        "    except SystemExit: pass\n"
        f"print('LOADED', [m for m in {HEAVY} if m in sys.modules])\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "LOADED []" in shown
    assert shown.count("example:") == len(COMMANDS)


def help_of(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    return capsys.readouterr().out


@pytest.mark.journey
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_of_the_command_and_not_of_its_parser(name, capsys):
    text = help_of(name, capsys)
    usage, blank, about, *lines = text.splitlines()
    assert usage.startswith(f"usage: gbvnet {name} ") and usage.endswith("[options]") and blank == ""
    assert about.startswith(COMMANDS[name].help[0].upper())
    assert lines.index("example:") < 10 and lines.index("example:") < lines.index("options:")
    for word in ("class '", "type:", "Literal[", "default: null", "(required", "Path to a configuration file"):
        assert word not in text


@pytest.mark.journey
def test_a_word_is_explained_where_it_is_first_met(capsys):
    for name in ("crossval", "compare", "audit", "transfer", "train"):
        words, options = help_of(name, capsys).split("\noptions:", 1)
        assert "  facebio   face and all signals together" in words and "peri: the peripheral signals" in words
        assert ("  protocol  " in words) == ("--protocol " in options)
    for name in ("predict", "live", "app"):
        assert "  gate      factors between 0 and 1" in help_of(name, capsys)
    assert "terms:" not in help_of("weights", capsys)


@pytest.mark.journey
def test_defaults_are_shown_where_there_are_any(capsys):
    text = " ".join(help_of("crossval", capsys).split())
    assert "number of folds (paper: 10) (default: 10)" in text and "(default: facebio)" in text
    assert "names of the subjects to use (s01,s05); default: all --shuffle_labels" in text


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, gbvnet; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.journey
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["crossvall"], "no command crossvall; did you mean crossval?"),
        (["check", "deap", "/nowhere"], "/nowhere: expected the folder of a corpus, found no such folder"),
        (["check", "seed", "/nowhere"], "seed"),
        (["prepare", "deap", "x", "y", "--face-side", "3"], "face_side must be 32 to 512 pixels, not 3"),
        (["prepare", "deap", "x", "y", "--fce-side", "64"], "unrecognized arguments"),
        (["crossval", "/nowhere", "r"], "/nowhere: expected a store, found no store.json"),
        (["crossval", "s", "r", "--protocol", "subject", "--scope", "per-subject"], "choose one of them"),
        (["crossval", "s", "r", "--train.compile", "maybe"], "expected true or false or auto, found maybe"),
        (["report", "one"], "give at least one run, and then the folder to write"),
    ],
)
def test_what_cannot_start_is_one_line_on_stderr_and_exit_2(argv, message, capsys):
    assert main(argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert output.err.count("\n") == 1


@pytest.mark.journey
def test_good_and_bad_recordings_differ_in_the_exit_code(deap, tmp_path, capsys):
    assert main(["check", "deap", str(deap)]) == 0
    shown = capsys.readouterr().out
    assert "synthetic data" in shown
    assert "ok   s02  3 of 3 recordings, 0 with a video" in shown
    assert "6 good recordings of 2 subjects, 0 with a video; 0 bad" in shown
    (deap / "data_preprocessed_python/s01.dat").write_bytes(b"")
    assert main(["check", "deap", str(deap)]) == 1
    assert "BAD  s01" in capsys.readouterr().out
    assert (
        main(["prepare", "deap", str(deap), str(tmp_path / "store"), "--faces", "false", "--channels", "Fp1,GSR"]) == 1
    )
    assert "3 recordings prepared, 0 prepared before, 1 bad" in capsys.readouterr().out


@pytest.mark.journey
def test_settings_come_from_a_file_and_options_win(deap, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("faces: false\nwindow_s: 2\n")
    store = tmp_path / "store"
    config = ["--config", str(tmp_path / "c.yaml"), "--step-s", "1"]
    assert main(["prepare", "deap", str(deap), str(store), *config]) == 0
    assert "18 windows" in capsys.readouterr().out  # 3 of 2 s in each of 6 trials of 4 s
    (tmp_path / "bad.yaml").write_text("widow_s: 2\n")
    assert main(["prepare", "deap", str(deap), str(store), "--config", str(tmp_path / "bad.yaml")]) == 2
    assert "widow_s" in capsys.readouterr().err


def test_ctrl_c_says_that_the_same_command_goes_on(deap, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gbvnet.datasets.check.check_corpus", interrupted)
    assert main(["check", "deap", str(deap)]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def parsed(name, *argv):
    """The options of a command as it sees them."""
    parser, _ = command_parser(name)
    return parser.instantiate(parser.parse_args(quote_names(list(argv), parser)))


@pytest.mark.journey
@pytest.mark.parametrize("command", ["crossval", "compare", "train", "audit"])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("01,02", ("01", "02")),
        ("07", ("07",)),
        ("1,2", ("1", "2")),
        ("no,yes", ("no", "yes")),
        ("1e3, null ,2020-01-01", ("1e3", "null", "2020-01-01")),
        ("[s01, 's 02']", ("s01", "s 02")),
        ("sub-01:a", ("sub-01:a",)),
    ],
)
def test_names_of_subjects_stay_text(command, text, names):
    assert parsed(command, "a", "b", "--subjects", text).subjects == names
    assert parsed(command, "a", "b", f"--subjects={text}").subjects == names


@pytest.mark.journey
def test_every_list_of_names_is_text_and_numbers_stay_numbers():
    made = parsed("synth", "deap", "x", "--subjects", "07", "--evidence", "1,02")
    assert (made.subjects, made.evidence) == (7, ("1", "02"))
    assert parsed("train", "a", "b", "--exclude", "01,1.0").exclude == ("01", "1.0")
    assert parsed("prepare", "table", "a", "b", "--channels", "1,2").channels == ("1", "2")
    assert parsed("predict", "a", "b", "c", "--subjects", "01,02").subjects == "01,02"


@pytest.mark.journey
@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("subjects: [01, no, 1.50, ~, '7']", ("01", "no", "1.50", "~", "7")),
        ("subjects:\n- 1_000\n- 0x10", ("1_000", "0x10")),
        ("subjects: 01", ("01",)),
        ("subjects: null", None),
    ],
)
def test_names_in_a_settings_file_stay_text(tmp_path, line, names):
    (tmp_path / "c.yaml").write_text(f"{line}\nfolds: 5\ntrain: {{epochs: 3}}\n")
    read = parsed("crossval", "a", "b", "--config", str(tmp_path / "c.yaml"))
    assert (read.subjects, read.folds, read.train.epochs) == (names, 5, 3)


@pytest.mark.journey
def test_what_the_demo_ends_with_are_commands_as_they_must_be_typed(tmp_path):
    from gbvnet.cli.demo import NEXT, WORDS
    from gbvnet.cli.main import command_parser, with_underscores

    lines = NEXT.format(folder=tmp_path, store=tmp_path / "store", run="runs/trial").splitlines()
    commands = [line.split()[1:] for line in lines if line.startswith("    gbvnet ")]
    assert [words[0] for words in commands] == [
        "train", "predict", "check", "prepare", "crossval", "report", "table", "prepare"
    ]  # fmt: skip
    for name, *words in commands:
        command_parser(name)[0].parse_args(with_underscores(words))
    assert all(word in WORDS for word in ("facebio", "protocol", "LEAKY", "window"))


@pytest.mark.journey
@pytest.mark.parametrize("words", [["--help"], ["crossval", "--help"], ["--version"]])
def test_an_output_that_is_closed_early_ends_the_command_quietly(words):
    """`gbvnet --help | head -1`: no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "gbvnet", *words], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.returncode in (0, 141)  # 0: argparse itself passes over it when it prints a command's help
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--folds", "2.5"), "--folds: expected a whole number, found 2.5"),
        (("--task", "joy"), "--task: expected one of binary, multiclass, regression, found joy"),
        (("--shuffle_labels", "a"), "--shuffle_labels: expected a whole number, found a"),
        (("--stratify", "maybe"), "--stratify: expected true or false, found maybe"),
    ],
)
def test_a_value_of_another_kind_is_reported_in_plain_words(capsys, argv, message):
    assert main(["crossval", "store", "run", *argv]) == 2
    assert capsys.readouterr().err == f"gbvnet crossval: {message}\n"


@pytest.mark.journey
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: 2\n", "train: expected settings, a name and a value each, as train.NAME; found 2"),
        ("subjects: {a: 1}\n", "--subjects: expected names with commas between, found {'a': 1}"),
    ],
)
def test_settings_of_another_form_are_reported_without_a_traceback(tmp_path, capsys, text, message):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    assert main(["crossval", "store", "run", "--config", str(file)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.journey
@pytest.mark.parametrize("option", ["--subjects", "--subject", "--subj"])
def test_the_beginning_of_an_option_takes_names_as_the_whole_does(option):
    parser, _ = command_parser("crossval")
    quoted = quote_names([option, "01,02", f"{option}=1e5"], parser)
    assert quoted == [option, '["01", "02"]', f'{option}=["1e5"]']
    assert quote_names(["--systems", "a,b", "--system", "x"], command_parser("compare")[0])[1] == '["a", "b"]'


@pytest.mark.journey
def test_a_file_of_settings_from_the_first_versions_is_read(tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text("inner: 0.3\ntrain:\n  select: inner\n")
    with pytest.raises(SystemExit):
        main(["crossval", "store", "run", "--config", str(file), "--print_config"])
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["validation"] == 0.3 and shown["train"]["select"] == "validation"
