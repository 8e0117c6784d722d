"""Ensembles: the mean of the members' logits, counted as the sum of the members."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from timm.models import group_parameters

from mixspec.compiler.cost import count
from mixspec.compiler.counters import counted
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.weights import load, save

SMALL = "family: metaformer, depths: [1, 1, 1, 1], dims: [8, 16, 24, 32]"
PAIR = f"members:\n  - {{{SMALL}, mixers: Hpx}}\n  - {{{SMALL}, mixers: attention Ch=8}}\n"


def network(text: str) -> Network:
    return resolve(parse(f"name: e\nfamily: ensemble\nimage: 32\nclasses: 5\n{text}", "e.yaml"))


def alone(mixers: str, classes: int = 5) -> Network:
    return resolve(parse(f"{{name: m, {SMALL}, mixers: {mixers}, image: 32, classes: {classes}}}"))


def test_says_the_mean_of_its_members() -> None:
    model, x = lower(network(PAIR)).eval(), torch.randn(2, 3, 32, 32)
    members = [lower(alone(mixers)).eval() for mixers in ("Hpx", "attention Ch=8")]
    for member, voter in zip(members, model.members.children(), strict=True):
        member.load_state_dict(voter.state_dict())
    torch.testing.assert_close(model(x), (members[0](x) + members[1](x)) / 2)
    torch.testing.assert_close(pickle.loads(pickle.dumps(copy.deepcopy(model)))(x), model(x))


def test_counts_the_sum_of_its_members() -> None:
    pair, members = network(PAIR), [alone("Hpx"), alone("attention Ch=8")]
    assert count(pair) == count(members[0]) + count(members[1])
    assert counted(pair, "fvcore") == sum(counted(member, "fvcore") for member in members)
    assert count(pair).params == sum(weight.numel() for weight in lower(pair, device="meta").parameters())


def test_keeps_what_training_asks_of_a_model() -> None:
    model, x = lower(network(PAIR)), torch.randn(2, 3, 32, 32)
    assert (model.num_classes, model.in_chans, len(model.get_classifier())) == (5, 3, 2)
    groups = group_parameters(model, model.group_matcher())
    assert {name for names in groups.values() for name in names} == {name for name, _ in model.named_parameters()}
    assert "members.0.stages.2.blocks.0.scale1" in model.no_weight_decay()
    model.set_grad_checkpointing()
    model(x).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)
    model.reset_classifier(3)
    assert model.eval()(x).shape == (2, 3) and model.num_classes == 3
    model.reset_classifier(0)
    assert model(x).shape == (2, model.head_hidden_size)


def test_features_are_the_members_side_by_side() -> None:
    model, x = lower(network(PAIR)).eval(), torch.randn(2, 3, 32, 32)
    first, second = model.members.children()
    last, maps = model.forward_intermediates(x)
    assert [each.shape[1] for each in maps] == [info["num_chs"] for info in model.feature_info]
    assert torch.equal(maps[1], torch.cat([m.forward_intermediates(x)[1][1] for m in (first, second)], dim=1))
    assert torch.equal(last, model.forward_features(x))
    assert torch.equal(model.forward_head(last), model(x))
    assert model.prune_intermediate_layers([0, 1]) == [0, 1]
    assert model(x).shape == (2, model.num_features)


def test_members_of_different_strides_have_no_features_together() -> None:
    model = lower(network(PAIR.replace("dims: [8, 16, 24, 32]", "dims: [8, 16, 24, 32], stem: half", 1))).eval()
    assert model.feature_info == []
    with pytest.raises(ValueError, match="different strides"):
        model.forward_features(torch.randn(1, 3, 32, 32))


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    model, x = lower(network(PAIR + "in_chans: 1\n")).eval(), torch.randn(2, 1, 32, 32)
    save(model, tmp_path / "pair.safetensors")
    assert torch.equal(load(tmp_path / "pair.safetensors")(x), model(x))


def test_members_start_as_they_do_alone() -> None:
    model = lower(network(PAIR))
    assert model.members.get_submodule("0").stem.conv.weight.abs().max() <= 2.0  # cut, at std 0.02
    assert model.members.get_submodule("1").stages[0].blocks[0].mlp.fc1.weight.std() < 0.03


def test_canonical_form_means_the_same_network() -> None:
    pair = network(PAIR)
    form = {key: value for key, value in pair.canonical().items() if key not in ("family", "image")}
    assert type(pair.family).model_validate(form).canonical() == pair.family.canonical()
    assert network(PAIR.replace("Hpx", "Hpx K=15")).digest != pair.digest


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"members:\n  - {{{SMALL}, mixers: Hpx}}\n", "e.yaml:6:3: MX102 1 member cannot vote"),
        (PAIR.replace("Ch=8", "Ch=3"), "e.yaml:7:92: MX203 stage 1: Ch=3 does not divide 8 channels"),
        (PAIR.replace("Hpx", "Hpx Q=1"), "e.yaml:6:83: MX101 unknown key 'Q'"),
        (PAIR.replace("family: metaformer", "family: metaformr", 1), "MX104 unknown family 'metaformr'"),
        (PAIR.replace("family: metaformer, ", "", 1), "MX103 family is missing"),
        (PAIR.replace("mixers: Hpx", "mixers: Hpx, classes: 7"), "MX204 classes is 7 for a member and 5"),
        (PAIR + "drop_path: 0.1\n", "MX101 drop_path is no key of an ensemble"),
        (PAIR + "patch: 4\n", "MX101 unknown key 'patch'"),
        ("members:\n  - Hpx\n  - Hb\n", "MX102 a member is a mapping"),
    ],
)
def test_refuses(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as error:
        network(text)
    assert complaint in str(error.value)


def test_votes_on_classes() -> None:
    with pytest.raises(SpecError, match=r"e\.yaml:4:10: MX102 an ensemble votes on classes"):
        resolve(parse(f"name: e\nfamily: ensemble\nimage: 32\nclasses: 0\n{PAIR}", "e.yaml"))
