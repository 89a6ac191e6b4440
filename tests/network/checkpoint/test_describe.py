"""`gbvnet model show`: what a model expects and how it was made, at once, and what is wrong with a folder."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from gbvnet.cli.main import main
from gbvnet.config import GBVNetConfig
from gbvnet.errors import BadModel
from gbvnet.network.checkpoint.checkpoint import save_model
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.network.model import GBVNet

ABOUT = {
    "dataset": "deap",
    "synthetic": True,
    "store_digest": "abc123",
    "prepare": {"faces": True, "window_s": 1.0, "step_s": None, "filter": True, "baseline": "mean"},
    "baseline_s": 3,
    "channels": [["Fp1", "eeg"], ["Fz", "eeg"], ["GSR", "gsr"]],
    "rate_hz": 128,
    "face_side": 48,
    "normalise": "subject",
    "targets": ["arousal"],
    "threshold": ">5",
    "protocol": "trial",
    "scope": "pooled",
    "subjects": ["s01", "s02"],
    "n_windows": 144,
    "excluded": ["s03_trial01"],
    "chosen_epoch": 7,
    "scores": {"balanced accuracy": 0.61234},
}


def network(**settings):
    torch.manual_seed(0)
    return GBVNet(GBVNetConfig(**{"variant": "micro", "n_channels": 3, "n_frames": 4, **settings}))


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "model", network(), ABOUT)
    return tmp_path / "model"


@pytest.mark.journey
def test_the_description_has_all_that_a_user_must_know(saved):
    description = dict(
        line.strip().split("  ", 1) for line in describe_model(saved).splitlines() if "  " in line.strip()
    )
    description = {name: value.strip() for name, value in description.items()}
    assert description["face"] == "4 frames per window, aligned, RGB, 48 x 48 pixels"
    assert description["signals"] == "3 channels x 128 samples per window at 128 Hz"
    assert description["eeg"] == "2: Fp1 Fz"
    assert description["gsr"] == "1: GSR"
    assert "transductive" in description["normalised"]
    assert description["window_s"] == "1"
    assert description["filter"] == "True"
    assert description["baseline"] == "mean"
    assert description["outputs"] == "arousal"
    assert description["positive class"] == "a rating above 5"
    assert description["subjects"] == "2: s01, s02"
    assert description["windows"] == "144"
    assert description["protocol"] == "trial, pooled"
    assert description["trained on"] == "deap"
    assert description["excluded"] == "s03_trial01"
    assert "faces" not in description  # "face" shows that it was prepared with faces
    assert description["store digest"] == "abc123"
    assert description["chosen epoch"] == "7"
    assert int(description["parameters"].replace(",", "")) == sum(p.numel() for p in network().parameters())
    assert "balanced accuracy 0.6123" in describe_model(saved)
    assert describe_model(saved).splitlines()[1].startswith("model trained on synthetic data")


def test_the_scales_of_face_features_are_no_parameters(tmp_path):
    model = network(face_input="features", n_face_features=58)
    save_model(tmp_path / "model", model, ABOUT)
    assert f"  {sum(p.numel() for p in model.parameters()):,}\n" in describe_model(tmp_path / "model")


def test_a_model_of_an_earlier_version_has_the_present_stamp(tmp_path):
    about = {name: value for name, value in ABOUT.items() if name != "synthetic"}
    save_model(tmp_path / "model", network(), about | {"dataset": "deap (made-up data)", "made_up": True})
    description = describe_model(tmp_path / "model")
    assert "model trained on synthetic data" in description
    assert "deap (synthetic data)" in description and "made-up" not in description


@pytest.mark.journey
def test_a_network_of_one_modality_says_nothing_of_the_other(tmp_path):
    save_model(tmp_path / "face", network(modality="face"), {"protocol": "window"})
    description = describe_model(tmp_path / "face")
    assert "side not stated, at least 32 pixels" in description
    assert "signals" not in description and "normalised" not in description
    assert "may be missing  nothing" in description
    assert description.splitlines()[1].startswith("LEAKY")
    save_model(tmp_path / "bio", network(modality="bio"), {})
    assert "frames" not in describe_model(tmp_path / "bio")


@pytest.mark.journey
def test_a_model_is_described_without_torch(saved):
    heavy = ("torch", "pandas", "lightning", "huggingface_hub")
    code = f"import sys\nfrom gbvnet.cli.main import main\nmain(['model', 'show', {str(saved)!r}])\n"
    code += f"print('LOADED', [m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "a rating above 5" in shown
    assert shown.splitlines()[-1] == "LOADED []"


def edit(folder, change):
    made = json.loads((folder / "config.json").read_text())
    change(made)
    (folder / "config.json").write_text(json.dumps(made))


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def other_channels(folder):
    edit(folder, lambda made: made["config"].update(n_channels=5))
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")  # bound to no config


def broken_channels(folder):
    edit(folder, lambda made: made["about"].update(channels="Fp1"))
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")


@pytest.mark.journey
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "expected config.json, found README.md, model.safetensors"),
        (pickled, r"found pickled weights (pytorch_model.bin)"),
        (cut, "expected a safetensors file"),
        (lambda f: edit(f, lambda made: made["about"].update(targets=["valence"])), "another, or an edited one"),
        (lambda f: edit(f, lambda made: made.update(format=2)), "saved by a newer gbvnet: update this one"),
        (lambda f: edit(f, lambda made: made["config"].update(variant="huge")), "variant to be one of micro"),
        (other_channels, "expected the mean of 5 channels, found signal_mean (3,)"),
        (broken_channels, "expected 3 channels as [name, kind], found 'Fp1'"),
    ],
)
def test_a_bad_folder_is_one_line_and_exit_2(saved, spoil, message, capsys):
    spoil(saved)
    assert main(["model", "show", str(saved)]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_somebody_elses_words_do_not_steer_the_terminal(tmp_path):
    save_model(tmp_path / "model", network(), {"dataset": "deap\x1b[2J", "subjects": 3})
    description = describe_model(tmp_path / "model")
    assert "\x1b" not in description
    assert "deap?[2J" in description
    assert "subjects        not stated" in description


@pytest.mark.journey
def test_tensors_bound_to_no_config_are_reported(saved):
    save_file(load_file(saved / "model.safetensors"), saved / "model.safetensors")
    assert "an edited config would not be noticed" in describe_model(saved)
    with pytest.raises(BadModel, match="no such folder"):
        describe_model(saved / "none")
