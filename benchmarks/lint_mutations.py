"""How exactly the linter finds mistakes: 300 seeded mutations of shipped specs, located and repaired.

    python benchmarks/lint_mutations.py [--seed 0] [--count 300] [--show KIND]

A mutation is one mistake somebody would make, and knows the token that is wrong. The columns:

Specs of the family timm are left out: what they hold is known to timm alone, which needs torch.

- line, token: a finding starts on that line, and at that very token; alone: it is the only one;
- builds: after `--fix --unsafe-fixes` the spec can be built; same: it means the network it meant before;
- pydantic: the dictionary from `yaml.safe_load` given to the same pydantic classes. It reports an error at all, and on
  the right line if its paths are followed back into the text (which plain pydantic cannot do).
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from mixspec.compiler.document import load
from mixspec.compiler.errors import SpecError
from mixspec.compiler.families import registry as families
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.fixing import fix
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.compiler.spec import About

SPECS = Path(__file__).parents[1] / "specs"
TARGETS = {"line": 0.98, "token": 0.95, "builds": 0.70}
COLUMNS = ("line", "token", "alone", "builds", "same", "traceback", "pydantic: any", "pydantic: line")


@dataclass(frozen=True)
class Mutant:
    """A text with one mistake, and where that is."""

    text: str
    line: int
    column: int


Mutate = Callable[[str, random.Random], Mutant | None]
MUTATIONS: dict[str, Mutate] = {}


def mutation(function: Mutate) -> Mutate:
    """Enter a kind of mistake into the table."""
    MUTATIONS[function.__name__.replace("_", " ")] = function
    return function


def at(text: str, start: int, end: int, new: str, shift: int = 0) -> Mutant:
    """``new`` for the characters from start to end; the mistake is ``shift`` characters into it."""
    return placed(text[:start] + new + text[end:], start + shift)


def placed(text: str, offset: int) -> Mutant:
    """A mutant whose mistake is at that offset."""
    before = text[:offset]
    return Mutant(text, before.count("\n") + 1, len(before) - before.rfind("\n"))


def pick(pattern: str, text: str, rng: random.Random) -> re.Match[str] | None:
    """One of the matches of a pattern."""
    found = list(re.finditer(pattern, text, re.MULTILINE))
    return rng.choice(found) if found else None


def misspell(word: str, rng: random.Random) -> str:
    """A letter left out, doubled, exchanged with its neighbour, or hit beside."""
    place, how = rng.randrange(len(word) - 1), rng.randrange(4)
    head, letter, tail = word[:place], word[place], word[place + 1 :]
    if how == 0 and len(word) > 3:
        return head + tail
    if how == 1:
        return head + letter * 2 + tail
    if how == 2 and letter != tail[0]:
        return head + tail[0] + letter + tail[1:]
    return head + (chr((ord(letter.lower()) - 96) % 26 + 97) if letter.isalpha() else "x") + tail


def typo(pattern: str, text: str, rng: random.Random) -> Mutant | None:
    """Misspell group 1 of a match."""
    match = pick(pattern, text, rng)
    if not match or len(match[1]) < 2:
        return None
    wrong = misspell(match[1], rng)
    return at(text, *match.span(1), wrong) if wrong.lower() != match[1].lower() else None


@mutation
def typo_in_a_key(text: str, rng: random.Random) -> Mutant | None:
    return typo(r"^(?:  - |    )?([a-z_0-9]{3,}):", text, rng)


@mutation
def typo_in_an_operator(text: str, rng: random.Random) -> Mutant | None:
    return typo(r"(?:^mixers: |^mixers: .*, )([A-Za-z]{3,})(?= [a-zA-Z]+=| in stage|$|,)", text, rng)


@mutation
def typo_in_a_parameter(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^mixers:.*?\b([a-zA-Z]+)=", text, rng)
    if not match:
        return None
    wrong = match[1] * 2 if len(match[1]) == 1 else misspell(match[1], rng)
    return at(text, *match.span(1), wrong) if wrong != match[1] else None


@mutation
def typo_in_a_choice(text: str, rng: random.Random) -> Mutant | None:
    mutant = typo(r"^(?:family|size|variant|stem|norm|head|block|    counter): ([a-zA-Z0-9-]+)$", text, rng)
    return mutant if mutant and not builds(mutant.text) else None


@mutation
def wrong_type(text: str, rng: random.Random) -> Mutant | None:
    pattern = r"^(?:image|classes|drop_path|    top1): ([0-9.]+)$|^(?:dims|depths): \[(?:[0-9]+, )*([0-9]+)"
    match = pick(pattern, text, rng)
    if not match:
        return None
    group = 1 if match[1] else 2
    return at(text, *match.span(group), rng.choice([f"'{match[group]}'", "ten", f"{match[group]}px"]))


@mutation
def wrong_type_in_notation(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^mixers:.*=([0-9]+)(?=[ ,]|$)", text, rng)
    mutant = at(text, *match.span(1), rng.choice(["seven", f"{match[1]}.5", "true"])) if match else None
    return mutant if mutant and not builds(mutant.text) else None


@mutation
def negative_number(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"(?:^image: |^classes: |^mixers:.*[a-z]=)([0-9]+)", text, rng)
    return at(text, *match.span(1), f"-{match[1]}") if match else None


@mutation
def illegal_head(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^mixers:.*\bCh=([0-9]+)(?=[ ,]|$)", text, rng)
    if match:
        mutant = at(text, *match.span(1), rng.choice(["24", "48", "7", "100"]))
    elif match := pick(r"^mixers:.*\battention(?=$| in stages 3-4$)", text, rng):
        mutant = at(text, match.end(), match.end(), f" Ch={rng.choice(['24', '48', '60'])}", 4)
    return mutant if match and not builds(mutant.text) else None


@mutation
def illegal_kernel(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^mixers:.*\b(?:ca|agg|k|win)=([0-9]+)(?=[ ,]|$)", text, rng)
    mutant = at(text, *match.span(1), str(int(match[1]) + 1)) if match else None
    return mutant if mutant and not builds(mutant.text) else None


@mutation
def image_against_strides(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^image: ([0-9]+)$", text, rng)
    return at(text, *match.span(1), str(int(match[1]) + rng.choice([1, 2, 5]))) if match else None


@mutation
def duplicated_key(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^[a-z_]+: [^\n\[{|>]+\n", text, rng)
    places = [found.start() for found in re.finditer(r"^[a-z]|\Z", text, re.MULTILINE)]
    if not match:
        return None
    place = rng.choice([place for place in places if place >= match.end()] or [len(text)])
    return at(text, place, place, match[0])


@mutation
def bad_range_of_stages(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"\bin stages (([0-9])-([0-9]))", text, rng)
    if not match:
        return None
    if match[3] == "4" and rng.randrange(2):
        return at(text, *match.span(), f"in stages {match[2]}-5")
    return at(text, *match.span(1), f"{match[3]}-{match[2]}")


@mutation
def stage_left_out(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"\bin stages 3-4$", text, rng)
    return at(text, *match.span(), "in stage 4") if match else None


@mutation
def swapped_stages(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^dims: \[([0-9]+), ([0-9]+), ([0-9]+)", text, rng)
    if not match or match[2] == match[3]:
        return None
    return at(text, match.start(2), match.end(3), f"{match[3]}, {match[2]}", len(match[3]) + 2)


@mutation
def list_too_short(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^mixers:.*[a-zA-Z]=\(([^()]*), ?[^(),]+\)", text, rng)
    return at(text, match.start(1), match.end(), f"{match[1]})") if match else None


@mutation
def missing_field(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^(name|family|size|mixers): .*\n", text, rng)
    if not match:
        return None
    new = text[: match.start()] + text[match.end() :]
    place = re.search(r"^family: " if match[1] == "size" else r"^(?=[a-z])", new, re.MULTILINE)
    return placed(new, place.end()) if place and not builds(new) else None


@mutation
def indentation(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^(?: {4})?[a-z0-9_]+: .*\n", text, rng)
    if not match or match.start() == 0:
        return None
    if match[0].startswith(" "):
        return at(text, match.start(), match.start() + 1, "", 3)
    return at(text, match.start(), match.start(), " ", 1)


@mutation
def tab_in_the_indentation(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^    [a-z0-9_]+: .*\n", text, rng)
    return at(text, match.start(), match.start() + 4, "\t") if match else None


@mutation
def bracket_left_open(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^[a-z_]+: (\[[^\]\n]*)\]$", text, rng)
    return placed(text[: match.end() - 1] + text[match.end() :], match.start(1)) if match else None


@mutation
def no_space_behind_the_colon(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^([a-z_]+:) (?=[^\s\[])", text, rng)
    return placed(text[: match.end(1)] + text[match.end() :], match.start()) if match else None


@mutation
def wrong_published_figure(text: str, rng: random.Random) -> Mutant | None:
    match = pick(r"^    params: ([0-9]+)(?:\.[0-9]+)?M$", text, rng)
    if not match or "disputed" in text:
        return None
    return at(text, *match.span(1), str(int(match[1]) + rng.choice([1, 3])))


def builds(text: str) -> str | None:
    """The digest of the network a text means; None if it cannot be built."""
    try:
        return resolve(parse(text)).digest
    except SpecError:
        return None


def mutants(count: int, seed: int) -> list[tuple[str, Path, Mutant]]:
    """About as many of each kind, of specs chosen by chance."""
    rng = random.Random(seed)
    texts = {file: file.read_text(encoding="utf-8") for file in sorted(SPECS.rglob("*.yaml"))}
    files = [
        file
        for file, text in texts.items()
        if not {"recipes", "sweeps"} & {*file.parts} and "family: timm\n" not in text
    ]
    found: list[tuple[str, Path, Mutant]] = []
    seen: set[str] = set()
    for turn in range(20 * count):
        kind = list(MUTATIONS)[turn % len(MUTATIONS)]
        for file in rng.sample(files, len(files)):
            mutant = MUTATIONS[kind](texts[file], rng)
            if mutant and mutant.text not in seen:
                seen.add(mutant.text)
                found.append((kind, file, mutant))
                break
        if len(found) == count:
            break
    return found


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
