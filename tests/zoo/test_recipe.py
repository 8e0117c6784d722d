from pathlib import Path

import pytest

from mixspec.compiler import document
from mixspec.compiler.errors import SpecError
from mixspec.zoo.training.recipe import Recipe, names, read, typed

GOOD = "name: a\nepochs: 10\nbatch_size: 8\nlr: 1e-3\n"


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_is_named_like_its_file(name: str) -> None:
    assert read(name).name == name


def test_what_is_told_reads_back() -> None:
    recipe = read("digits")
    assert (
        Recipe.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in recipe.told().items()}) == recipe
    )


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
        ("warmup_epochs: 10", "r.yaml:1:1: MX102 warmup_epochs must be fewer than epochs (epochs: 10)"),
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
