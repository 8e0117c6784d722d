"""What a plan tells each stage of a network, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .grammar import COVERAGE, REPEATED, VALUES, Clause, Extent, NotationError, Param, Scalar
from .printing import show_scalar, show_stages


@dataclass(frozen=True, slots=True)
class Call:
    """An operator as one stage sees it: a name and one scalar for each key."""

    name: str
    params: Mapping[str, Scalar]
    extents: Mapping[str, Extent]
    """Place of every value by key, and of the operator's name under the empty key."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What each stage is told, as far as that can be told, and everything that is wrong with it.

    ``filled``: stages, counted from 0, that no clause is for; they have the last clause's call. ``idle``: calls that no
    stage is left for.
    """

    calls: tuple[Call, ...]
    errors: tuple[NotationError, ...]
    filled: tuple[int, ...]
    idle: tuple[Call, ...]


def per_stage(clauses: Iterable[Clause], stages: int) -> tuple[Call, ...]:
    """What each of ``stages`` stages is told. Every stage is named by exactly one clause, else NotationError."""
    found = plan(clauses, stages)
    if found.errors:
        raise found.errors[0]
    return found.calls


def plan(clauses: Iterable[Clause], stages: int) -> Plan:
    """The same with all mistakes: each is noted and read over. The first clause that names a stage has it."""
    calls: dict[int, Call] = {}
    idle: list[Call] = []
    errors: list[NotationError] = []
    clauses = tuple(clauses)
    for clause in clauses:
        own = clause.stages or tuple(stage for stage in range(1, stages + 1) if stage not in calls)
        errors += _misplaced(clause, own, calls, stages)
        places = {stage: index for index, stage in reversed([*enumerate(own)]) if stage <= stages}
        first, mistakes = _call(clause, 0, own[0] - 1 if own else 0, max(len(own), 1), stages)
        errors += [one for one in mistakes if own or one.code == REPEATED]  # they are the same for all stages
        free = {stage: index for stage, index in places.items() if stage not in calls}
        calls |= {stage: _call(clause, index, stage - 1, len(own), stages)[0] for stage, index in free.items()}
        idle += [] if free else [first]
    missing = [stage for stage in range(1, stages + 1) if stage not in calls]
    if missing:
        errors.append(_unnamed(clauses, missing))
        last = _call(clauses[-1], 0, 0, 1, 1)[0]
        calls |= dict.fromkeys(missing, last)
    every = tuple(calls[stage] for stage in range(1, stages + 1))
    return Plan(every, tuple(errors), tuple(stage - 1 for stage in missing), tuple(idle))


def _misplaced(clause: Clause, own: tuple[int, ...], taken: Mapping[int, Call], stages: int) -> Iterator[NotationError]:
    """The first of a clause's stages that does not exist or is taken; or that none is left."""
    if not own:
        hint = "write `in stages 1-2` behind every operator but the last"
        yield NotationError(f"no stage is left for {clause.name}", clause.extent, hint, code=COVERAGE)
        return
    seen = {*taken}
    for stage in own:
        if stage > stages:
            hint = f"the network has {stages} stages"
            yield _uncovered(f"there is no stage {stage}", clause, {*own} & {*range(1, stages + 1)}, hint)
            return
        if stage in seen:
            better = {stage for stage in own if stage <= stages} - {*taken}
            yield _uncovered(f"stage {stage} is named twice", clause, better, "one operator for each stage")
            return
        seen.add(stage)


def _unnamed(clauses: tuple[Clause, ...], missing: list[int]) -> NotationError:
    """Stages that no clause is for."""
    clause = next((one for one in clauses if missing[-1] + 1 in one.stages), clauses[-1])
    hint = "leave `in stages` off the last operator, or name every stage"
    return _uncovered(no_operator(missing), clause, {*clause.stages, *missing}, hint)


def no_operator(missing: list[int]) -> str:
    """What is wrong where nothing is said of some stages."""
    return f"no operator for stage{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"


def _uncovered(what: str, clause: Clause, better: set[int], hint: str) -> NotationError:
    """A complaint about the stages of a clause, with those it should name instead."""
    stages = sorted(better)
    whole = bool(stages) and stages == [*range(stages[0], stages[-1] + 1)]
    better_text = (f"in {show_stages(stages[0], stages[-1])}",) if whole else ()
    return NotationError(what, clause.stages_extent, hint, code=COVERAGE, nearest=better_text)


def _call(clause: Clause, index: int, stage: int, own: int, stages: int) -> tuple[Call, list[NotationError]]:
    """The clause as its ``index``-th stage sees it; tuples list the clause's own stages, or all of the network's.
    With what is wrong: of a key given twice the first counts, of too few values the last stands for the rest.
    """
    params: dict[str, Scalar] = {}
    extents: dict[str, Extent] = {"": clause.extent}
    errors: list[NotationError] = []
    for param in clause.params:
        if param.key in params:
            errors.append(_repeated(param))
            continue
        at = 0
        if param.per_stage:
            if len(param.values) not in (own, stages):
                errors.append(_uneven(param, own))
            at = min(stage if len(param.values) == stages != own else index, len(param.values) - 1)
        params[param.key] = param.values[at]
        extents[param.key] = param.extents[at]
        extents[f"{param.key}="] = param.key_extent
    return Call(clause.name, params, extents), errors


def _repeated(param: Param) -> NotationError:
    start, end = param.key_extent[0], sum(param.extent) + param.per_stage
    what = f"{param.key} is given twice"
    return NotationError(what, (start, end - start), "each parameter once", code=REPEATED, nearest=("",))


def _uneven(param: Param, own: int) -> NotationError:
    what, better = f"{param.key} has {len(param.values)} values for {own} stages", _stretched(param.values, own)
    return NotationError(what, param.extent, "one value for each stage", code=VALUES, nearest=(better,))


def _stretched(values: tuple[Scalar, ...], count: int) -> str:
    """As many values as there are stages: the first of them, or the last repeated."""
    return ",".join(map(show_scalar, (*values, *[values[-1]] * count)[:count]))
