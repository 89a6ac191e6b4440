"""The model folder: what is saved comes back, and whatever is wrong with a folder is reported."""

import hashlib
import json
import pickle

import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_file, save_file

from gbvnet.config import GBVNetConfig
from gbvnet.errors import BadModel
from gbvnet.network.checkpoint import checkpoint
from gbvnet.network.checkpoint import folder as modelfolder
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.model import GBVNet

ABOUT = {
    "dataset": "deap",
    "synthetic": True,
    "protocol": "window",
    "targets": ["valence"],
    "threshold": ">=5",
    "store_digest": "abc123",
    "channels": [["Fp1", "eeg"], ["GSR", "gsr"]],
    "prepare": {"window_s": 1.0, "baseline": "mean"},
    "scores": {"balanced accuracy": 0.98765},
}


def bio_network(**settings):
    torch.manual_seed(0)
    return GBVNet(GBVNetConfig(variant="micro", modality="bio", n_channels=2, **settings))


@pytest.fixture
def saved(tmp_path):
    model = bio_network()
    model.fit_normaliser(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    save_model(tmp_path / "model", model, ABOUT)
    return tmp_path / "model"


def edit_config(folder, change):
    made = json.loads((folder / "config.json").read_text())
    change(made)
    (folder / "config.json").write_text(json.dumps(made))


@pytest.mark.journey
def test_what_is_saved_comes_back_whole(tmp_path):
    torch.manual_seed(0)
    model = GBVNet(GBVNetConfig(variant="micro", n_channels=2, n_frames=3, fusion="literal", tcn="parallel"))
    model.fit_normaliser(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    faces, signals = torch.rand(4, 3, 3, 32, 32), torch.randn(4, 2, 128)
    model(faces, None, signals)  # moves the batch norm's running values
    save_model(tmp_path / "deep" / "model", model, ABOUT)
    loaded, about = load_model(tmp_path / "deep" / "model")
    assert about == ABOUT
    assert loaded.config == model.config
    assert not loaded.training
    model.eval()
    assert torch.equal(loaded(faces, None, signals).logits, model(faces, None, signals).logits)
    assert loaded.signal_sd.tolist() == [3.0, 4.0]
    assert sorted(p.name for p in (tmp_path / "deep").rglob("*")) == [
        "README.md",
        "config.json",
        "model",
        "model.safetensors",
    ]


def test_the_layout_is_the_hubs(saved):
    class Hub(GBVNet, PyTorchModelHubMixin):
        def __init__(self, config: GBVNetConfig):
            super().__init__(config)

    theirs, (own, _) = Hub.from_pretrained(str(saved)).eval(), load_model(saved)
    signals = torch.randn(2, 2, 128)
    assert torch.equal(theirs(None, None, signals).logits, own(None, None, signals).logits)


@pytest.mark.journey
def test_a_model_saved_before_the_ablations_loads_as_what_it_was(saved):
    before = load_model(saved)[0]
    tensors = load_file(saved / "model.safetensors")
    edit_config(saved, lambda made: [made["config"].pop(name, None) for name in modelfolder.ADDED_FIELDS])
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt"})
    after = load_model(saved)[0]
    assert after.config == before.config
    signals = torch.randn(2, 2, 128)
    assert torch.equal(after(None, None, signals).logits, before(None, None, signals).logits)


def test_the_card_says_what_the_network_lacks(tmp_path):
    save_model(tmp_path / "model", bio_network(residual=False, tcn="none"), {})
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| Other than the default network | tcn none, residual False |" in card


def test_saving_again_replaces_the_model_and_leaves_nothing_behind(saved):
    save_model(saved, bio_network(tcn="parallel"), {"dataset": "second"})
    model, about = load_model(saved)
    assert about == {"dataset": "second"}
    assert model.config.tcn == "parallel"
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_save_that_fails_leaves_the_old_model(saved, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "model_card", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(saved, bio_network(), {"dataset": "second"})
    assert load_model(saved)[1] == ABOUT
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_folder_of_other_things_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadModel, match=r"found thesis.tex. Give another folder"):
        save_model(tmp_path, bio_network(), {})
    with pytest.raises(BadModel, match="found a file"):
        save_model(tmp_path / "thesis.tex", bio_network(), {})
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_channel_names_must_be_as_many_as_the_channels(tmp_path):
    with pytest.raises(BadModel, match="names of 2 channels, found 1"):
        save_model(tmp_path / "m", bio_network(), {"channels": [["Fp1", "eeg"]]})


def test_the_card_says_what_the_numbers_are_worth(saved):
    card = (saved / "README.md").read_text()
    assert card.startswith("---\n")
    for text in (
        "synthetic data",
        "LEAKY",
        "| Trained on | deap |",
        "0.9877",
        "abc123",
        "| GSR | gsr | 2 | 4 |",
        ">=5",
    ):
        assert text in card
    save_model(saved, bio_network(), {"protocol": "trial"})
    card = (saved / "README.md").read_text()
    assert "LEAKY" not in card
    assert "Synthetic" not in card


def test_a_folder_that_is_no_model_is_refused_with_what_it_lacks(tmp_path):
    with pytest.raises(BadModel, match=r"absent: expected a model folder, found no such folder"):
        load_model(tmp_path / "absent")
    with pytest.raises(BadModel, match=r"expected model.safetensors and config.json, found an empty folder"):
        load_model(tmp_path)


def test_pickled_weights_are_refused_unopened(tmp_path):
    class Boom:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Boom()))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadModel, match=r"pickled weights \(pytorch_model.bin\). A pickle can run any code"):
        load_model(tmp_path)


def test_a_newer_format_is_refused(saved):
    edit_config(saved, lambda made: made.update(format=2))
    with pytest.raises(BadModel, match=r"expected format 1 or older, found format 2.*update"):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.pop("format"), "the config of a gbvnet model, found another file .no `format`"),
        (lambda made: made.pop("about"), "sections `config` and `about`, found .*no `about`"),
        (lambda made: made["config"].update(variant="huge"), "variant to be one of micro, .* found 'huge'"),
        (lambda made: made["config"].update(variants="tiny"), "did you mean variant"),
        (lambda made: made["config"].update(n_channels="2"), "config.json: expected .*, found "),
        (lambda made: made["config"].update(n_frames=True), "n_frames to be of type int, found True"),
        (lambda made: made["config"].update(dropout=1.5), r"dropout must be in \[0, 1\)"),
        (lambda made: made["config"].pop("tcn"), "tcn to be one of sequential, parallel, none, found nothing"),
        (lambda made: made["config"].update(residual=1), "residual .* (not|found) 1"),
        (lambda made: made["config"].update(n_channels=10**9), r"signals.local.0.0.weight \(32, 2, 7\) instead of"),
        (lambda made: made["config"].update(modality="facebio", n_frames=10**9), "no missing_face; .* and 89 more"),
        (lambda made: made["config"].update(tcn="parallel"), "no signals.medium"),
        (lambda made: made["about"].update(threshold=">5"), "another, or an edited one"),
        (lambda made: made["config"].update(modality="eeg"), "another, or an edited one"),
    ],
)
def test_a_config_that_was_tampered_with_is_refused(saved, change, message):
    edit_config(saved, change)
    with pytest.raises(BadModel, match=message):
        load_model(saved)


def test_a_config_that_breaks_off_is_refused(saved):
    text = (saved / "config.json").read_text()
    (saved / "config.json").write_text(text[: len(text) // 2])
    with pytest.raises(BadModel, match="expected JSON"):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("head.3.bias"), "no head.3.bias"),
        (lambda t: t.update(extra=torch.zeros(1)), "an unknown extra"),
        (lambda t: t.update({"head.3.bias": torch.zeros(2)}), r"head.3.bias \(2,\) instead of \(1,\)"),
        (lambda t: t.clear(), "no signal_mean; no signal_sd; no .* and 56 more"),
    ],
)
def test_tensors_that_are_not_the_networks_are_named(saved, change, message):
    tensors = load_file(saved / "model.safetensors")
    change(tensors)
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(BadModel, match=message):
        load_model(saved)


def test_truncated_tensors_are_refused(saved):
    content = (saved / "model.safetensors").read_bytes()
    for size in (0, 5, len(content) // 2):
        (saved / "model.safetensors").write_bytes(content[:size])
        with pytest.raises(BadModel, match=r"expected a safetensors file, found .*Fetch or train"):
            load_model(saved)


def test_a_changed_number_is_noticed(saved):
    content = bytearray((saved / "model.safetensors").read_bytes())
    content[-1000] ^= 1
    (saved / "model.safetensors").write_bytes(content)
    with pytest.raises(BadModel, match=r"expected the tensors that were saved, found others: the file is damaged"):
        load_model(saved)


def test_a_model_saved_before_numbers_had_a_hash_loads(saved):
    tensors = {name: value.clone() for name, value in load_file(saved / "model.safetensors").items()}  # not the file
    config = hashlib.sha256((saved / "config.json").read_bytes()).hexdigest()
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt", "config_sha256": config})
    assert torch.equal(load_model(saved)[0].state_dict()["head.3.bias"], tensors["head.3.bias"])
