"""Inductive biases in words, by stage, and in the tables that papers print."""

from __future__ import annotations

import pytest

from mixspec.compiler.catalogue import load
from mixspec.compiler.grid import Grid
from mixspec.compiler.mixer import Traits
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.dw import DW
from mixspec.compiler.parse import parse
from mixspec.compiler.relations import CADA, LOCAL_VIT, RELATIONS, Relation
from mixspec.compiler.resolve import resolve
from mixspec.compiler.traits import HEADS, SPACE, by_stage, differences, every, words


def in_words(traits: Traits, c: int = 64) -> dict[str, str]:
    return dict(zip(HEADS, words(traits, c), strict=True))


def test_a_window_of_one_position_is_a_point() -> None:
    assert Traits("sliding", "separate", 0).space == "point"
    assert DW(kernel=1).traits(Grid(8, 8, 8)).space == "point"
    assert Traits("sliding", "separate", None).space == "sliding"
    assert Traits("dense", "separate", 0).space == "dense"


def test_words_name_every_property() -> None:
    said = in_words(Traits("sliding", "separate", 3, False, 16, "position", 1, kernel_rank=9))
    assert said == {
        "positions": "window",
        "reach": "3",
        "channels": "own",
        "over positions": "mixed of 9",
        "over channels": "heads of 16",
        "weights": "per position",
        "context": "1",
        "any size": "yes",
    }
    said = in_words(Traits("dense", "dense", None, channels_per_weight=64, any_size=False))
    assert [said[head] for head in ("positions", "reach", "channels", "over channels")] == [
        "all",
        "map",
        "all",
        "shared",
    ]
    assert [said[head] for head in ("over positions", "weights", "context", "any size")] == [
        "shared",
        "static",
        "-",
        "no",
    ]
    assert in_words(Traits("point", "groups", dynamic="image", context=None))["context"] == "map"


def test_every_kind_of_connection_has_words() -> None:
    assert len(set(SPACE.values())) == len(SPACE)
    for space in SPACE:
        assert in_words(Traits(space, "separate", 1))["positions"]  # type: ignore[arg-type]


def test_differences_are_fields() -> None:
    one, other = Traits("sliding", "separate", 3), Traits("sliding", "dense", 2, False)
    assert differences(one, one) == ()
    assert differences(one, other) == ("channels", "reach", "shared_over_positions")


def test_every_mixer_of_the_folder_is_listed() -> None:
    rows = every()
    assert [row.path.lower() for row in rows] == sorted(registry)
    assert {row.path: row.traits.space for row in rows}["Hyena"] == "causal"


def test_each_stage_has_its_mixer_and_grid() -> None:
    network = resolve(load("hpxaformer_s18"))
    rows = by_stage(network, network.at)
    assert [(row.path, row.mixer.notation, str(row.at)) for row in rows] == [
        ("stages.0", "Hpx", "56x56x64"),
        ("stages.1", "Hpx", "28x28x128"),
        ("stages.2", "attention", "14x14x320"),
        ("stages.3", "attention", "7x7x512"),
    ]
    assert rows[0].data()["traits"]["dynamic"] == "position"
    small = by_stage(network, network.grid(448))
    assert small[0].traits.space == "sliding" and rows[0].traits.space == "dense", "its kernel no longer spans the map"


def test_members_of_an_ensemble_have_their_own_stages() -> None:
    text = "{name: two, family: ensemble, members: [{family: metaformer, size: s4, mixers: DW}, "
    network = resolve(parse(text + "{family: metaformer, size: s4, mixers: pooling}]}"))
    rows = by_stage(network, network.at)
    assert [row.mixer.notation for row in rows] == ["DW"] * 4 + ["pooling"] * 4
    assert rows[4].path == "members.1.stages.0"


def test_a_network_that_is_no_tree_declares_nothing() -> None:
    network = resolve(load("timm_deit_s"))
    assert by_stage(network, network.at) == []


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.source[-27:])
def test_tables_have_every_cell(relation: Relation) -> None:
    for line, row in zip(relation.lines, relation.rows(), strict=True):
        assert len(line.printed) == len(relation.heads) == len(row) - 2


def test_local_vit_table_is_as_printed() -> None:
    """But for one cell: a 1x1 convolution shares its weights over positions, as section 2.5 says of any convolution."""
    stars = [
        (row[0], LOCAL_VIT.heads[place - 2]) for row in LOCAL_VIT.rows() for place in range(2, 8) if "*" in row[place]
    ]
    assert stars == [("1x1 Conv.", "position")]
    rows = {row[0]: "".join("x" if cell else "." for cell in row[2:]) for row in LOCAL_VIT.rows()}
    assert rows == {
        "Local attention": "x.x.xx",
        "Attention": "..x.xx",
        "DW-Conv.": "x.xx..",
        "D-DW-Conv.": "x.xx.x",
        "Conv.": "x..x..",
        "MLP": "......",
        "Channel Sep. MLP": "..x.x.",
        "1x1 Conv.": ".x.x..",
    }


def test_cada_table_is_as_printed() -> None:
    assert [(row[0], *row[2:]) for row in CADA.rows()] == [
        ("locally-connected", "No", "No"),
        ("convolution", "No", "Yes"),
        ("local self-attention", "Yes", "Somewhat"),
        ("CADA", "Yes", "Somewhat"),
        ("DA", "No", "Somewhat"),
    ]
