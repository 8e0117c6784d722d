"""Mistakes somebody would make in a spec, made by chance: each knows the token that is wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve

SPECS = Path(__file__).parents[1] / "specs"


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
