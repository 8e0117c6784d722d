from pathlib import Path

import pytest

from mixspec.compiler import document
from mixspec.compiler.errors import SpecError
from mixspec.compiler.recipe import OPTIMISERS, Recipe, names, plain, read, typed

GOOD = "name: a\nepochs: 10\nbatch_size: 8\nlr: 1e-3\n"


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_is_named_like_its_file(name: str) -> None:
    assert read(name).name == name


@pytest.mark.parametrize("name", names())
def test_what_is_told_reads_back(name: str) -> None:
    recipe = read(name)
    assert Recipe.model_validate(plain(recipe.told())) == recipe


def test_every_optimiser_is_timms_and_only_those_of_special_needs_are_left_out() -> None:
    from timm.optim import list_optimizers

    assert set(OPTIMISERS) <= set(list_optimizers())
    assert all(name.startswith(("bnb", "fused", "adahessian")) for name in set(list_optimizers()) - set(OPTIMISERS))


def test_rate_follows_the_batch_size() -> None:
    linear = typed(document.load("name: a\nepochs: 1\nbatch_size: 1024\nlr_base: 5e-4\nlr_base_size: 512\n"))
    assert linear.peak == pytest.approx(1e-3)
    root = typed(document.load("name: a\nepochs: 1\nbatch_size: 1024\nlr_base: 5e-4\nlr_base_scale: sqrt\n"))
    assert root.peak == pytest.approx(1e-3)


def test_lasting_scales_every_length() -> None:
    text = "name: a\nepochs: 100\ncooldown_epochs: 10\nbatch_size: 8\nlr: 1\nsched: multistep\n"
    short = typed(document.load(text + "decay_milestones: [50, 90]\n")).lasting(10)
    assert (short.passes, short.decay_milestones) == (11, (5, 9))
    steps = typed(document.load(GOOD + "sched: step\ndecay_epochs: 4\n")).lasting(5)
    assert steps.decay_epochs == 2
    share = typed(document.load(GOOD + "sched: wsd\ndecay_epochs: 0.3\n")).lasting(5)
    assert share.decay_epochs == 0.3


def test_lasting_keeps_the_share_of_warm_up() -> None:
    recipe = typed(document.load(GOOD + "warmup_epochs: 2\n"))
    assert (recipe.lasting(5).epochs, recipe.lasting(5).warmup_epochs) == (5, 1)
    assert recipe.lasting(1).warmup_epochs == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ltr: 3", "r.yaml:5:1: MX101 unknown key 'ltr' (did you mean lr?)"),
        ("opt: adamx", "r.yaml:5:6: MX104 opt cannot be 'adamx' (did you mean adam"),
        ("drop_path: 1", "r.yaml:5:12: MX102 drop_path: must be less than 1, not 1"),
        ("weight_decay: '0.1'", "r.yaml:5:15: MX109 weight_decay must be a number, not '0.1'"),
        ("aa: auto", "r.yaml:5:5: MX102 aa 'auto' does not match"),
        ("lr_base: 1e-3", "r.yaml:5:10: MX102 lr_base beside lr"),
        ("grad_accum_steps: 3", "r.yaml:5:19: MX102 grad_accum_steps must divide batch_size"),
        ("sched: multistep", "r.yaml:5:8: MX102 multistep needs decay_milestones"),
        ("scale: [1, 0.5]", "r.yaml:5:8: MX102 scale must rise (scale: [0.5, 1.0])"),
        (
            "grad_checkpointing: stages",
            "r.yaml:5:21: MX104 grad_checkpointing cannot be 'stages' (one of: block, false, mixer, true)",
        ),
        ("scale: 0.5", "r.yaml:5:8: MX109 scale must be a list"),
        ("opt_betas: [0.9, 1.5]", "r.yaml:5:18: MX102 opt_betas: must be less than 1, not 1.5"),
        ("warmup_epochs: 10", "r.yaml:5:16: MX102 warmup_epochs must be fewer than epochs (epochs: 10)"),
    ],
)
def test_wrong_values_are_located(line: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        typed(document.load(GOOD + line, "r.yaml"))
    assert str(caught.value).startswith(said)


def test_all_complaints_come_together() -> None:
    with pytest.raises(SpecError) as caught:
        typed(document.load("name: a\nepochs: 0\nlr: -1\n", "r.yaml"))
    assert [problem.code for problem in caught.value.problems] == ["MX102", "MX103", "MX102"]


def test_a_recipe_is_a_mapping() -> None:
    with pytest.raises(SpecError, match="a recipe is a mapping"):
        typed(document.load("- 1"))


def test_unknown_recipe(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean digits"):
        read("digit")
    with pytest.raises(SpecError, match="no such file"):
        read(tmp_path / "a.yaml")
