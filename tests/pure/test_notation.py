"""The grammar of mixer notation: what it means, where a mistake stands, and that printing is its inverse."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixspec.compiler.notation.grammar import NotationError, Scalar, parse, scalar
from mixspec.compiler.notation.printing import show_call, show_plan
from mixspec.compiler.notation.stages import per_stage

Stage = tuple[str, dict[str, Scalar]]


def stages(text: str, count: int = 4) -> list[Stage]:
    """What each stage is told."""
    return [(call.name, dict(call.params)) for call in per_stage(parse(text), count)]


A: Stage = ("A", {})
B: Stage = ("B", {})
GOOD: list[tuple[str, list[Stage]]] = [
    ("A", [A, A, A, A]),
    ("  A\t", [A, A, A, A]),
    ("A in stages 1-2, B in stages 3-4", [A, A, B, B]),
    ("A in stages 1–2, B in stages 3–4", [A, A, B, B]),
    ("A in stages 1 - 2, B in stages 3 – 4", [A, A, B, B]),
    ("A in stages 1 to 2, B in stages 3 to 4", [A, A, B, B]),
    ("A in stages 1 and 2, B in stages 3 and 4", [A, A, B, B]),
    ("A in stages 1, 2 and 3, B in stage 4", [A, A, A, B]),
    ("A in stages 1-2 and 4, B", [A, A, B, A]),
    ("A in stage 2, B", [B, A, B, B]),
    ("A in stages 3-4, B in stages 1-2", [B, B, A, A]),
    ("A k=7 x=0.5 y=5e-4 z=-1", [("A", dict(k=7, x=0.5, y=5e-4, z=-1))] * 4),
    ("A w=-.5 on=true off=false act=gelu", [("A", dict(w=-0.5, on=True, off=False, act="gelu"))] * 4),
    ("A k = 7", [("A", {"k": 7})] * 4),
    ("A k=(1,2,3,4)", [("A", {"k": k}) for k in (1, 2, 3, 4)]),
    ("A k=( 1 , 2 , 3 , 4 ) r=2", [("A", {"k": k, "r": 2}) for k in (1, 2, 3, 4)]),
    ("A k=(5,7) in stages 1-2, B", [("A", {"k": 5}), ("A", {"k": 7}), B, B]),
    ("A in stages 1-2, B k=(1,2,3,4) in stages 3-4", [A, A, ("B", {"k": 3}), ("B", {"k": 4})]),
    ("A k=(9) in stage 1, B", [("A", {"k": 9}), B, B, B]),
    ("k-means in stages 1-2, x.y+z", [("k-means", {})] * 2 + [("x.y+z", {})] * 2),
    ("in in stage 1, stages", [("in", {})] + [("stages", {})] * 3),
]


@pytest.mark.parametrize("text, meaning", GOOD, ids=[text for text, _ in GOOD])
def test_meaning(text: str, meaning: list[Stage]) -> None:
    assert stages(text) == meaning


BAD = [  # text, what the complaint says, the characters it stands at
    ("", "operator's name", ""),
    ("   ", "operator's name", " "),
    ("7", "operator's name", "7"),
    (", A", "operator's name", ","),
    ("A,", "operator's name", ","),
    ("A, , B", "operator's name", ","),
    ("(A)", "operator's name", "("),
    ("A B", "unexpected 'B'", "B"),
    ("A k", "unexpected 'k'", "k"),
    ("A k=", "a value is expected", "="),
    ("A k=,", "a value is expected", ","),
    ("A k=-", "a value is expected", "-"),
    ("A k=--7", "a value is expected", "-"),
    ("A k=()", "a value is expected", ")"),
    ("A k=(1,)", "a value is expected", ")"),
    ("A k=(1", "the bracket is not closed", "1"),
    ("A k=(1 2)", "the bracket is not closed", "2"),
    ("A k=((1,2))", "a value is expected", "("),
    ("A k= in stages 1-2", "a value is expected", "in"),
    ("A k= b=3", "a value is expected", "b"),
    ("A k=7=8", "unexpected '='", "="),
    ("A k=7, b=8", "not a parameter", "b"),
    ("k=7 b=8", "not a parameter", "k"),
    ("A in", "`in` is followed by", "n"),
    ("A in 1-2", "`in` is followed by", "1-2"),
    ("A in stagse 1", "`in` is followed by", "stagse"),
    ("A in stages", "stages are whole numbers", "stages"),
    ("A in stages x", "stages are whole numbers", "x"),
    ("A in stages 1-x", "stages are whole numbers", "1-x"),
    ("A in stages 1-2-3", "stages are whole numbers", "1-2-3"),
    ("A in stages 1 to", "too early", "o"),
    ("A in stages 1 and", "stages are whole numbers", "and"),
    ("A in stages ²", "stages are whole numbers", "²"),
    ("A in stages 99999", "stages are whole numbers", "99999"),
    ("A in stages 2-1", "not a range", "2-1"),
    ("A in stage 0", "not a range", "0"),
    ("A in stages 2 to 1", "not a range", "2 to 1"),
    ("A in stages 1-5", "there is no stage 5", "in stages 1-5"),
    ("A in stages 1-2, B in stages 2-4", "stage 2 is named twice", "in stages 2-4"),
    ("A in stages 1-2", "no operator for stages 3, 4", "in stages 1-2"),
    ("A k=1 k=2", "k is given twice", "k=2"),
    ("A k=(1,2)", "k has 2 values for 4 stages", "1,2"),
    ("A k=(1,2,3) in stages 1-2, B", "k has 3 values for 2 stages", "1,2,3"),
]


@pytest.mark.parametrize("text, what, where", BAD, ids=[text for text, _, _ in BAD])
def test_mistakes_and_their_places(text: str, what: str, where: str) -> None:
    with pytest.raises(NotationError) as caught:
        stages(text)
    offset, length = caught.value.extent
    assert what in caught.value.what
    assert text[offset : offset + length] == where
    assert caught.value.hint or "too early" in what


@pytest.mark.parametrize(
    "text",
    [
        "A in stages 1-2, B in stages 2-4",
        "A in stages 1-3",
        "A k=(1,2)",
        "A in stagse 1",
        "A in stages 2-1, B",
        "A in stages 0-2, B",
        "A in stage 0, B",
        "A in stages 3-0, B",
    ],
)
def test_what_could_stand_instead_is_notation(text: str) -> None:
    with pytest.raises(NotationError) as caught:
        stages(text)
    (offset, length), better = caught.value.extent, caught.value.nearest[0]
    fixed = text[:offset] + better + text[offset + length :]
    try:
        stages(fixed)
    except NotationError as error:  # another complaint may remain, but not this one
        assert error.what != caught.value.what


@pytest.mark.parametrize(
    "word, value",
    [("8", 8), ("-8", -8), ("+8", 8), ("007", 7), ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("5e-4", 5e-4), ("1E3", 1e3)]
    + [(word, word) for word in ("True", "on", "yes", "1:30", "0x10", "1_000", "nan", "inf", "--1", "e5", "7x7")],
)
def test_scalars(word: str, value: Scalar) -> None:
    found = scalar(word)
    assert found == value and type(found) is type(value)


def test_places_of_values_and_keys() -> None:
    text = "A in stages 1-2, CADA b=(8,16) Ch=4"
    call = per_stage(parse(text), 4)[3]
    shown = {key: text[start : start + length] for key, (start, length) in call.extents.items()}
    assert shown == {"": "CADA", "b": "16", "b=": "b", "Ch": "4", "Ch=": "Ch"}


words = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,6}", fullmatch=True).filter(lambda word: word not in ("true", "false"))
scalars = st.one_of(
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    words.filter(lambda word: word != "in" and scalar(word) == word),
)


@st.composite
def plans(draw: st.DrawFn) -> list[Stage]:
    """Operators for 1 to 6 stages; few names and keys, so that neighbours often share them."""
    calls = st.tuples(
        st.sampled_from(["A", "Hpx", "k-means"]), st.dictionaries(st.sampled_from(["k", "Ch", "b"]), scalars)
    )
    few = draw(st.lists(calls, min_size=1, max_size=3))
    return draw(st.lists(st.sampled_from(few), min_size=1, max_size=6))


@given(plans())
@example([("A", {"k": 1}), ("A", {"k": 2}), ("B", {}), ("B", {})])
@example([("A", {"k": 1}), ("A", {"k": 1.0}), ("A", {"k": True})])
@example([("A", {"k": 1e22}), ("A", {"k": -1e-7})])
@example([("A", {"k": 1, "b": 2}), ("A", {"b": 2, "k": 1})])
def test_printing_and_parsing_are_inverse(plan: list[Stage]) -> None:
    again = stages(show_plan(plan), len(plan))
    assert again == plan
    assert [list(map(type, params.values())) for _, params in again] == [
        list(map(type, params.values())) for _, params in plan
    ]


@pytest.mark.parametrize(
    "plan, text",
    [
        ([A, A, A, A], "A"),
        ([A, A, B, B], "A in stages 1-2, B in stages 3-4"),
        ([A, B, B, B], "A in stage 1, B in stages 2-4"),
        ([("A", {"k": k}) for k in (8, 16, 32, 64)], "A k=(8,16,32,64)"),
        ([("A", {"k": 1}), ("A", {"k": 2}), B], "A k=(1,2) in stages 1-2, B in stage 3"),
        ([("A", {}), ("A", {"k": 2})], "A in stage 1, A k=2 in stage 2"),
    ],
)
def test_the_shortest_plan(plan: list[Stage], text: str) -> None:
    assert show_plan(plan) == text


def test_calls_are_shown_as_papers_write_them() -> None:
    assert (
        show_call("CADAsp", {"b": 128, "ca": 3, "bias": False, "eps": 1e-5}) == "CADAsp b=128 ca=3 bias=false eps=1e-5"
    )


@given(st.text(max_size=40) | st.text("A k=(12),-–instageto. ", max_size=40))
def test_any_text_is_notation_or_a_complaint_inside_it(text: str) -> None:
    try:
        stages(text)
    except NotationError as error:
        offset, length = error.extent
        assert error.what and offset >= 0 and length >= 0 and offset + length <= max(len(text), 1)
