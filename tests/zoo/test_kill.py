"""Trainings killed by SIGKILL and resumed. The whole campaign is ``python tests/killing.py --points 30``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "killing.py"


def campaign(points: int) -> list[dict[str, object]]:
    """The outcomes, over one and two processes."""
    words = [sys.executable, str(SCRIPT), "--points", str(points), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def check(outcomes: list[dict[str, object]], points: int) -> None:
    assert len(outcomes) == 2 * points
    assert all(outcome["hit"] and not outcome["differing"] for outcome in outcomes)


def test_killed_runs_end_as_if_nothing_had_happened() -> None:
    check(campaign(2), 2)


@pytest.mark.slow
def test_thirty_killed_runs_end_as_if_nothing_had_happened() -> None:
    check(campaign(30), 30)
