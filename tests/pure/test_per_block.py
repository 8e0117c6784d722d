"""Mixers of single blocks, in place of their stage's."""

import pytest

from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.layer import walk
from mixspec.compiler.mixer import Mixer
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.compiler.show import outline

TEXT = """\
name: x
family: {family}
depths: [2, 3]
{dims}
image: 64
mixers: CADAsp b=8 ca=3 agg=3 Ch=8
"""
DIMS = {"metaformer": "dims: [16, 32]", "swin": "dims: [16, 32]", "resnet": "width: 16"}


def network(family: str, blocks: str = "") -> Network:
    return resolve(parse(TEXT.format(family=family, dims=DIMS[family]) + (f"blocks: {blocks}" if blocks else "")))


def banks(net: Network) -> list[int]:
    return [layer.base_kernels for _, layer, _ in walk(net.family, net.at) if isinstance(layer, Mixer)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", DIMS)
def test_named_blocks_differ_and_nothing_else(family: str) -> None:
    said = "{stages.0.blocks.1: CADAsp b=3 ca=3 agg=3 Ch=8, stages.1.blocks.2: {type: CADAsp, b: 5, agg: 3, Ch: 8}}"
    net = network(family, said)
    assert banks(net) == [8, 3, 8, 8, 5]
    assert count(net).params < count(network(family)).params
    assert next(line.what for line in outline(net, net.at) if line.depth).endswith("| CADAsp b=3 agg=3 Ch=8")


@pytest.mark.parametrize("family", DIMS)
def test_no_exceptions_leave_the_canonical_form_as_it_was(family: str) -> None:
    assert "blocks" not in network(family).canonical()
    other = network(family, "{stages.0.blocks.1: CADAsp b=3 ca=3 agg=3 Ch=8}")
    assert other.canonical()["blocks"]["stages.0.blocks.1"]["base_kernels"] == 3
    assert other.digest != network(family).digest


def test_own_mixers_learn_their_place() -> None:
    net = network("metaformer", "{stages.1.blocks.0: Hpx}")
    assert net.canonical()["blocks"]["stages.1.blocks.0"]["kernel"] == 15  # the map of stage 2 has 8 x 8 positions


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{stages.2.blocks.0: Hpx}", "MX106 there is no block stages.2.blocks.0"),
        ("{stages.1.blocks.3: Hpx}", "stages.0.blocks.0-1, stages.1.blocks.0-2"),
        ("{1.2: Hpx}", "there is no block 1.2"),
        ("Hpx", "does not say which block"),
        ("{stages.0.blocks.0: Hpy}", "did you mean Hpx"),
        ("{stages.0.blocks.0: CADAsp b=0}", "7:38: MX102 b: must be greater than 0"),
        ("{stages.0.blocks.0: CADAsp Ch=5}", "7:39: MX203 stage 1: Ch=5 does not divide 16 channels"),
    ],
)
def test_wrong_exceptions_are_complaints_at_their_place(said: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        network("metaformer", said)
    assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_first_blocks_of_a_resnet_stride() -> None:
    with pytest.raises(SpecError, match=r"MX202 stages.1.blocks.0: attention cannot stride"):
        network("resnet", "{stages.1.blocks.0: attention Ch=8}")
    assert network("resnet", "{stages.1.blocks.1: attention Ch=8, stages.0.blocks.0: attention Ch=8}")
