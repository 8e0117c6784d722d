"""From a document to everything the compiler itself finds wrong with it, and to the network where there is one.

A broken part is replaced by something harmless, so that the rest is still judged: a misspelt name by the nearest known
one, a bad setting by its default, an unknown mixer by ``identity``. What follows from a replacement is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from ..complaints import COVERAGE, MISSING_KEY, UNKNOWN_KEY, UNKNOWN_NAME, VALUES
from ..document import Document
from ..errors import Path, Problem, SpecError
from ..mixers import registry as mixers
from ..notation.grammar import scalar
from ..notation.stages import plan
from ..parse import Spec, family_of, stage_count, typed
from ..per_stage import PerStage
from ..registry import parsed
from ..resolve import Network, resolve

if TYPE_CHECKING:
    from ..recipe import Recipe
    from ..sweep import Sweep

ROUNDS = 5
MOST, MOST_RENAMED = 100, 20
"""Problems to report, and misspelt keys to read under their right names. More is no spec with mistakes."""
SHAPES = frozenset({"depths", "dims", "size", "image", "in_chans"})
"""Without these no grid is known, so nothing about shapes can be said."""
COUNTING: frozenset[Path] = frozenset({("depths",), ("size",)})
"""Without these it is not known how many stages there are."""
STAND_INS: dict[str, object] = {"name": "unnamed", "mixers": "identity"}


@dataclass(frozen=True, slots=True)
class Judged:
    """What could be made of a document. ``network`` is None where anything about the architecture is wrong."""

    spec: Spec | None
    network: Network | None
    problems: tuple[Problem, ...]
    other: Recipe | Sweep | None = None
    """Where the document is no spec."""

    @property
    def name(self) -> str | None:
        """What the document calls itself."""
        return self.spec.about.name if self.spec else self.other.name if self.other else None


def judge(document: Document) -> Judged:
    """All problems of a document. Never raises."""
    data: Any = document.data
    problems: list[Problem] = []
    broken: set[Path] = set()
    for _ in range(ROUNDS):
        try:
            spec = typed(document, data)
        except SpecError as error:
            sure = _sure(map(_of_recipe, error.problems), broken)
            fresh = [problem for problem in sure[:MOST] if not _under(problem.where, broken)]
            problems += [problem for problem in fresh if problem not in problems]
            for problem in fresh[:MOST_RENAMED]:
                document, data = renamed(document, data, problem)
            wrong = error.problems if broken & COUNTING else sure
            data = _mended(data, wrong, broken) if len(error.problems) <= MOST else None
            if data is None:
                break
        else:
            return _resolved(spec, problems, broken)
    return Judged(None, None, tuple(problems))


def _of_recipe(problem: Problem) -> Problem:
    """The complaint about an unknown key, where recipes have a key of that name, as one that says so."""
    if problem.code != UNKNOWN_KEY or len(problem.where) != 1:
        return problem
    from ..recipe import Recipe  # of no use where all keys are known

    if problem.where[0] not in Recipe.model_fields:
        return problem
    hint = "a key of training recipes, which are files of their own: `recipe: NAME` names one"
    return replace(problem, hint=hint, nearest=())


def _sure(problems: Iterable[Problem], broken: set[Path]) -> list[Problem]:
    """Without what follows from a wrong number of stages, where it is not known how many there are."""
    problems = list(problems)
    meant = {problem.where[:1] for problem in problems}
    meant |= {problem.nearest[:1] for problem in problems if problem.code == UNKNOWN_KEY and len(problem.where) == 1}
    if not (meant | broken) & COUNTING:
        return problems
    return [problem for problem in problems if problem.code not in (COVERAGE, VALUES)]


def renamed(document: Document, data: Any, problem: Problem) -> tuple[Document, Any]:
    """With a misspelt key under the name that was meant, so that what it holds is judged at its place."""
    path = problem.where
    if problem.code != UNKNOWN_KEY or not problem.nearest or path not in document.keys:
        return document, data
    meant = (*path[:-1], problem.nearest[0])
    if meant in document.spans:
        return document, data
    move = {old: (*meant, *old[len(path) :]) for old in document.spans if old[: len(path)] == path}
    moved = [{move.get(old, old): place for old, place in table.items()} for table in (document.spans, document.keys)]
    inline = {move.get(old, old): skip for old, skip in document.inline.items()}
    spans, keys = moved
    renamed = replace(document, data=_rename(document.data, path, meant), spans=spans, keys=keys, inline=inline)
    return renamed, _rename(data, path, meant)


def _rename(data: Any, path: Path, meant: Path) -> Any:
    """A copy of the data with one key called otherwise; the data itself where there is no such key."""
    step, rest = path[0], path[1:]
    if isinstance(data, dict) and step in data:
        if not rest:
            return {meant[0] if key == step else key: value for key, value in data.items()}
        return {key: _rename(value, rest, meant[1:]) if key == step else value for key, value in data.items()}
    if isinstance(data, list | tuple) and isinstance(step, int) and step < len(data) and rest:
        return [_rename(value, rest, meant[1:]) if index == step else value for index, value in enumerate(data)]
    return data


def _resolved(spec: Spec, problems: list[Problem], broken: set[Path]) -> Judged:
    if any(path[0] in SHAPES for path in broken if path):
        return Judged(spec, None, tuple(problems))
    try:
        network = resolve(spec)
    except SpecError as error:
        told = {problem.span for problem in problems}
        found = [one for one in error.problems if not _under(one.where, broken) and one.span not in told]
        return Judged(spec, None, (*problems, *found))
    return Judged(spec, None if broken or problems else network, tuple(problems))


def _under(path: Path, broken: set[Path]) -> bool:
    return any(path[: len(prefix)] == prefix for prefix in broken)


def _mended(data: Any, problems: Iterable[Problem], broken: set[Path]) -> Any:
    """The data without what is complained about; None where that cannot be done. ``broken`` grows."""
    if not isinstance(data, dict):
        return None
    data = dict(data)
    notation = isinstance(data.get("mixers"), str)
    for problem in problems:
        path = problem.where
        if problem.code == UNKNOWN_KEY and path[0] != "mixers" and not _has(data, path):
            continue  # it has the right name by now
        if problem.code == MISSING_KEY and _has(data, path):
            continue
        if not path or (problem.code == MISSING_KEY and len(path) == 1 and path[0] not in STAND_INS):
            return None
        if problem.code == UNKNOWN_NAME and len(path) == 1 and problem.nearest and path[0] != "mixers":
            data[str(path[0])] = scalar(problem.nearest[0])
        elif path[0] == "mixers":
            _mend_mixers(data, problem, broken, notation=notation)
        else:
            _drop(data, problem, broken)
    return data


def _has(data: Any, path: Path) -> bool:
    for step in path:
        found = step in data if isinstance(data, dict) else isinstance(data, list | tuple) and step in range(len(data))
        if not found:
            return False
        data = data[step]
    return True


def _drop(data: dict[str, Any], problem: Problem, broken: set[Path]) -> None:
    key = str(problem.where[0])
    if len(problem.where) == 1 and problem.code == UNKNOWN_KEY:
        data.pop(key, None)
        return
    broken.add((key,))
    if key in STAND_INS:
        data[key] = STAND_INS[key]
    elif key == "published" and len(problem.where) > 1 and isinstance(data.get(key), list | tuple):
        data[key] = ()
    else:
        data.pop(key, None)


def _mend_mixers(data: dict[str, Any], problem: Problem, broken: set[Path], *, notation: bool) -> None:
    """Another operator, or no such parameter, for the stage complained about; ``notation`` is read over what is wrong
    with its stages.
    """
    path = problem.where
    told = _stages(data, broken)
    if told is not None and notation and (len(path) < 2 or path[1] not in range(len(told))):
        data["mixers"] = told
        return
    if told is None or len(path) < 2 or not isinstance(path[1], int) or path[1] >= len(told):
        broken.add(("mixers",))
        data["mixers"] = STAND_INS["mixers"]
        return
    item = told[path[1]]
    for stage in (index for index, other in enumerate(told) if other == item or _alike(other, item, path[2:])):
        told[stage] = _mend_stage(told[stage], stage, problem, broken)
    data["mixers"] = told


def _alike(one: object, other: object, rest: Path) -> bool:
    """Whether two stages have the mistake from one place: the same operator, and the same value where it is one."""
    if not isinstance(one, dict) or not isinstance(other, dict) or one.get("type") != other.get("type"):
        return False
    return not rest or (rest[0] in one and one[rest[0]] == other.get(rest[0]))


def _mend_stage(item: Any, stage: int, problem: Problem, broken: set[Path]) -> Any:
    rest = problem.where[2:]
    if isinstance(item, dict) and rest and rest[0] in item:
        meant = problem.nearest[0] if problem.code == UNKNOWN_KEY and problem.nearest else None
        if meant is None or meant in item:
            broken |= set() if problem.code == UNKNOWN_KEY else {("mixers", stage, *rest)}
            return {key: value for key, value in item.items() if key != rest[0]}
        broken.add(("mixers", stage, meant))
        return {meant if key == rest[0] else key: value for key, value in item.items()}
    if isinstance(item, dict) and problem.code == UNKNOWN_NAME and problem.nearest:
        return {**item, "type": problem.nearest[0]}
    broken.add(("mixers", stage))
    return STAND_INS["mixers"]


def _stages(data: dict[str, Any], broken: set[Path]) -> list[Any] | None:
    """What each stage is told, as typed forms; None where that cannot be read. Stages that nobody told anything are
    broken.
    """
    field, said = PerStage(mixers), data.get("mixers")
    stages = stage_count(data, family_of(data))
    try:
        if isinstance(said, str):
            found = plan(parsed(said), stages)
            broken |= {("mixers", stage) for stage in found.filled}
            return [{"type": call.name, **call.params} for call in found.calls]
        told = field.spread(said, stages)
        return [field.spread(item, 1)[0] if isinstance(item, str) else item for item in told]
    except (PydanticCustomError, ValidationError):
        return None


def likewise(problems: Iterable[Problem]) -> list[Problem]:
    """Problems of one token in several stages as one, with the shapes of all and the values that suit all."""
    groups: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        around, stage, inside = _staged(problem.where)
        key = (problem.code, problem.span, around, inside if stage is not None else problem.what)
        groups.setdefault(key, []).append(problem)
    return [_merged(group) for group in groups.values()]


def _staged(path: Path) -> tuple[Path, int | None, Path]:
    """A path before the stage in it, the stage counted from 0, and the path inside it."""
    places = [place for place, step in enumerate(path) if isinstance(step, int)]
    if not places or not places[-1]:
        return path, None, ()
    return path[: places[-1]], int(path[places[-1]]), path[places[-1] + 1 :]


def _merged(group: list[Problem]) -> Problem:
    first = group[0]
    stages = sorted({stage for _, stage, _ in (_staged(problem.where) for problem in group) if stage is not None})
    if len(group) == 1 or len(stages) < 2:
        return first
    suits = tuple(value for value in first.nearest if all(value in other.nearest for other in group))
    others = ", ".join(str(stage + 1) for stage in stages[1:])
    listed = first.hint.startswith("nearest: ")
    hint = f"for all of them: {', '.join(sorted(suits[:2], key=_number))}" if listed and suits else first.hint
    trail = "\n".join(dict.fromkeys(problem.trail for problem in group if problem.trail))
    what = first.what if _same(group) else f"{first.what}, and likewise stage{'s' * (len(stages) > 2)} {others}"
    return replace(first, what=what, hint=hint, nearest=suits if first.nearest else (), trail=trail)


def _same(group: list[Problem]) -> bool:
    return all(problem.what == group[0].what for problem in group)


def _number(text: str) -> tuple[int, str]:
    return (int(text), text) if text.isdecimal() else (0, text)
