"""Commands as one types them, in this process. An exception that is not an exit fails the test."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from mixspec.cli import app


def ended(*words: object) -> Result:
    """What became of a command."""
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def run(*words: object) -> tuple[int, str]:
    """Exit status, and all that is said."""
    done = ended(*words)
    return done.exit_code, done.output


def complaint(*words: object, code: int = 1) -> str:
    """What a wrong command line gives and nothing beside it: one line, or how the command is used."""
    done = ended(*words)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr
