"""mixspec lint: everything that is wrong with specs, where exactly, and what would be right."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..compiler.document import MAX_BYTES
from ..compiler.errors import SpecError
from ..compiler.lint.changes import unified
from ..compiler.lint.config import Config, ConfigError
from ..compiler.lint.config import find as find_config
from ..compiler.lint.config import load as load_config
from ..compiler.lint.engine import lint, problem_findings
from ..compiler.lint.finding import Finding
from ..compiler.lint.fixing import fix as fix_text
from ..compiler.lint.formats import names, render
from ..compiler.lint.report import Report
from ..compiler.lint.rule import unknown_code
from ..compiler.suggest import did_you_mean
from ._files import STDIN_NAME, Paths, StdinName, files, stdin, write
from ._options import Json

Codes = list[str] | None


def _format(name: str) -> str:
    if name not in names():
        raise typer.BadParameter(f"{name!r} is no format ({did_you_mean(name, names())})")
    return name


def _codes(text: str) -> str:
    for code in _split([text]):
        if wrong := unknown_code(code):
            raise typer.BadParameter(wrong)
    return text


def command(
    paths: Paths = None,
    select: Annotated[
        Codes, typer.Option(parser=_codes, metavar="CODE", help="Only these: MX203, or MX2 for all shapes.")
    ] = None,
    ignore: Annotated[Codes, typer.Option(parser=_codes, metavar="CODE", help="All but these.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Make the repairs that keep the meaning.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="With --fix: also guess what was meant.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would change, and change nothing.")] = False,
    output_format: Annotated[str, typer.Option(parser=_format, metavar="FORMAT", help=", ".join(names()))] = "full",
    json: Json = False,
    stdin_filename: StdinName = STDIN_NAME,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of the nearest pyproject.toml.")] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="End with 0 whatever is found.")] = False,
) -> None:
    """Check specs; print every finding with file, line, column and what would be right.

    Exit code 0: nothing found; 1: findings; 2: wrong usage. Folders are searched for *.yaml and *.yml. Findings of
    severity info do not count. `mixspec explain CODE` tells more about a rule.
    """
    try:
        run = _Run(select, ignore, fix=fix, unsafe=unsafe_fixes, diff=diff, stdin_name=stdin_filename, config=config)
        with _rarely_collected():
            for path in paths or ["."]:
                run.path(path)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
    findings = tuple(run.findings)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    report = Report(findings, run.count, run.texts, colour)
    written_out = fix and run.wrote_stdin
    if not diff:
        typer.echo(render("json" if json else output_format, report), nl=False, err=written_out)
    typer.echo(_summary(report, run.fixed), err=True)
    if not exit_zero and (any(finding.fails for finding in findings) or (diff and run.fixed)):
        raise typer.Exit(1)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Garbage is collected less often, as what a run remembers lives to its end and would be walked every time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Run:
    """One run over files: what was found, their texts, and how many repairs were made."""

    def __init__(
        self, select: Codes, ignore: Codes, *, fix: bool, unsafe: bool, diff: bool, stdin_name: str, config: Path | None
    ) -> None:
        self.select, self.ignore = _split(select), _split(ignore)
        self.fix, self.unsafe, self.diff, self.stdin_name, self.config = fix, unsafe, diff, stdin_name, config
        self.findings: list[Finding] = []
        self.texts: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.configs: dict[Path, Config] = {}
        self.seen: set[str] = set()
        self.count = self.fixed = 0
        self.wrote_stdin = False

    def path(self, path: str) -> None:
        """All files behind a path; one that cannot be found or read is a finding."""
        with self._told(path):
            for file in files([path]):
                with self._told(str(file)):
                    self.file(file)

    @contextmanager
    def _told(self, source: str) -> Iterator[None]:
        """What stops the reading of one file stops nothing else."""
        try:
            yield
        except SpecError as error:
            self.count += 1
            self.findings += problem_findings(error.problems, source)

    def file(self, path: Path | None) -> None:
        """One file, repaired if asked. Each is read once in a run."""
        source = self.stdin_name if path is None else str(path)
        if (place := os.path.abspath(source)) in self.seen:
            return
        self.seen.add(place)
        content = stdin() if path is None else _read(path)
        config = self.settings(source)
        self.count += 1
        if not (self.fix or self.diff):
            found = lint(content, source, config, self.names)
            if found:
                self.texts[source] = _text(content)
            self.findings += found
            return
        self.repair(path, source, content, config)

    def repair(self, path: Path | None, source: str, content: bytes, config: Config) -> None:
        """Make or show the repairs of a file."""
        before = _text(content)
        after = fix_text(before, source, config, unsafe=self.unsafe)
        self.fixed += after.applied
        self.texts[source] = after.text
        self.findings += after.findings
        if self.diff:
            typer.echo(unified(before, after.text, source), nl=False)
        elif path is None or after.text != before:
            write(path, after.text)
            self.wrote_stdin = self.wrote_stdin or path is None

    def settings(self, source: str) -> Config:
        """The configuration that holds for a file."""
        folder = Path(source).parent if not source.startswith("<") else Path()
        if folder not in self.configs:
            found = load_config(self.config) if self.config else find_config(folder.resolve())
            self.configs[folder] = found.with_codes(self.select, self.ignore)
        return self.configs[folder]


def _read(path: Path) -> bytes:
    from ..compiler.document import content

    return content(path)


def _text(content: bytes) -> str:
    return content[: MAX_BYTES + 1].decode("utf-8", "surrogateescape")


def _split(codes: Codes) -> tuple[str, ...]:
    return tuple(code.strip() for text in codes or () for code in text.split(","))


def _summary(report: Report, fixed: int) -> str:
    """What the run came to, in one line."""
    specs = f"{report.files} spec{'s' if report.files != 1 else ''} checked"
    repairs = f", {fixed} repair{'s' if fixed != 1 else ''}" if fixed else ""
    if not report.findings:
        return f"{specs}{repairs}, nothing found."
    codes = ", ".join(f"{count} {code}" for code, count in sorted(Counter(one.code for one in report.findings).items()))
    total = len(report.findings)
    return f"{specs}{repairs}, {total} finding{'s' if total != 1 else ''}: {codes}.{_offers(report.findings)}"


def _offers(findings: Iterable[Finding]) -> str:
    fixes = [finding.fix for finding in findings if finding.fix]
    safe = sum(fix.safe for fix in fixes)
    said = [f"{safe} with --fix"] * bool(safe) + [f"{len(fixes) - safe} with --fix --unsafe-fixes"] * (
        len(fixes) > safe
    )
    return f" Can be repaired: {', '.join(said)}." if said else ""
