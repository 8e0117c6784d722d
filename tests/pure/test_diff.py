"""What changed between two networks."""

from __future__ import annotations

from mixspec.compiler.cost import count
from mixspec.compiler.diff import Change, data, diff, markdown, text
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve

CONV = "name: conv\nfamily: metaformer\nsize: s18\nmixers: SepConv\n"
MIXED = CONV.replace("conv", "mixed", 1).replace("SepConv", "SepConv in stages 1-2, attention in stages 3-4")


def network(spec: str) -> Network:
    return resolve(parse(spec))


def between(old: str | None, new: str | None) -> Change:
    return diff(network(old) if old else None, network(new) if new else None)


def test_stages_are_aligned_and_costs_add_up() -> None:
    change = between(CONV, MIXED)
    assert [row.title for row in change.rows] == ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
    assert [row.title for row in change.rows if row.changed] == ["stage 3", "stage 4"]
    assert (change.before, change.after) == (count(network(CONV)), count(network(MIXED)))
    assert change.after.params - change.before.params == 26_341_656 - 26_774_448
    assert change.settings == (("mixers.2.type", "SepConv", "attention"), ("mixers.3.type", "SepConv", "attention"))


def test_text() -> None:
    shown = text(between(CONV, MIXED))
    assert shown.startswith("conv -> mixed\n  mixers.2.type: SepConv -> attention\n")
    assert "26,341,656 (-432,792; -1.6%)" in shown and "9 x SepConv -> 9 x attention" in shown
    assert "stage 1" not in shown


def test_a_setting_of_one_operator() -> None:
    change = between(MIXED, MIXED.replace("attention", "attention Ch=16"))
    assert ("mixers.2.head_channels", 32, 16) in change.settings


def test_shapes() -> None:
    change = between(CONV, CONV + "image: 256\n")
    assert {row.shape for row in change.rows} >= {"56x56x64 -> 64x64x64", "7x7x512 -> 8x8x512"}
    assert change.before.params == change.after.params


def test_another_name_is_the_same_network() -> None:
    change = between(CONV, CONV.replace("conv", "other", 1).replace("SepConv", "sepconv k=7"))
    assert change.same and text(change) == "conv -> other: the same network\n"
    assert "The same network." in markdown(change)


def test_added_and_removed() -> None:
    added, removed = between(None, CONV), between(CONV, None)
    assert text(added).startswith("conv: added\n") and text(removed).startswith("conv: removed\n")
    assert "26,774,448 (+26,774,448; new)" in text(added) and "0 (-26,774,448; -100.0%)" in text(removed)
    assert "none -> 56x56x64" in text(added)


def test_stages_more_or_fewer() -> None:
    tiny = "name: tiny\nfamily: metaformer\nmixers: SepConv\n"
    three = tiny + "depths: [1, 1, 1]\ndims: [8, 16, 24]\nres_scale: [true, true, true]\n"
    four = tiny + "depths: [1, 1, 1, 1]\ndims: [8, 16, 24, 32]\n"
    rows = {row.title: row for row in between(three, four).rows}
    assert rows["stage 4"].old is None and rows["stage 4"].what == "none -> 1 x SepConv"


def test_markdown_is_a_table() -> None:
    lines = markdown(between(CONV, MIXED)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1 and "**total**" in rows[-1]


def test_json_for_programs() -> None:
    shown = data(between(CONV, MIXED))
    assert shown["total"]["delta"]["macs"] == 4_106_941_440 - 3_940_984_320
    assert sum(part["delta"]["params"] for part in shown["parts"]) == shown["total"]["delta"]["params"]
