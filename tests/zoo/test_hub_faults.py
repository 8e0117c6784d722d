"""Every fault of the table in `docs/hub.md`: one clear line, nothing partial left behind, and a retry that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixspec.compiler.resolve import Network
from mixspec.zoo.load import fresh
from mixspec.zoo.publish import Package
from mixspec.zoo.weights import save

from .loopback.faults import PULLS, PUSHES, Case
from .loopback.server import Hub
from .loopback.trials import PAGE, Outcome, pulled, pushed, row, table
from .loopback.values import SIGNATURE


@pytest.fixture(scope="module")
def files(tiny: Network, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Package]:
    folder = tmp_path_factory.mktemp("weights")
    for name, seed in (("old", 1), ("new", 2)):
        save(fresh(tiny, seed), folder / f"{name}.safetensors")
    return folder / "old.safetensors", Package.of(folder / "new.safetensors")


def judged(side: str, case: Case, outcome: Outcome, log: str) -> None:
    """The outcome is what the case expects and what the page says."""
    told = case.says.replace("{at}", str(case.address))
    assert outcome.message.startswith(told) if told else not outcome.message, outcome.message
    assert len(outcome.message.splitlines()) <= 1
    assert outcome.left == ()
    assert outcome.again
    assert row(side, case, outcome) in PAGE.read_text("utf-8").splitlines(), "run `python -m tests.zoo.loopback.trials`"
    for secret in (case.token, SIGNATURE):
        assert not secret or secret not in outcome.message + log


@pytest.mark.parametrize("case", PULLS, ids=lambda case: case.name)
def test_pull(
    case: Case, server: Hub, files: tuple[Path, Package], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = pulled(case, server, tmp_path, files[0])
    judged("pull", case, outcome, "".join(capfd.readouterr()))


@pytest.mark.parametrize("case", PUSHES, ids=lambda case: case.name)
def test_push(
    case: Case, server: Hub, files: tuple[Path, Package], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = pushed(case, server, tmp_path, *files)
    judged("push", case, outcome, "".join(capfd.readouterr()))


def test_a_resumed_download_asks_for_the_rest(server: Hub, files: tuple[Path, Package], tmp_path: Path) -> None:
    case = next(case for case in PULLS if "three times" in case.name)
    assert pulled(case, server, tmp_path, files[0]).again
    ranges = [seen.headers.get("range") for seen in server.requests if seen.path.startswith("/storage")]
    assert ranges[:4] == [None, "bytes=4000-", "bytes=8000-", "bytes=12000-"]


def test_the_page_has_every_fault_once() -> None:
    page = PAGE.read_text("utf-8")
    made = page.partition("<!-- faults -->\n")[2].partition("\n<!-- end faults -->")[0]
    rows = [line for line in made.splitlines() if line.startswith(("| pull", "| push"))]
    sides = [("pull", case.name) for case in PULLS] + [("push", case.name) for case in PUSHES]
    assert [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in rows] == sides
    assert made == table(rows)
