"""A network to read: its parts add up, equal neighbours share a line, figures have three digits."""

from __future__ import annotations

import pytest

from mixspec.compiler.catalogue import find, load, names
from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Cost, Grid
from mixspec.compiler.layer import walk
from mixspec.compiler.mixers.sepconv import SepConv
from mixspec.compiler.parts import Act, BatchNorm, Conv, Identity, Linear, Pool, Weight
from mixspec.compiler.resolve import Network, resolve
from mixspec.compiler.show import By, describe, outline, portions, si, tree


@pytest.fixture(scope="module")
def caformer() -> Network:
    return resolve(load("caformer_s18"))


@pytest.mark.parametrize("by", ["stage", "block", "layer"])
def test_portions_add_up(by: By, caformer: Network) -> None:
    lines = list(portions(caformer.family, caformer.at, by))
    assert sum((line.cost for line in lines), Cost()) == cost(caformer.family, caformer.at)
    assert len({line.path for line in lines}) == len(lines)


def test_one_line_for_each_block(caformer: Network) -> None:
    paths = [line.path for line in portions(caformer.family, caformer.at, "block")]
    assert sum(".blocks." in path for path in paths) == 3 + 3 + 9 + 3
    assert paths[0] == "stem" and paths[-1] == "head" and "stages.1.downsample" in paths


def test_outline(caformer: Network) -> None:
    lines = outline(caformer, caformer.at)
    assert [line.path for line in lines] == ["stem", "stages.0", "stages.1", "stages.2", "stages.3", "head"]
    assert [line.depth for line in lines] == [None, 3, 3, 9, 3, None]
    assert [line.what for line in lines[1:-1]] == ["SepConv", "SepConv", "attention", "attention"]
    assert [line.grid for line in lines[1:3]] == [Grid(56, 56, 64), Grid(28, 28, 128)]
    data = lines[3].data()
    assert (data["grid"], data["width"], data["depth"], data["mixer"]) == ([14, 14], 320, 9, "attention")
    assert data["params"] == lines[3].cost.params


@pytest.mark.parametrize("name", [name for name in names() if find(name).parent.name != "timm"])
def test_outline_of_every_shipped_spec(name: str) -> None:
    network = resolve(load(name))
    lines = outline(network, network.at)
    assert sum((line.cost for line in lines), Cost()) == cost(network.family, network.at)
    assert [line.depth for line in lines if line.depth is not None] == list(network.family.depths)


def test_tree_folds_equal_neighbours_and_loses_nothing(caformer: Network) -> None:
    lines = [line for _, line in tree(caformer.family, caformer.at)]
    (blocks,) = [line for line in lines if line.path == "stages.2.blocks.0-8"]
    every = {path: cost(layer, at) for path, layer, at in walk(caformer.family, caformer.at)}
    assert blocks.cost == sum((every[f"stages.2.blocks.{index}"] for index in range(9)), Cost())
    assert {line.path for line in lines if "-" not in line.path} <= set(every)
    top = [line for level, line in tree(caformer.family, caformer.at, 1)]
    assert [line.path for line in top] == ["stem", "stages", "head"]
    assert sum((line.cost for line in top), Cost()) == cost(caformer.family, caformer.at)


@pytest.mark.parametrize(
    "layer, words",
    [
        (Conv(3, 64, 7, 4, padding=2, bias=True), "Conv 3 64 7 stride=4 padding=2 bias"),
        (Conv(8, 8, (3, 5), groups=8), "Conv 8 8 3x5 groups=8"),
        (Linear(8, 16), "Linear 8 16"),
        (BatchNorm(8), "BatchNorm 8"),
        (Act("gelu", 8), "Act gelu 8"),
        (Pool("max", 3, 2), "Pool max 3 stride=2"),
        (Weight((8,), decay=False), "Weight 8 decay=False"),
        (Identity(), "Identity"),
        (SepConv(kernel=3), "SepConv k=3"),
    ],
)
def test_layers_in_words(layer: Conv, words: str) -> None:
    assert describe(layer) == words


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00k"),
        (9536, "9.54k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (26_341_656, "26.3M"),
        (4_106_941_440, "4.11G"),
        (10**18, "1000P"),
    ],
)
def test_three_digits(number: int, text: str) -> None:
    assert si(number) == text


def test_units() -> None:
    assert si(142_584_192, "B") == "143 MB" and si(12, "B") == "12 B"
