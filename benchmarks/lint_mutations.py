"""How exactly the linter finds mistakes: 300 seeded mutations of shipped specs, located and repaired.

    python benchmarks/lint_mutations.py [--seed 0] [--count 300] [--show KIND]

A mutation is one mistake somebody would make, and knows the token that is wrong. Specs of the family timm
are left out: what they hold is known to timm alone, which needs torch. The columns:

- line, token: a finding starts on that line, and at that very token; alone: it is the only one;
- builds: after `--fix --unsafe-fixes` the spec can be built; same: it means the network it meant before;
- pydantic: the dictionary from `yaml.safe_load` given to the same pydantic classes. It reports an error at all, and on
  the right line if its paths are followed back into the text (which plain pydantic cannot do).
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import defaultdict
from pathlib import Path

import yaml
from pydantic import ValidationError

from mixspec.benchmarks._mutations import Mutant, builds, mutants
from mixspec.compiler.document import load
from mixspec.compiler.errors import SpecError
from mixspec.compiler.families import registry as families
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.fixing import fix
from mixspec.compiler.spec import About

TARGETS = {"line": 0.98, "token": 0.95, "builds": 0.70}
COLUMNS = ("line", "token", "alone", "builds", "same", "traceback", "pydantic: any", "pydantic: line")


def pydantic_lines(text: str) -> tuple[bool, set[int]]:
    """Whether plain pydantic finds anything, and the lines that its paths lead to."""
    try:
        data = yaml.safe_load(text)
        document = load(text)
    except yaml.MarkedYAMLError as error:
        return True, {error.problem_mark.line + 1} if error.problem_mark else set()
    except SpecError:  # a key given twice: the last one wins in silence
        return False, set()
    own = {key: value for key, value in data.items() if key in About.model_fields}
    rest = {key: value for key, value in data.items() if key not in About.model_fields}
    cls = families.get(str(data.get("family")).lower())
    paths = [path for model, fields in ((About, own), (cls, rest)) if model for path in errors(model, fields)]
    paths += [] if cls else [("family",)]
    return bool(paths), {document.locate_key(path).line for path in paths}


def errors(model: type, fields: dict[str, object]) -> list[tuple[str | int, ...]]:
    """The paths of the errors of one model."""
    try:
        model.model_validate(tuples(fields))
    except ValidationError as error:
        return [detail["loc"] for detail in error.errors(include_url=False)]
    return []


def tuples(value: object) -> object:
    """Lists as tuples, as the models want them."""
    if isinstance(value, list):
        return tuple(map(tuples, value))
    return {key: tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


def fare(file: Path, mutant: Mutant) -> dict[str, bool]:
    """How one mutant fared."""
    try:
        found = [finding for finding in lint(mutant.text, str(file)) if finding.fails]
        repaired = fix(mutant.text, str(file), Config(), unsafe=True)
    except Exception:  # which is what is counted
        traceback.print_exc()
        return {"traceback": True}
    after = builds(repaired.text)
    noticed, lines = pydantic_lines(mutant.text)
    return {
        "line": any(finding.span.line == mutant.line for finding in found),
        "token": any(finding.span[:2] == (mutant.line, mutant.column) for finding in found),
        "alone": len(found) == 1,
        "builds": after is not None,
        "same": after is not None and after == builds(file.read_text(encoding="utf-8")),
        "pydantic: any": noticed,
        "pydantic: line": mutant.line in lines,
    }


def rate(results: list[dict[str, bool]], name: str) -> float:
    """The share of results for which ``name`` holds."""
    return sum(result.get(name, False) for result in results) / max(len(results), 1)


def table(results: dict[str, list[dict[str, bool]]]) -> None:
    """Percentages by kind of mistake, as Markdown."""
    print("| mistake | n |", " | ".join(COLUMNS), "|")
    print("|---|" + "---|" * (len(COLUMNS) + 1))
    rows = [*results.items(), ("**all**", [result for group in results.values() for result in group])]
    for kind, group in rows:
        print(f"| {kind} | {len(group)} |", " | ".join(f"{rate(group, name):.0%}" for name in COLUMNS), "|")


def show(kind: str, file: Path, mutant: Mutant, result: dict[str, bool]) -> None:
    """A mutant that was not found or not repaired."""
    lost = ", ".join(name for name in TARGETS if not result.get(name))
    print(f"--- {kind}: {file.name}:{mutant.line}:{mutant.column} not: {lost}")
    print("   ", [*mutant.text.split("\n"), ""][mutant.line - 1])
    for finding in lint(mutant.text, str(file)):
        offer = f" [{finding.fix.what}]" if finding.fix else ""
        print(f"    {finding.span.line}:{finding.span.column} {finding.code} {finding.message}{offer}")


def main() -> None:
    """Print the table; end with 1 if a target is missed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--count", type=int, default=300)
    options.add_argument("--show", default="", metavar="KIND", help="what was missed of this kind, or of `all`")
    chosen = options.parse_args()
    results: dict[str, list[dict[str, bool]]] = defaultdict(list)
    start = time.perf_counter()
    for kind, file, mutant in mutants(chosen.count, chosen.seed):
        result = fare(file, mutant)
        results[kind].append(result)
        if chosen.show in (kind, "all") and not all(result.get(name) for name in TARGETS):
            show(kind, file, mutant, result)
    table(results)
    every = [result for group in results.values() for result in group]
    print(f"\n{len(every)} mutants, seed {chosen.seed}, {time.perf_counter() - start:.1f} s")
    missed = [name for name, least in TARGETS.items() if rate(every, name) < least]
    missed += ["traceback"] if rate(every, "traceback") else []
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
