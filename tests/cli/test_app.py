"""The command line as a whole: its list of commands, its errors, its exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import mixspec
from mixspec import cli
from mixspec.cli import Commands, app
from mixspec.compiler.errors import SpecError

ROOT = Path(__file__).parents[2]
FILES = sorted(file.stem for file in (ROOT / "cli").glob("*.py") if not file.stem.startswith("_"))
PROGRAM = [sys.executable, "-c", "from mixspec.cli import main; main()"]

runner = CliRunner()


def test_the_folder_is_the_list_of_commands() -> None:
    assert {"count", "lint", "schema", "show"} <= set(FILES)
    assert list(Commands()) == [name.replace("_", "-") for name in FILES]
    listed = runner.invoke(app, ["--help"])
    assert listed.exit_code == 0
    assert [name for name in FILES if not re.search(rf"^\W*{name}\b", listed.stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("name", FILES)
def test_a_command_explains_itself(name: str) -> None:
    module = import_module(f"mixspec.cli.{name}")
    assert module.__doc__ and module.__doc__.startswith(f"mixspec {name}: ")
    helped = runner.invoke(app, [name, "--help"])
    assert helped.exit_code == 0 and module.command.__doc__.split("\n")[0][:30] in helped.stdout
    assert "\n" not in Commands()[name].help.replace("\n\n", ""), "the terminal breaks lines"
    silent = [p.name for p in Commands()[name].params if not p.help and p.name != "help"]
    assert silent == [], "parameters without help"


def test_only_the_command_that_runs_is_imported() -> None:
    program = "import sys; from mixspec.cli import app\ntry: app(['schema', '--help'])\nexcept SystemExit: pass\n"
    program += "print([n for n in sys.modules if n.startswith('mixspec.cli.') and '._' not in n])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['mixspec.cli.schema']"


def test_commands_are_read_only() -> None:
    with pytest.raises(TypeError, match="a file of that name"):
        Commands()["new"] = None
    with pytest.raises(TypeError):
        del Commands()["count"]
    with pytest.raises(KeyError):
        Commands()["nosuch"]


@pytest.mark.parametrize("arguments", [[], ["cuont"], ["--nosuch"], ["count"], ["count", "--nosuch", "x"], ["_table"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = runner.invoke(app, arguments)
    assert done.exit_code == 2 and "Usage" in done.stdout + done.stderr


def test_a_wrong_choice_is_said_in_plain_words() -> None:
    said = " ".join(runner.invoke(app, ["count", "resnet50", "--by", "foo"]).stderr.replace("│", " ").split())
    assert "Invalid value for '--by': 'foo' is not one of 'model', 'stage', 'block', 'layer'." in said


def test_a_misspelt_command_is_suggested() -> None:
    assert "Did you mean 'count'?" in runner.invoke(app, ["cuont"]).stderr


def test_version() -> None:
    done = runner.invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"mixspec {mixspec.__version__}\n")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every command does what ``cli.body`` does."""

    def command(name: str) -> object:
        sub = typer.Typer(add_completion=False)
        sub.command(name)(cli.body)  # type: ignore[attr-defined]
        return typer.main.get_command(sub)

    monkeypatch.setattr(cli, "_command", command)
    return monkeypatch


@pytest.mark.parametrize(
    "error, code, said",
    [
        (SpecError.of("MX001", "no such thing", "another"), 1, "MX001 no such thing (another)\n"),
        (FileNotFoundError(2, "No such file or directory", "data/x.pt"), 1, "data/x.pt: no such file or directory\n"),
        (PermissionError(13, "Permission denied", "/out"), 1, "/out: permission denied\n"),
        (OSError(28, "No space left on device"), 1, "mixspec: no space left on device\n"),
        (typer.BadParameter("no"), 2, ""),
        (typer.Exit(1), 1, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=repr,
)
def test_what_becomes_of_errors(error: BaseException, code: int, said: str, failing: pytest.MonkeyPatch) -> None:
    def body() -> None:
        """Fail."""
        raise error

    failing.setattr(cli, "body", body, raising=False)
    done = runner.invoke(app, ["count"])
    assert done.exit_code == code and done.stdout == ""
    assert done.stderr == said or code == 2


def test_a_bug_is_not_hidden(failing: pytest.MonkeyPatch) -> None:
    def body() -> None:
        """Divide."""
        print(1 // 0)

    failing.setattr(cli, "body", body, raising=False)
    assert isinstance(runner.invoke(app, ["count"]).exception, ZeroDivisionError)


@pytest.mark.parametrize("arguments", [["count", "caformer_s18", "--by", "layer", "--json"], ["show", "caformer_s18"]])
def test_a_closed_pipe_is_silent(arguments: list[str]) -> None:
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() in (0, 1, 120) and said == ""


def test_installed_command() -> None:
    for program in ([Path(sys.executable).with_name("mixspec")], [sys.executable, "-m", "mixspec"]):
        done = subprocess.run([*program, "--version"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"mixspec {mixspec.__version__}\n")


def test_shipped_names_are_completed() -> None:
    asked = {"_MIXSPEC_COMPLETE": "complete_bash", "COMP_WORDS": "mixspec show hpxaformer_s1", "COMP_CWORD": "2"}
    done = subprocess.run([*PROGRAM], env=os.environ | asked, capture_output=True, text=True)
    assert "hpxaformer_s18" in done.stdout.split() and all(n.startswith("hpxaformer_s1") for n in done.stdout.split())
