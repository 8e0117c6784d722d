"""VGG-16 and ResNet-20 for CIFAR-10: their forward spelt out, and Gabor kernels in their first layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import pad, relu

from mixspec.compiler import catalogue
from mixspec.compiler.cost import cost
from mixspec.compiler.errors import SpecError
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve


def network(name: str) -> Network:
    return resolve(catalogue.load(name))


def test_first_layer_of_vgg_has_192_kernels() -> None:
    """Six numbers for each, where a free kernel of 3x3 has nine."""
    net = network("vgg16_gabor")
    first = net.family.stages()[0].blocks.layers[0].conv
    assert cost(first, Grid(32, 32, 3)).params == 192 * 6
    assert lower(net, device="meta").stages[0].blocks[0].conv.theta.numel() == 192


def test_altered_resnet_has_17_layers() -> None:
    """Two for five: 20 layers with weights become 17."""
    model = lower(network("resnet20_altered"), device="meta")
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == 17


def randomised(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = lower(network(name), dtype=torch.float64)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    model(torch.randn(4, 3, 32, 32, dtype=torch.float64))  # move the running statistics
    return model.eval()


def test_resnet_forward() -> None:
    """Option A by hand: every second position, half of the new channels in front, half behind, all zeros."""
    model = randomised("resnet20_cifar10")
    x = image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    unit = model.stem[0]
    x = relu(unit.norm(unit.conv(x)))
    for width, stage in zip((16, 32, 64), model.stages, strict=True):
        for block in stage.blocks:
            short = x if x.shape[1] == width else pad(x[:, :, ::2, ::2], (0, 0, 0, 0, width // 4, width // 4))
            conv1, conv2 = (getattr(block, name) for name in ("conv1", "conv2"))
            y = block.norm2(getattr(conv2, "conv", conv2)(relu(block.norm1(getattr(conv1, "conv", conv1)(x)))))
            x = relu(y + short)
    torch.testing.assert_close(model(image), model.head.fc(x.mean((2, 3))))


def test_vgg_forward() -> None:
    """The same weights, in the order of the paper, in a plain sequence."""
    model = randomised("vgg16_cifar10")
    layers: list[nn.Module] = []
    for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convs):
            layers += [nn.LazyConv2d(width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    plain = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(10)).double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    plain(x)
    ours, theirs = model.state_dict(), plain.state_dict()
    plain.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))
    torch.testing.assert_close(model(x), plain.eval()(x))


@pytest.mark.parametrize("name", ["vgg16_gabor", "resnet20_gabor"])
def test_every_gabor_number_learns(name: str) -> None:
    torch.manual_seed(0)
    model = lower(network(name))
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    gabor = [p for path, p in model.named_parameters() if path.rpartition(".")[2] in ("theta", "omega", "psi", "gamma")]
    assert len(gabor) == 4 * (1 if name.startswith("vgg") else 2)
    assert all(p.grad is not None and p.grad.ne(0).float().mean() > 0.99 for p in gabor)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("family: vgg\nfirst: DW k=3", "DW cannot change the number of channels (Conv or Gabor)"),
        ("family: vgg\ndims: [8, 8]", "5 depths and 2 dims"),
        ("family: resnet_cifar\nfirst: [DW k=3]", "DW cannot change the number of channels"),
        ("family: resnet_cifar\nfirst: []", "first"),
        ("family: vgg\nimage: 16", "MX201"),
        ("family: vgg\nfirst: Gabor k=4", "4 is even"),
        ("family: vgg\nfirst: Gabor k=1", "k"),
    ],
)
def test_complaints(text: str, complaint: str) -> None:
    image = "" if "image" in text else "image: 32\n"
    with pytest.raises(SpecError) as caught:
        resolve(parse(f"name: x\n{image}{text}\n"))
    assert complaint in str(caught.value)
    assert not str(caught.value).startswith("<string>:1:1"), caught.value
