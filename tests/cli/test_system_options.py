"""Options of systems on the command line: those of the systems that are named, and no others."""

import subprocess
import sys

import pytest

from gbvnet.cli import main as cli
from gbvnet.cli.options import chosen_settings, quote_names, require_groups
from gbvnet.config import CompareConfig, CrossvalConfig
from gbvnet.errors import BadConfig


def parse(text, settings=CrossvalConfig):
    name, *argv = text.split()
    argv = cli.with_underscores(argv)
    parser, _ = cli.command_parser(name, argv)
    parsed = parser.parse_args(quote_names(argv, parser))
    require_groups(parser, parsed)
    return chosen_settings(parser.instantiate(parsed), settings).options


def help_of(text):
    name, *argv = text.split()
    return cli.command_parser(name, argv)[0].format_help()


@pytest.mark.journey
def test_help_shows_the_options_of_the_system_that_is_named():
    shown = help_of("crossval --system yuvaraj-like --help")
    assert "--options.feature_set {statistical,fractal,hjorth,hos,wavelet}" in shown and "--options.head" not in shown
    assert "the features of each channel" in shown and "(default: fractal)" in shown
    assert "--options" not in help_of("crossval --system zhu --help")
    shown = help_of("compare --systems yuvaraj-like,zhu --help")
    assert "--options.yuvaraj-like.feature_set" in shown and "--options.zhu" not in shown


@pytest.mark.journey
def test_help_of_a_command_imports_no_system():
    code = "import sys; from gbvnet.cli import main\n"
    code += "main.command_parser('crossval', ['--help'])[0].format_help()\n"
    code += "sys.exit(any(m == 'torch' or m.startswith('gbvnet.systems.') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.journey
def test_options_are_those_of_the_system():
    options = parse("crossval s r --system yuvaraj-like --options.feature-set hos --options.svm_windows=50")
    assert (options.feature_set, options.svm_windows, options.classifier) == ("hos", 50, "cart")
    options = parse("compare s c --options.yuvaraj-like.feature-set hos --options.huang.fusion adaboost", CompareConfig)
    assert options["yuvaraj-like"].feature_set == "hos" and options["huang"].fusion == "adaboost"


@pytest.mark.journey
def test_a_file_of_settings_names_the_system_and_its_options(tmp_path):
    (tmp_path / "a.yaml").write_text("system: yuvaraj-like\noptions: {feature_set: hos}\n")
    assert parse(f"crossval s r --config {tmp_path}/a.yaml").feature_set == "hos"
    assert parse(f"crossval s r --config {tmp_path}/a.yaml --options.feature_set hjorth").feature_set == "hjorth"
    (tmp_path / "b.yaml").write_text("system: yuvaraj-like\nrival: {feature_set: hos, head: mlp}\n")  # as of before
    assert parse(f"crossval s r --config {tmp_path}/b.yaml").feature_set == "hos"
    (tmp_path / "c.yaml").write_text("options: {yuvaraj-like: {feature_set: hos}}\n")
    assert parse(f"compare s c --config {tmp_path}/c.yaml", CompareConfig)["yuvaraj-like"].feature_set == "hos"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "crossval s r --system zhu --options.feature_set hos",
            "of zhu, which has none; feature_set is an option of",
        ),
        ("crossval s r --options.feature_set hos", "no option feature_set of gbvnet, which has none"),
        ("crossval s r --system yuvaraj-like --options.feature_st hos", r"did you mean feature_set\?"),
        ("compare s c --options.zhu.feature_set hos", "no option feature_set of zhu"),
        ("compare s c --options.feature_set hos", r"are --options\.SYSTEM\.NAME, found --options\.feature_set"),
        ("crossval s r --system yuvaraj", r"no system yuvaraj; did you mean yuvaraj-like\?"),
    ],
)
def test_an_option_of_another_system_is_refused(command, message):
    with pytest.raises(BadConfig, match=message):
        parse(command)


def test_a_file_with_an_option_of_another_system_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("system: zhu\noptions: {feature_set: hos}\n")
    with pytest.raises(BadConfig, match="no option feature_set of zhu"):
        parse(f"crossval s r --config {tmp_path}/a.yaml")
