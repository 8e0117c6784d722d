"""Write what the docs say about the code from the code: `python docs/generate.py`, or `--check` to compare only.

Pages can be named (`python docs/generate.py docs/notation.md`); otherwise all are meant. All but `baselines.md`, whose
tables trace timm's models (half a minute), do without torch: `--without-torch` leaves it out. `spec.schema.json` is
written whole.

Between a pair of markers, `<!-- begin NAME -->` and `<!-- end NAME -->`, the table NAME stands; between
`<!-- run: COMMAND -->` and `<!-- end run -->` what COMMAND prints. The rest is left alone. A YAML block that opens with
a comment naming a file, as `# broken.yaml`, is that file to the commands of its page.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import published
import speed
import study
from published import table

from mixspec.compiler.families import registry as families
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.operator import Operator
from mixspec.compiler.registry import Registry
from mixspec.compiler.schema import recipe_schema, schema

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRACED = ROOT / "docs" / "baselines.md"
SCHEMA = ROOT / "docs" / "spec.schema.json"
SCHEMAS = {SCHEMA: schema, ROOT / "docs" / "recipe.schema.json": recipe_schema}
"""JSON Schema of specs, for editors and for validators that cannot run mixspec; written whole."""


def sentence(cls: type[Operator]) -> str:
    """What an operator does, in one sentence."""
    text = " ".join(inspect.getdoc(cls).split())  # type: ignore[union-attr]
    return re.split(r"(?<=\.) ", text)[0]


def source(cls: type[Operator]) -> str:
    """The paper a plug-in file opens with."""
    found = re.search(r"arXiv:\d+\.\d+", sys.modules[cls.__module__].__doc__ or "")
    return found[0] if found else ""


def keys(cls: type[Operator]) -> str:
    """The keys of an operator with their defaults."""
    fields = cls.model_fields.items()
    shown = [f"{field.alias or name}={_default(field.get_default())}" for name, field in fields if name != "stride"]
    return " ".join(f"`{key}`" for key in shown)


def _default(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def operators(registry: Registry[Operator], *, with_keys: bool) -> str:
    """All operators of a folder."""
    classes = [registry[name] for name in registry]
    if not with_keys:
        return table(("name", "what", "source"), ((f"`{c.notation}`", sentence(c), source(c)) for c in classes))
    rows = ((f"`{c.notation}`", keys(c), sentence(c), source(c)) for c in classes)
    return table(("name", "keys and defaults", "what", "source"), rows)


TABLES: dict[str, Callable[[], str]] = {
    **published.TABLES,
    "mixers": lambda: operators(mixers, with_keys=True),
    "speed": speed.tables,
    "study": study.tables,
    "families": lambda: operators(families, with_keys=False),
}


def rendered(text: str) -> str:
    """The page with every table made anew."""

    def put(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]()}\n{match[3]}"

    text = re.sub(r"(<!-- begin (\w+) -->)\n.*?(<!-- end \2 -->)", put, text, flags=re.S)
    return run_commands(text)


def run_commands(text: str) -> str:
    """The page with every command's output as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in re.findall(r"```yaml\n# ([\w.-]+\.yaml)\n(.*?)```", text, flags=re.S):
            Path(folder, name).write_text(content, "utf-8")

        def put(match: re.Match[str]) -> str:
            return f"{match[1]}\n```console\n$ {match[2]}\n{output(match[2], folder)}```\n{match[3]}"

        return re.sub(r"(<!-- run: (.*?) -->)\n.*?(<!-- end run -->)", put, text, flags=re.S)


def output(command: str, folder: str) -> str:
    """What a mixspec command prints, as a user of a 120-column terminal sees it, without colour."""
    program, *arguments = shlex.split(command)
    assert program == "mixspec", f"only our own commands are run: {command}"
    settings = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from mixspec.cli import main; main()", *arguments],
        cwd=folder, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    lines = (line.rstrip() for line in done.stdout.strip().splitlines())
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Rewrite the pages; with `--check` report those that are not current."""
    named = [Path(word).resolve() for word in arguments if not word.startswith("-")]
    without = [TRACED] if "--without-torch" in arguments else []
    stale = []
    for page in named or [page for page in (*PAGES, *SCHEMAS) if page not in without]:
        old = page.read_text("utf-8") if page.exists() else ""
        new = json.dumps(SCHEMAS[page](), indent=1) + "\n" if page in SCHEMAS else rendered(old)
        if old != new:
            stale.append(page.relative_to(ROOT))
            if "--check" not in arguments:
                page.write_text(new, "utf-8")
    for page in stale:
        print(f"{page}: {'not current, run python docs/generate.py' if '--check' in arguments else 'written'}")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
