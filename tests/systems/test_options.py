"""A system's own options: declared in its file, complete and checked when a system is made; older files are read."""

from dataclasses import fields, replace

import pytest

from gbvnet.config import CompareConfig, CrossvalConfig, from_dict, to_dict
from gbvnet.errors import BadConfig
from gbvnet.experiments.run_folder import config_digest
from gbvnet.systems import SYSTEMS, BaseSystem, option_names, read_options, system, validate_config

EEG = CrossvalConfig(system="yuvaraj-like", modality="eeg")
WITH_OPTIONS = {
    "bhatti-like",
    "chowdary-like",
    "decision-fusion",
    "deep-cca",
    "huang",
    "meena-like",
    "mindlink-eumpy",
    "siddharth-like",
    "yuvaraj-like",
}


def test_some_options_by_name_are_completed_by_the_defaults():
    options = validate_config(replace(EEG, options={"feature_set": "hos"})).options
    assert type(options) is system("yuvaraj-like").Options
    assert (options.feature_set, options.classifier, options.svm_windows) == ("hos", "cart", 10_000)
    assert validate_config(replace(EEG, options=options)).options is options
    assert validate_config(EEG).options == system("yuvaraj-like").Options()
    assert to_dict(validate_config(EEG))["options"]["classifier"] == "cart"


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_option_has_a_default_and_no_system_has_those_of_another(name):
    chosen = system(name)
    assert issubclass(chosen.Options, BaseSystem.Options)
    assert chosen.Options() == read_options(chosen, None, name) == read_options(chosen, {}, name)
    assert bool(fields(chosen.Options)) == (name in WITH_OPTIONS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("yuvaraj-like", {"feature_st": "hos"}, r"no option feature_st of yuvaraj-like; did you mean feature_set\?"),
        ("zhu", {"feature_set": "hos"}, "of zhu, which has none; feature_set is an option of yuvaraj-like"),
        ("salama-like", {"adabost_log": True}, "adaboost_log is an option of huang and mindlink-eumpy"),
        ("siddharth-like", {"fusion": "x"}, "which has head; fusion is an option of huang"),
        ("yuvaraj-like", {"feature_set": "hoss"}, r"yuvaraj-like: options\.feature_set: 'hoss' is none of the choices"),
        ("yuvaraj-like", {"svm_windows": "many"}, r"options\.svm_windows: expected a whole number, found 'many'"),
        ("yuvaraj-like", {"svm_windows": 3}, r"options\.svm_windows must be at least 10, not 3"),
        ("yuvaraj-like", ["hos"], r"expected options of yuvaraj-like by name, found \['hos'\]"),
    ],
)
def test_what_is_no_option_is_refused_with_the_nearest_name_or_the_system_that_has_it(name, options, message):
    with pytest.raises(BadConfig, match=message):
        read_options(system(name), options, name)


def test_the_options_of_another_system_are_refused():
    with pytest.raises(BadConfig, match="no option svm_windows of zhu"):
        validate_config(replace(EEG, system="zhu", options=system("huang").Options(svm_windows=50)))


def test_a_part_of_a_fusion_gets_those_options_that_it_has():
    fused = system("huang")(CrossvalConfig(system="huang", modality="faceeeg", options={"svm_windows": 50}))
    assert fused.parts["eeg"].options.svm_windows == 50
    assert option_names(type(fused.parts["face"])) == ()
    assert (fused.fusion_rule, system("mindlink-eumpy").Options().fusion) == ("enumerate", "adaboost")


# Files of before, in which one group `rival` had the options of all systems.

RIVAL = {
    "feature_set": "hos", "classifier": "cart", "svm_windows": 50, "head": "elm", "fusion": None, "adaboost_log": True,
}  # fmt: skip


def test_a_run_of_before_is_read_with_the_options_of_its_system():
    values = {"system": "yuvaraj-like", "modality": "eeg", "rival": RIVAL}
    config = from_dict(CrossvalConfig, values)
    assert config.options == {"feature_set": "hos", "classifier": "cart", "svm_windows": 50}
    assert from_dict(CrossvalConfig, values | {"system": "zhu"}).options == {}
    assert from_dict(CrossvalConfig, {"rival": {"feature_set": "fractal"}}).options == {}
    with pytest.raises(BadConfig, match="name the system that they are of"):
        from_dict(CrossvalConfig, {"rival": RIVAL})
    compared = from_dict(CompareConfig, {"systems": ["huang"], "rival": RIVAL})
    assert compared.options["huang"] == {"svm_windows": 50, "adaboost_log": True}
    with pytest.raises(BadConfig, match=r"no setting rival\.feature_st; did you mean rival\.feature_set\?"):
        from_dict(CrossvalConfig, {"rival": {"feature_st": "hos"}})
    with pytest.raises(BadConfig, match=r"no setting rival\.zoom; there are feature_set, classifier"):
        from_dict(CrossvalConfig, {"rival": {"zoom": 3}})
    with pytest.raises(BadConfig, match="rival is the former name of options: give one of them"):
        from_dict(CrossvalConfig, values | {"options": {}})


@pytest.mark.parametrize(
    ("name", "options", "digest"),
    [
        ("gbvnet", None, "a235dace0f0f"),
        ("yuvaraj-like", {"feature_set": "hos", "svm_windows": 50}, "af52eefbd130"),
        ("huang", {"fusion": "adaboost", "adaboost_log": False}, "6420aa428718"),
        ("mindlink-eumpy", None, "d662fc52922f"),
    ],
)
def test_a_runs_digest_is_what_it_was(name, options, digest):
    """As the version before options wrote it: folds of a run that goes on belong to one result."""
    config = CrossvalConfig(system=name, modality="facebio" if name == "gbvnet" else "eeg", options=options)
    assert config_digest(config) == config_digest(validate_config(config)) == digest
