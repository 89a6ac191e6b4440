"""Settings: files that earlier versions wrote are read, whatever their settings were called there."""

import pytest
import yaml

from gbvnet.config import CrossvalConfig, TrainConfig, from_dict, to_dict
from gbvnet.errors import BadConfig
from gbvnet.experiments.reproduction.recipe import parse_recipe
from gbvnet.experiments.run_folder import config_digest
from gbvnet.former_settings import present_names


def as_version_0(values: dict) -> dict:
    """Settings as the first versions wrote them."""
    values = yaml.safe_load(yaml.safe_dump(values))
    values["inner"] = values.pop("validation")
    values["train"]["select"] = {"validation": "inner"}.get(values["train"]["select"], values["train"]["select"])
    return values


@pytest.mark.parametrize("select", ["validation", "last"])
def test_settings_of_the_first_versions_are_read_under_their_present_names(select):
    config = CrossvalConfig(validation=0.3, train=TrainConfig(select=select, epochs=3))
    old = as_version_0(to_dict(config))
    assert "validation" not in old and old["train"]["select"] in ("inner", "last")
    assert from_dict(CrossvalConfig, old) == config
    assert present_names(old) == to_dict(config)


def test_a_setting_under_both_of_its_names_is_refused():
    with pytest.raises(BadConfig, match="inner is the former name of validation: give one of them"):
        from_dict(CrossvalConfig, {"inner": 0.2, "validation": 0.3})


def test_a_misspelt_setting_gets_the_nearest_present_name():
    with pytest.raises(BadConfig, match=r"no setting validatoin; did you mean validation\?"):
        from_dict(CrossvalConfig, {"validatoin": 0.2})


def test_the_digest_of_settings_is_that_of_the_first_versions():
    """Computed by version 0.1.0: predictions tables of that time hold it, and models are compared by it."""
    assert config_digest(CrossvalConfig(target="valence", modality="bio")) == "b08cb741e5e6"
    assert config_digest(CrossvalConfig(train=TrainConfig(select="last"))) == "89cea1a24016"


@pytest.mark.journey
def test_a_recipe_of_the_first_versions_is_read():
    text = "name: old\nabout: as once\ncrossval:\n  inner: 0.25\n  train:\n    select: inner\n"
    config = parse_recipe(text, "old").crossval
    assert config.validation == 0.25 and config.train.select == "validation"
