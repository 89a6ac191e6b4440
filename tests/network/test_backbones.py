"""Public weights of ResNet-50, VGG-19 and MobileNet V1 give through our code the features that other code gives."""

import hashlib
import re

import pytest
import torch
from safetensors.torch import save_file

from gbvnet.errors import BadModel
from gbvnet.network.backbone_weights import load_backbone_weights
from gbvnet.network.backbones import KINDS, Backbone, width_of
from gbvnet.network.model import SIZES

transformers = pytest.importorskip("transformers")
vgg19 = pytest.importorskip("kornia.feature.dedode.vgg").vgg19

pytestmark = pytest.mark.usefixtures("repeatable_torch")

OPTION = "--options.backbone"
SIDE = 40  # pixels: 5 halvings leave one place, of odd sides on the way

# torchvision's names from those of transformers, by rules of their own and not by those of backbone_weights.py.
TORCHVISION = [
    (r"^resnet\.", ""),
    (r"^embedder\.embedder\.convolution", "conv1"),
    (r"^embedder\.embedder\.normalization", "bn1"),
    *((rf"^encoder\.stages\.{i}\.layers\.", f"layer{i + 1}.") for i in range(4)),
    *((rf"\.layer\.{k}\.convolution", f".conv{k + 1}") for k in range(3)),
    *((rf"\.layer\.{k}\.normalization", f".bn{k + 1}") for k in range(3)),
    (r"shortcut\.convolution", "downsample.0"),
    (r"shortcut\.normalization", "downsample.1"),
    (r"^classifier\.1", "fc"),
]


def randomised(network):
    """Statistics of batch norms as of a trained network; at their start they would say nothing."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                tensor.normal_(0, 0.05)
    return network.eval()


def saved(state, path):
    save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, path)
    return path


def compare(kind, oracle_features, state, layout, path, side=SIDE):
    own = Backbone(kind, "micro", None)
    source = load_backbone_weights(own, saved(state, path), OPTION)
    assert (source.file, source.layout) == (path.name, layout)
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    pictures = torch.rand(2, 3, side, side)
    mean, sd = ((0.5,) * 3,) * 2 if kind == "mobilenet" else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    normalised = (pictures - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(sd).view(3, 1, 1)
    with torch.inference_mode():
        expected, actual = oracle_features(normalised).flatten(1), own(pictures)
    assert expected.shape == (2, width_of(kind, "micro"))
    assert expected.std() > 1e-3
    torch.testing.assert_close(actual / expected.std(), expected / expected.std(), atol=1e-5, rtol=1e-5)


@pytest.mark.journey
@pytest.mark.parametrize("layout", ["transformers", "torchvision"])
def test_resnet_gives_the_features_that_transformers_gives(layout, tmp_path):
    oracle = randomised(transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=7)))
    state = oracle.state_dict()
    assert sum(p.numel() for p in oracle.resnet.parameters()) == 25_557_032 - 1000 * 2049  # as published
    if layout == "torchvision":
        for pattern, by in TORCHVISION:
            state = {re.sub(pattern, by, name): tensor for name, tensor in state.items()}
        assert {"layer3.5.conv2.weight", "layer2.0.downsample.1.running_var", "bn1.bias", "fc.weight"} <= set(state)
    compare("resnet50", lambda x: oracle.resnet(x).pooler_output, state, layout, tmp_path / "w.safetensors")


@pytest.mark.journey
def test_vgg_gives_the_features_that_another_implementation_gives(tmp_path):
    oracle = vgg19().features
    state = {f"features.{name}": tensor for name, tensor in oracle.state_dict().items()}
    state |= {"pre_logits.fc1.bias": torch.zeros(3), "head.fc.bias": torch.zeros(3), "classifier.0.bias": torch.ones(2)}
    assert {"features.0.weight", "features.34.bias"} <= set(state)
    assert sum(p.numel() for p in oracle.parameters()) == 143_667_240 - 123_642_856  # as published, without its layers
    compare("vgg19", lambda x: oracle.eval()(x).mean((2, 3)), state, "torchvision", tmp_path / "w.safetensors", 64)


@pytest.mark.journey
@pytest.mark.parametrize("side", [64, 75])  # even and odd sides are padded differently
def test_mobilenet_gives_the_features_that_transformers_gives(side, tmp_path):
    oracle = randomised(transformers.MobileNetV1ForImageClassification(transformers.MobileNetV1Config(num_labels=7)))
    compare(
        "mobilenet",
        lambda x: oracle.mobilenet_v1(x).pooler_output,
        oracle.state_dict(),
        "transformers",
        tmp_path / "w.safetensors",
        side,
    )


@pytest.mark.journey
def test_convnext_v2_of_the_variant_is_read_too(tmp_path):
    depths, widths = SIZES["micro"]
    config = transformers.ConvNextV2Config(depths=depths, hidden_sizes=widths, num_labels=7, layer_norm_eps=1e-6)
    oracle = randomised(transformers.ConvNextV2ForImageClassification(config))
    file = tmp_path / "w.safetensors"
    compare("convnextv2", lambda x: oracle.convnextv2(x).pooler_output, oracle.state_dict(), "transformers", file, 64)
    with pytest.raises(
        BadModel, match=r"weights of ResNet-50, .* those of ConvNeXt V2\. Give --options\.backbone convn"
    ):
        load_backbone_weights(Backbone("resnet50", "micro", None), file, OPTION)
    with pytest.raises(BadModel, match=r"expected weights of variant atto, found those of micro"):
        load_backbone_weights(Backbone("convnextv2", "atto", None), file, OPTION)


def mobilenet(change):
    state = Backbone("mobilenet", "micro", None).space.state_dict()
    change(state)
    return state


@pytest.mark.journey
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer.3.convolution.weight"), "no layer.3.convolution.weight"),
        (lambda s: s.update(extra=torch.ones(1)), "an unknown extra"),
        (
            lambda s: s.update({"layer.1.convolution.weight": torch.ones(48, 32, 1, 1)}),
            r"layer.1.convolution.weight \(48, 32, 1, 1\) instead of \(64, 32, 1, 1\)",
        ),
        (
            lambda s: s.update({"layer.1.normalization.bias": torch.full((64,), torch.nan)}),
            "expected finite weights, found NaN or infinity in layer.1.normalization.bias",
        ),
        (
            lambda s: s.update({"conv_stem.weight": s.pop("conv_stem.convolution.weight")}),  # as timm calls it
            "expected weights of MobileNet V1 in the layout of transformers, found tensors such as conv_stem",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_their_file(change, message, tmp_path):
    file = saved(mobilenet(change), tmp_path / "other.safetensors")
    with pytest.raises(BadModel, match=message) as error:
        load_backbone_weights(Backbone("mobilenet", "micro", None), file, OPTION)
    assert str(file) in str(error.value)


@pytest.mark.journey
def test_a_file_of_another_network_or_kind_is_refused_with_what_would_fit(tmp_path):
    file = saved(mobilenet(lambda s: None), tmp_path / "m.safetensors")
    with pytest.raises(
        BadModel, match=r"weights of VGG-19, .* those of MobileNet V1\. Give --options\.backbone mobilenet"
    ):
        load_backbone_weights(Backbone("vgg19", "micro", None), file, OPTION)
    with pytest.raises(BadModel, match=r"a file of VGG-19 weights, .safetensors, .pt, .pth, .bin, found .h5"):
        load_backbone_weights(Backbone("vgg19", "micro", None), tmp_path / "vgg.h5", OPTION)
    with pytest.raises(BadModel, match=r"a file of VGG-19 weights, found No such file"):
        load_backbone_weights(Backbone("vgg19", "micro", None), tmp_path / "no.safetensors", OPTION)


@pytest.mark.journey
def test_counters_of_batch_norms_may_be_absent_and_weights_may_be_of_half_precision(tmp_path):
    state = mobilenet(lambda s: [s.pop(name) for name in list(s) if name.endswith("num_batches_tracked")])
    file = saved({name: tensor.half() for name, tensor in state.items()}, tmp_path / "half.safetensors")
    own = Backbone("mobilenet", "micro", None)
    load_backbone_weights(own, file, OPTION)
    assert own.space.layer[3].convolution.weight.dtype == torch.float32
    assert torch.equal(own.space.layer[3].convolution.weight, state["layer.3.convolution.weight"].half().float())


def test_a_backbone_resizes_normalises_and_never_trains():
    own = Backbone("convnextv2", "micro", 64)
    assert not own.train().training and not any(p.requires_grad for p in own.parameters())
    grey = torch.full((1, 3, 32, 32), 0.4)  # resized it is the same grey
    assert torch.allclose(own(grey), own(torch.full((1, 3, 64, 64), 0.4)), atol=1e-6)
    assert set(KINDS) == {"convnextv2", "resnet50", "vgg19", "mobilenet"}
