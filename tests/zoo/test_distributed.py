"""Two processes against one that works through the same images in two parts: mixing, dropout and all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1]
TOLERANCE = 1e-6
"""Relative, of losses and weights. Sums of two numbers do not depend on their order; all other sums are the same."""


def said(script: str) -> Any:
    done = subprocess.run([sys.executable, str(SCRIPTS / script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = said("ranks.py")
    return found


def test_two_processes_learn_like_one_with_two_parts(told: dict[str, list[dict[str, Any]]]) -> None:
    (one,), (two, _) = told["one"], told["two"]
    assert len(one["losses"]) == 8 and len(set(one["losses"])) == 8
    assert two["losses"] == pytest.approx(one["losses"], rel=TOLERANCE)
    assert two["norm"] == pytest.approx(one["norm"], rel=TOLERANCE)


def test_accuracy_counts_every_image_once(told: dict[str, list[dict[str, Any]]]) -> None:
    (one,), two = told["one"], told["two"]
    assert one["seen"]["images"] == 63
    for rank in two:
        assert rank["seen"] == {**one["seen"], "loss": pytest.approx(one["seen"]["loss"], abs=2e-6)}


@pytest.mark.parametrize("run", ["two", "batch_norm"])
def test_all_processes_have_the_same_weights(run: str, told: dict[str, list[dict[str, Any]]]) -> None:
    first, second = told[run]
    assert first["digest"] == second["digest"] and first["losses"] == second["losses"]
    assert first["seen"] == second["seen"]


@pytest.mark.slow
def test_sharded_weights_go_on_to_the_bit_and_learn_like_whole_ones() -> None:
    found = said("shards.py")
    kinds = [f"{kind}-{rank}.safetensors" for kind in ("mean", "model", "optimiser", "random") for rank in (0, 1)]
    assert found["parts"] == [*kinds, "state.json"]
    assert found["stopped"] and not found["differing"]
    assert found["error"] < 1e-6
