"""Changes to a text by place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixspec.compiler.edits import BOM, Edit, apply, bare, line_starts, offsets, overlap, span_of, split_lines
from mixspec.compiler.errors import Span

TEXTS = st.text(st.sampled_from("ab é\r\n"), max_size=30)


def edit(line: int, column: int, end_line: int, end_column: int, text: str = "") -> Edit:
    return Edit(Span(line, column, end_line, end_column), text)


def test_all_edits_are_made_in_any_order() -> None:
    edits = [edit(2, 1, 2, 4, "deux"), edit(1, 1, 1, 4, "un"), edit(2, 6, 3, 2), edit(1, 5, 1, 5, "!")]
    for given_edits in (edits, edits[::-1]):
        assert apply("one \ntwo, 3\n4\n", given_edits) == "un !\ndeux, \n"


def test_a_byte_order_mark_is_no_character_and_stays() -> None:
    assert apply(f"{BOM}one", [edit(1, 1, 1, 2, "O")]) == f"{BOM}One"


def test_what_lies_beyond_the_text_is_its_end() -> None:
    assert apply("one\n", [edit(5, 1, 5, 9, "two\n")]) == "one\ntwo\n"
    assert apply("one", [edit(1, 3, 1, 99, "ly")]) == "only"


@pytest.mark.parametrize(
    "one, other, touch",
    [
        ((1, 1, 1, 4), (1, 4, 1, 6), False),  # side by side
        ((1, 1, 1, 5), (1, 4, 1, 6), True),
        ((1, 1, 3, 1), (2, 5, 2, 9), True),  # one inside the other
        ((1, 1, 2, 1), (2, 1, 2, 4), False),
        ((1, 9, 2, 2), (2, 1, 2, 4), True),
        ((1, 4, 1, 4), (1, 4, 1, 4), True),  # two insertions: which comes first is nobody's choice
        ((1, 4, 1, 4), (1, 4, 1, 7), True),
        ((1, 4, 1, 4), (1, 1, 1, 4), False),
        ((1, 4, 1, 4), (1, 1, 1, 5), True),
        ((1, 9, 1, 9), (2, 1, 2, 4), False),
    ],
)
def test_edits_that_overlap(one: tuple[int, ...], other: tuple[int, ...], touch: bool) -> None:
    assert overlap(edit(*one), edit(*other)) is overlap(edit(*other), edit(*one)) is touch


@given(TEXTS, st.data())
def test_places_are_offsets_and_back(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    span = span_of(text, start, end)
    assert offsets(line_starts(text), span, len(text)) == (start, end)
    assert apply(text, [Edit(span, "x")]) == f"{text[:start]}x{text[end:]}"


@given(TEXTS)
def test_lines_are_the_whole_text(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert all(line != bare(line) for line in lines[:-1]), "only the last may lack its end"
    assert all("\n" not in bare(line) for line in lines)


def test_line_ends_of_every_system() -> None:
    assert split_lines("a\nb\r\nc\rd") == ["a\n", "b\r\n", "c\r", "d"]
    assert split_lines("") == [""]
