"""Public ConvNeXt V2 weights in each layout give through our encoder the features that transformers gives with them."""

import hashlib
import json
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from gbvnet.config import CrossvalConfig, GBVNetConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadModel, BadRun
from gbvnet.experiments.crossval import cross_validate
from gbvnet.network.checkpoint.describe import describe_model
from gbvnet.network.checkpoint.folder import read_config
from gbvnet.network.model import SIZES, GBVNet
from gbvnet.network.pretrained import load_face_weights
from gbvnet.systems import system

from ..synthetic_store import write_store

transformers = pytest.importorskip("transformers")

VARIANT = "atto"


def face_network(variant=VARIANT, **settings):
    return GBVNet(GBVNetConfig(**{"variant": variant, "modality": "face", "n_frames": 2, **settings})).eval()


def theirs(variant=VARIANT):
    """transformers' network with random weights everywhere; at its start GRN is zero and would say nothing."""
    depths, widths = SIZES[variant]
    torch.manual_seed(0)
    # 1e-6 is the authors' epsilon; transformers' own config has another for the last norm
    config = transformers.ConvNextV2Config(depths=depths, hidden_sizes=widths, num_labels=7, layer_norm_eps=1e-6)
    made = transformers.ConvNextV2ForImageClassification(config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.add_(0.05 * torch.randn_like(parameter) if "grn" not in name else torch.randn_like(parameter))
    return made


# The published names, by rules of their own and not by those of pretrained.py.
AUTHORS = [
    (r"^convnextv2\.", ""),
    (r"^embeddings\.patch_embeddings", "downsample_layers.0.0"),
    (r"^embeddings\.layernorm", "downsample_layers.0.1"),
    (r"^encoder\.stages\.(\d)\.downsampling_layer", r"downsample_layers.\1"),
    (r"^encoder\.stages\.(\d)\.layers", r"stages.\1"),
    (r"grn\.weight", "grn.gamma"),
    (r"grn\.bias", "grn.beta"),
    (r"layernorm", "norm"),
    (r"^classifier", "head"),
]
TIMM = [
    (r"^downsample_layers\.0", "stem"),
    (r"^downsample_layers\.(\d)", r"stages.\1.downsample"),
    (r"^stages\.(\d)\.(\d)", r"stages.\1.blocks.\2"),
    (r"dwconv", "conv_dw"),
    (r"pwconv", "mlp.fc"),
    (r"grn\.gamma", "mlp.grn.weight"),
    (r"grn\.beta", "mlp.grn.bias"),
    (r"^head", "head.fc"),
    (r"^norm", "head.norm"),
]


def renamed(state, rules):
    for pattern, by in rules:
        state = {re.sub(pattern, by, name): tensor for name, tensor in state.items()}
    return state


def in_layout(layout, state):
    state = {name: tensor.clone() for name, tensor in state.items()}
    if layout == "transformers":
        return state
    state = renamed(state, AUTHORS)
    if layout == "timm":
        state = renamed(state, TIMM)
        return {name: tensor.flatten() if ".grn." in name else tensor for name, tensor in state.items()}
    return state


EXAMPLES = {
    "transformers": "convnextv2.encoder.stages.2.layers.5.grn.weight",
    "its authors": "stages.2.5.grn.gamma",
    "timm": "stages.2.blocks.5.mlp.grn.weight",
}


@pytest.mark.journey
@pytest.mark.parametrize("layout", EXAMPLES)
def test_each_layout_gives_the_features_that_transformers_gives(layout, tmp_path):
    oracle, own = theirs(), face_network()
    state = in_layout(layout, oracle.state_dict())
    assert EXAMPLES[layout] in state
    save_file(state, tmp_path / "weights.safetensors")
    before = own.face.out.weight.clone()
    source = load_face_weights(own, tmp_path / "weights.safetensors")
    assert (source.file, source.layout) == ("weights.safetensors", layout)
    assert source.sha256 == hashlib.sha256((tmp_path / "weights.safetensors").read_bytes()).hexdigest()
    frames = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        expected = oracle.convnextv2(frames).pooler_output
        actual = own.face.space(frames)
    assert expected.std() > 0.1
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(own.face.out.weight, before)  # a layer that the file does not have keeps its initial weights


@pytest.mark.journey
@pytest.mark.parametrize("wrapped", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}])
def test_a_pt_file_of_tensors_alone_is_read(wrapped, tmp_path):
    state = in_layout("its authors", theirs("micro").state_dict())
    torch.save(wrapped(state), tmp_path / "weights.pt")
    own = face_network("micro")
    assert load_face_weights(own, tmp_path / "weights.pt").layout == "its authors"
    assert torch.equal(own.face.space.stem.weight, state["downsample_layers.0.0.weight"])


class Evil:
    def __reduce__(self):
        return (open, ("evil-was-here", "w"))


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {}, "args": Evil()}, tmp_path / "weights.pth")
    with pytest.raises(BadModel, match=r"a file that torch's reader of tensors refuses.*gbvnet opens no other pickles"):
        load_face_weights(face_network("micro"), tmp_path / "weights.pth")
    assert [f.name for f in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.journey
def test_weights_of_fcmae_alone_leave_the_last_norm_as_it_was(tmp_path, caplog):
    state = in_layout("its authors", theirs("micro").state_dict())
    fcmae = {name: tensor for name, tensor in state.items() if not name.startswith(("norm.", "head."))}
    fcmae |= {"mask_token": torch.zeros(1, 512, 1, 1), "decoder.0.dwconv.weight": torch.zeros(2)}
    save_file(fcmae, tmp_path / "fcmae.safetensors")
    own = face_network("micro")
    with caplog.at_level("INFO", "gbvnet"):
        load_face_weights(own, tmp_path / "fcmae.safetensors")
    assert "fcmae.safetensors has no norm.bias and norm.weight: initialised as without a file" in caplog.text
    assert own.face.space.norm.weight.unique().tolist() == [1.0]
    assert torch.equal(own.face.space.stem.bias, state["downsample_layers.0.0.bias"])


def drop(name):
    return lambda state: {n: t for n, t in state.items() if n != name}


@pytest.mark.journey
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop("stages.1.0.pwconv1.bias"), r"weights of ConvNeXt V2 micro, found no stages\.1\.0\.pwconv1\.bias\."),
        (lambda s: s | {"stages.9.0.gamma": torch.zeros(1)}, r"found an unknown stages\.9\.0\.gamma"),
        (
            lambda s: s | {"stages.1.0.dwconv.weight": torch.zeros(32, 1, 5, 5)},
            r"\(32, 1, 5, 5\) instead of \(32, 1, 7",
        ),
        (lambda s: s | {"norm.bias": torch.full((128,), torch.nan)}, r"NaN or infinity in norm\.bias"),
        (lambda s: {"stages.0.0.dwconv.kernel": torch.zeros(49, 16)}, r"the sparse network of FCMAE's own training"),
        (
            lambda s: {"layer1.0.conv1.weight": torch.zeros(1)},
            r"its authors, timm, transformers, found tensors such as l",
        ),
    ],
)
def test_what_is_missing_unknown_or_misshapen_is_reported(spoil, message, tmp_path):
    save_file(spoil(in_layout("its authors", theirs("micro").state_dict())), tmp_path / "weights.safetensors")
    own = face_network("micro")
    before = own.face.space.stem.weight.clone()
    with pytest.raises(BadModel, match=message):
        load_face_weights(own, tmp_path / "weights.safetensors")
    assert torch.equal(own.face.space.stem.weight, before)


@pytest.mark.journey
@pytest.mark.parametrize("layout", EXAMPLES)
def test_weights_of_another_size_name_the_variant_that_they_fit(layout, tmp_path):
    save_file(in_layout(layout, theirs("small").state_dict()), tmp_path / "weights.safetensors")
    with pytest.raises(BadModel, match=r"weights of variant micro, found those of small\. Give --model\.variant small"):
        load_face_weights(face_network("micro"), tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.safetensors", None, "No such file or directory"),
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{", "expected a safetensors file"),
        ("cut.pt", b"PK\x03\x04 no more", "a file of tensors only"),
        ("weights.onnx", b"", r"\.safetensors, \.pt, \.pth, \.bin, found \.onnx"),
    ],
)
def test_a_file_of_another_kind_is_refused(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadModel, match=message):
        load_face_weights(face_network("micro"), tmp_path / name)


# --------------------------------------------------------------------------------------------- in a training and a run

SMALL = CrossvalConfig(
    target="valence",
    modality="face",
    folds=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=1, batch_size=16, device="cpu", augment=False),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("pretrained") / "store")


@pytest.fixture
def weights(tmp_path):
    save_file(in_layout("timm", theirs("micro").state_dict()), tmp_path / "public.safetensors")
    return tmp_path / "public.safetensors"


def with_weights(config, path):
    return replace(config, train=replace(config.train, face_weights=str(path)))


@pytest.mark.journey
def test_gbvnet_starts_from_the_file_and_all_else_from_the_seed(store, weights):
    plain = system("gbvnet")(SMALL).untrained(store, 1, seed=4).state_dict()
    made = system("gbvnet")(with_weights(SMALL, weights)).untrained(store, 1, seed=4).state_dict()
    other = {name for name in plain if not torch.equal(plain[name], made[name])}
    assert "face.space.stages.3.0.grn.gamma" in other
    assert all(name.startswith("face.space.") for name in other)
    none = system("gbvnet")(with_weights(replace(SMALL, modality="bio"), weights)).untrained(store, 1, seed=4)
    assert not none.sees_face  # a network without a face has no use for the file


@pytest.mark.journey
def test_a_run_tells_the_files_hash_and_goes_on_with_no_other(store, weights, tmp_path):
    run, config = tmp_path / "run", with_weights(SMALL, weights)
    cross_validate(store, run, config)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert json.loads((run / "environment.json").read_text())["face_weights"] == digest
    model = next(run.glob("fold*/**/model.safetensors")).parent
    began = read_config(model)[1]["about"]["face_weights"]
    assert began == f"public.safetensors (layout of timm, sha256 {digest})"
    assert began in (model / "README.md").read_text()
    assert began in describe_model(model)
    (run / "predictions.parquet").unlink()
    cross_validate(store, run, config)  # the same file: goes on
    save_file(in_layout("its authors", theirs("micro").state_dict()), weights)
    with pytest.raises(BadRun, match=f"begun with {digest}"):
        cross_validate(store, run, config)
    with pytest.raises(BadRun, match=r"train\.face_weights = None"):
        cross_validate(store, run, SMALL)
