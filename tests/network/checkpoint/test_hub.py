"""Models on the hub: only three files ever travel, and what arrives is checked as any other folder. No network here."""

import os
import pickle
import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

import gbvnet
from gbvnet.cli.main import main
from gbvnet.config import GBVNetConfig
from gbvnet.errors import BadModel
from gbvnet.network.checkpoint.checkpoint import load_model, save_model
from gbvnet.network.checkpoint.hub import is_hub_name
from gbvnet.network.checkpoint.hub_model import HubGBVNet, push_model
from gbvnet.network.model import GBVNet

ABOUT = {"dataset": "deap", "targets": ["valence"], "channels": [["Fp1", "eeg"], ["GSR", "gsr"]]}
SIGNALS = torch.randn(3, 2, 128, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return GBVNet(GBVNetConfig(variant="micro", modality="bio", n_channels=2)).eval()


class FakeHub:
    """Repositories as folders, by the calls of huggingface-hub that gbvnet makes; patterns are obeyed as there."""

    def __init__(self, root: Path):
        self.root, self.made, self.revisions, self.public = root, [], [], set()

    def snapshot_download(self, repo, *, revision=None, allow_patterns=None, **_):
        self.revisions.append(revision)
        if not (self.root / repo).is_dir():
            raise LocalEntryNotFoundError(f"no such\n\nrepository {repo}")
        folder = self.root / "cache" / repo
        folder.mkdir(parents=True, exist_ok=True)
        for file in (self.root / repo).iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                (folder / file.name).unlink(missing_ok=True)
                os.symlink(file, folder / file.name)  # as the hub's cache has them
        return str(folder)

    def create_repo(self, name, *, private, exist_ok):
        self.made.append((name, private, exist_ok))
        if not private and not (self.root / name).exists():
            self.public.add(name)
        (self.root / name).mkdir(parents=True, exist_ok=exist_ok)
        return f"https://example.org/{name}"

    def repo_info(self, name):
        return SimpleNamespace(private=name not in self.public)

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, **_):
        for file in Path(folder_path).iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, self.root / repo_id)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda **_: fake)
    monkeypatch.chdir(tmp_path)  # so that no name is by chance a folder here
    return fake


@pytest.mark.journey
def test_what_is_pushed_is_what_loads_by_name(hub):
    save_model("mine", network(), ABOUT)
    Path("mine/notes.txt").write_text("who was in the study")  # whatever lies beside stays here
    assert push_model("mine", "lab/model") == "https://example.org/lab/model"
    assert hub.made == [("lab/model", True, True)]
    assert sorted(f.name for f in (hub.root / "lab/model").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    for model, about in (gbvnet.load_model("lab/model"), gbvnet.load_model(Path("lab/model"))):
        assert about == ABOUT
        assert torch.equal(model(None, None, SIGNALS).logits, network()(None, None, SIGNALS).logits)


def test_nothing_is_sent_to_a_public_repository_unless_that_is_given(hub, capsys):
    save_model("mine", network(), ABOUT)
    hub.create_repo("lab/open", private=False, exist_ok=False)
    assert main(["model", "push", "mine", "lab/open"]) == 2
    assert "lab/open: expected a private repository, found one that is public" in capsys.readouterr().err
    assert not list((hub.root / "lab/open").iterdir())
    assert main(["model", "push", "mine", "lab/open", "--public"]) == 0
    assert (hub.root / "lab/open/model.safetensors").exists()


@pytest.mark.journey
def test_the_three_methods_of_the_hub(hub):
    shared = HubGBVNet(network().config, ABOUT)
    shared.load_state_dict(network().state_dict())
    shared.save_pretrained("local")
    assert load_model("local")[1] == ABOUT
    shared.push_to_hub("lab/model", private=False)
    assert hub.made == [("lab/model", False, True)]
    for name, revision in (("local", None), ("lab/model", "v1")):
        made = HubGBVNet.from_pretrained(name, revision=revision)
        assert made.about == ABOUT
        assert not made.training
        assert torch.equal(made(None, None, SIGNALS).logits, network()(None, None, SIGNALS).logits)
    assert hub.revisions == ["v1"]


def test_a_pickle_on_the_hub_is_not_even_fetched(hub):
    folder = hub.root / "lab/pickled"
    folder.mkdir(parents=True)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    (folder / "config.json").write_text("{}")
    with pytest.raises(BadModel, match=r"expected model\.safetensors, found config\.json"):
        load_model("lab/pickled")
    assert [f.name for f in (hub.root / "cache/lab/pickled").iterdir()] == ["config.json"]


def test_an_edited_model_of_the_hub_is_refused(hub):
    save_model("mine", network(), ABOUT)
    push_model("mine", "lab/model")
    config = hub.root / "lab/model/config.json"
    config.write_text(config.read_text().replace("valence", "arousal"))
    with pytest.raises(BadModel, match="another, or an edited one"):
        load_model("lab/model")


def test_what_is_damaged_is_never_sent(hub):
    save_model("mine", network(), ABOUT)
    config = Path("mine/config.json")
    config.write_text(config.read_text().replace("valence", "arousal"))
    with pytest.raises(BadModel, match="another, or an edited one"):
        push_model("mine", "lab/model")
    with pytest.raises(BadModel, match="no such folder"):
        push_model("lab/other", "lab/model")  # not a folder here; and one of the hub is not sent again
    assert hub.made == hub.revisions == []


@pytest.mark.journey
def test_a_model_that_is_nowhere_and_a_hub_that_refuses_are_reported_in_one_line(hub, monkeypatch, capsys):
    assert main(["model", "show", "lab/none"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "lab/none is not a local folder: looking for it on the Hugging Face hub"
    assert "found LocalEntryNotFoundError: no such repository lab/none. Check the name and the network" in lines[1]
    save_model("mine", network(), ABOUT)

    def refuse(*_, **__):
        raise RepositoryNotFoundError("401", response=MagicMock())

    monkeypatch.setattr(hub, "create_repo", refuse)
    assert main(["model", "push", "mine", "lab/model"]) == 2
    assert "a repository on the hub that you may write to" in capsys.readouterr().err
    assert main(["model", "push", "mine", "model"]) == 2
    assert "expected a name on the hub as user/name" in capsys.readouterr().err
    assert main(["model", "push", "mine"]) == 2
    assert "give the destination, as user/name" in capsys.readouterr().err


def test_an_error_in_this_package_is_not_reported_as_one_of_the_network(hub, monkeypatch):
    def broken(*_, **__):
        raise TypeError("a bug")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", broken)
    with pytest.raises(TypeError, match="a bug"):
        load_model("lab/model")


@pytest.mark.parametrize(
    ("name", "on_the_hub"),
    [
        ("lab/model", True),
        ("runs/fold01", False),  # a folder called runs is here: a slip of the pen, and nothing for the network
        ("model", False),
        ("lab/model/more", False),
        ("../model", False),
        ("/lab/model", False),
        ("~/model", False),
        ("lab/mödel", False),
    ],
)
def test_only_a_name_that_can_be_no_path_goes_to_the_hub(name, on_the_hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    assert is_hub_name(name) is on_the_hub
    assert is_hub_name(Path(name)) is on_the_hub
