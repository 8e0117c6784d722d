"""From spec to tree: defaults filled, grids known, and a digest that says whether two specs mean the same."""

from __future__ import annotations

import pytest

from mixspec.compiler.cost import cost, count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.grid import Cost, Grid
from mixspec.compiler.layer import walk
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, digest_of, placed, resolve, sides

TEXT = "name: x\nfamily: metaformer\nsize: s18\nmixers: SepConv in stages 1-2, attention in stages 3-4\n"

CAFORMER = Cost(params=26341656, params_trainable=26341656, macs=4106941440)
"""CAFormer-S18 at 224 pixels: 26M parameters, 4.1G. HyenaPixel, arXiv:2402.19305v1, Table 1."""


def network(more: str = "", text: str = TEXT) -> Network:
    return resolve(parse(text + more, "f.yaml"))


def test_cost_of_a_published_network() -> None:
    total = count(network())
    assert (total.params, total.params_trainable, total.macs) == (26341656, 26341656, 4106941440)
    assert total.fft_flops == 0 < total.activation_bytes


def test_a_named_size_is_its_depths_and_dims() -> None:
    spelt = TEXT.replace("size: s18", "depths: [3, 3, 9, 3]\ndims: [64, 128, 320, 512]")
    assert network(text=spelt).digest == network().digest


@pytest.mark.parametrize("more", ["classes: 10", "image: 384", "image: [224, 256]", "norm: BatchNorm", "in_chans: 1"])
def test_what_changes_weights_or_outputs_changes_the_digest(more: str) -> None:
    assert network(more).digest != network().digest


@pytest.mark.parametrize(
    "more",
    [
        "description: words",
        "drop_path: 0.3",
        "head_dropout: 0.5",
        "recipe: some",
        "image: 224",
        "image: [224, 224]",
        "in_chans: 3",
        "published: [{source: a paper, params: 26M}]",
        "mlp: MLP act=star_relu bias=false",
        "mlp: {type: mlp, bias: false, activation: star_relu, ratio: 4}",
    ],
)
def test_what_changes_neither_leaves_the_digest(more: str) -> None:
    assert network(more).digest == network().digest


def test_the_name_is_no_part_of_the_digest() -> None:
    assert network(text=TEXT.replace("name: x", "name: y")).digest == network().digest


def test_digest_is_sha256_of_plain_json() -> None:
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert network().digest == digest_of(network().canonical())


def test_canonical_form_leaves_nothing_to_default() -> None:
    canonical = network().canonical()
    assert canonical["depths"] == (3, 3, 9, 3) and "size" not in canonical
    assert canonical["mixers"][0] == {"type": "SepConv", "kernel": 7, "ratio": 2}
    assert canonical["image"] == [224, 224]


def test_every_grid_is_known_and_consistent() -> None:
    resolved = network()
    for path, layer, at in walk(resolved.family, resolved.at):
        out = layer.out(at)
        assert min(at.h, at.w, at.c, out.h, out.w, out.c) > 0, path
    assert resolved.family.out(resolved.at) == Grid(1, 1, 1000)


def test_mixers_stand_on_the_grids_of_their_stages() -> None:
    resolved = network("image: [224, 160]\n")
    assert resolved.family.mixer_grids(resolved.at) == (
        Grid(56, 40, 64),
        Grid(28, 20, 128),
        Grid(14, 10, 320),
        Grid(7, 5, 512),
    )


def test_another_image_size() -> None:
    resolved = network()
    assert placed(resolved) == Grid(224, 224, 3)
    assert placed(resolved, 384) == Grid(384, 384, 3)
    assert placed(resolved, (96, 64)) == Grid(96, 64, 3)
    assert cost(resolved.family, placed(resolved, (96, 64))).params == CAFORMER.params


def test_an_image_that_does_not_fit_is_a_complaint_with_a_place() -> None:
    text = "name: x\nfamily: metaformer\nsize: s4\nimage: 64\nmixers: TokenLinear\n"
    resolved = network(text=text)
    with pytest.raises(SpecError) as caught:
        placed(resolved, 9)
    assert all(problem.span and problem.source == "f.yaml" for problem in caught.value.problems)


def test_without_a_document_a_complaint_names_its_path() -> None:
    spec = parse("name: x\nfamily: metaformer\nsize: s18\nmixers: attention Ch=24\n")
    with pytest.raises(SpecError, match=r"^mixers\.0\.head_channels: MX203 stage 1: Ch=24 does not divide 64 channels"):
        placed(Network(spec.about, spec.family))


def test_sides() -> None:
    assert sides(224) == (224, 224) and sides((96, 64)) == (96, 64)


RECORDED = {
    TEXT: "569ca58c7242efc4d8b8647fc6efd3124b06c8fed585ad55c352396d85acd980",
    "name: x\nfamily: resnet\nvariant: d\nmixers: CADAsp b=128 ca=3 agg=9 Ch=16\n": (
        "0f0e87eef72692fcb8cf56da94ee3e94dd699e8a2c3ecd3e21a3692200fbff70"
    ),
}
"""A new field of a family or an operator changes them; a weights file is checked against the text in its own header."""


@pytest.mark.parametrize("text", RECORDED, ids=["metaformer", "resnet"])
def test_digests_stay_as_published(text: str) -> None:
    assert network(text=text).digest == RECORDED[text]
