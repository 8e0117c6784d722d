"""YAML to values with positions: every rule, every position, and nothing but `SpecError` on arbitrary input."""

from __future__ import annotations

import math
import pathlib
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mixspec.compiler.document import MAX_BYTES, Document, load, read
from mixspec.compiler.errors import Path, Problem, Span, SpecError
from mixspec.compiler.lint.rule import rules
from mixspec.compiler.yaml import events
from mixspec.compiler.yaml.scalars import NEWLINE

CODES = {rule.code for rule in rules().values() if rule.family == "document"}


def problems(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        load(text, "x.yaml")
    for problem in caught.value.problems:
        assert problem.code in CODES and problem.what and problem.source == "x.yaml" and problem.span
    return caught.value.problems


def places(text: str | bytes) -> list[tuple[str, int, int]]:
    return [(problem.code, problem.span.line, problem.span.column) for problem in problems(text)]


def cut(doc: Document, span: Span) -> str:
    assert span.line == span.end_line
    return doc.text.splitlines()[span.line - 1][span.column - 1 : span.end_column - 1]


@pytest.fixture(params=[True, False], ids=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(events, "_PARSER", yaml.SafeLoader)


SCALARS = {
    "5e-4": 5e-4, "1e-3": 1e-3, "1.5": 1.5, ".5": 0.5, "1.": 1.0, "-2E+3": -2000.0, "7": 7, "-7": -7, "+7": 7,
    "012": 12, "0o17": 15, "0x1F": 31, "3_000": "3_000", "1:30": "1:30", "on": "on", "off": "off", "yes": "yes",
    "No": "No", "y": "y", "true": True, "True": True, "TRUE": True, "false": False, "tRue": "tRue", "null": None,
    "~": None, "": None, "NULL": None, ".inf": math.inf, "-.Inf": -math.inf, "'1'": "1", '"true"': "true", "''": "",
    "2024-01-01": "2024-01-01", "0b1": "0b1", "1e": "1e", "-": None, "٣": "٣", "9" * 19: int("9" * 19), "28M": "28M",
}  # fmt: skip


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", [text for text in SCALARS if text != "-"])
def test_scalars_follow_yaml_1_2(text: str) -> None:
    value = load(f"a: {text}\n").data["a"]
    assert value == SCALARS[text] and type(value) is type(SCALARS[text])


def test_nan() -> None:
    assert math.isnan(load("a: .NaN").data["a"])


def test_keys_become_text() -> None:
    assert load("{1-2: Hpx, 3: attention, true: b, 1.50: c}").data == {
        "1-2": "Hpx", "3": "attention", "true": "b", "1.50": "c",
    }  # fmt: skip


REFUSED = {
    "a: 1\nb: 2\na: 3\na: 4\n": [("MX003", 3, 1), ("MX003", 4, 1)],
    "{1: a, '1': b}": [("MX003", 1, 8)],
    "a: !!python/object/apply:os.system [x]\nb: !foo 1\nc: &x !!str 3\nd: ! e\n!k f: 1": [
        ("MX004", 1, 4), ("MX004", 2, 4), ("MX004", 3, 7), ("MX004", 4, 4), ("MX004", 5, 1),
    ],
    "a: !e!x 1": [("MX004", 1, 4)],
    "a: &x # note\n  !foo b": [("MX004", 1, 4)],
    "[" * 60: [("MX005", 1, 51)],
    "a: &a [1, *a]": [("MX005", 1, 11)],
    "a: &a [" + "x," * 60 + "]\nb: &b [" + "*a," * 60 + "]\nc: [*b,\n *b]": [("MX005", 4, 2)],
    "- x\n" * 10_001: [("MX005", 10_000, 3)],
    "x" * (MAX_BYTES + 1): [("MX005", 1, 1)],
    "é" * (MAX_BYTES // 2 + 1): [("MX005", 1, 1)],
    "a: b\x07\r\nc: \x00\n": [("MX006", 1, 5), ("MX006", 2, 4)],
    "a: b\u2028\rc: \x85\n": [("MX006", 1, 5), ("MX006", 2, 4)],
    'a: "\\e[31m"': [("MX006", 1, 4)],
    "a: \ud800": [("MX006", 1, 4)],
    "a: {<<: 1}\n<<: 2": [("MX007", 1, 5), ("MX007", 2, 1)],
    "a: 1\n---\nb: 2\n": [("MX008", 2, 1)],
    "[a]: 1\n? {b: 1}\n: 2": [("MX009", 1, 1), ("MX009", 2, 3)],
    "a: &a [1]\n*a : 2": [("MX009", 2, 1)],
    "": [("MX010", 1, 1)],
    "# nothing\n": [("MX010", 1, 1)],
    "---\n": [("MX010", 1, 1)],
    "a: 12345678901234567890\nb: 1e999\nc: 0x11111111111111111111": [("MX011", 1, 4), ("MX011", 2, 4), ("MX011", 3, 4)],
    "a: b: c": [("MX002", 1, 5)],
    "a: 'b\nc: d\n": [("MX002", 1, 4)],
    "a:\n\tb: 1": [("MX002", 2, 1)],
    "a: 1\nfoo\nb: 2": [("MX002", 2, 1)],
    "a: *b": [("MX002", 1, 4)],
    "a: [1, 2": [("MX002", 1, 4)],
    "a: 1\na: 2\nb: @": [("MX003", 2, 1), ("MX002", 3, 4)],
}  # fmt: skip


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:24]))
def test_refused(text: str) -> None:
    assert places(text) == REFUSED[text]


def test_every_code_of_a_text_is_tested() -> None:
    assert {row[0] for rows in REFUSED.values() for row in rows} == CODES - {"MX001"}


def test_duplicates_name_both_lines() -> None:
    assert str(problems("b: {\n a: 1,\n a: 2}")[0]) == (
        "x.yaml:3:2: MX003 key 'a' given twice, lines 2 and 3 (keep one of them)"
    )
    assert problems("b: {\n a: 1,\n a: 2}")[0].where == ("b", "a")


@pytest.mark.usefixtures("parser")
def test_an_empty_key_is_refused() -> None:
    assert [problem.code for problem in problems("a: {? : 3}")] == ["MX009"]


@pytest.mark.usefixtures("parser")
def test_tabs_get_a_hint() -> None:
    assert "tab" in problems("a:\n\tb: 1")[0].what and "spaces" in problems("a:\n\tb: 1")[0].hint


SYNTAX = ["a: b: c", "a: - b", "a: 'x", "a: [1}", "a: {b: 1", 'a: "\\q"', "a: *", "a: &", "a: @x", "a: ]", "%FOO"]
SYNTAX += ["%YAML 3.0\n---\na", "{a: 1}}", "a: > x", "- a\nb: 1", "a: 1\n- b", "a: 1\nb", 'a: "x" y', "a: |\n\tx"]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", SYNTAX)
def test_syntax_errors_say_what_to_do_in_one_line(text: str) -> None:
    (problem,) = problems(text)
    assert problem.code == "MX002" and problem.hint and "\n" not in str(problem)


def test_encodings() -> None:
    assert load("\ufeffa: é".encode()).data == load("\ufeffa: é").data == {"a": "é"}
    assert load("\ufeffa: é".encode()).locate_key(("a",)) == Span(1, 1, 1, 2)
    assert places("a: b".encode("utf-16")) == places("a: b".encode("utf-16-be")) == [("MX006", 1, 1)]
    assert places("a: b".encode("utf-16-le")) == [("MX006", 1, 2)]
    assert places(b"a: \xc3\xa9\n\xc3\xa9: \xff b\n\xfe") == [("MX006", 2, 4), ("MX006", 3, 1)]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_agree_with_an_editor(newline: str) -> None:
    doc = load(newline.join(["# é", "a: 1", "", "é–𝄞: {x: 'y'}", ""]))
    assert doc.locate(("é–𝄞", "x")) == Span(4, 10, 4, 13)
    assert doc.keys["é–𝄞",] == Span(4, 1, 4, 4)


@pytest.mark.usefixtures("parser")
def test_spans_of_values_and_keys() -> None:
    doc = load("name: x  # note\nlist:\n  - a: 1\n    b: [2, 3]\n\n  - |\n    text\n\n# end\nlast:\n")
    assert doc.data == {"name": "x", "list": [{"a": 1, "b": [2, 3]}, "text\n"], "last": None}
    assert doc.spans == {
        (): Span(1, 1, 10, 6), ("name",): Span(1, 7, 1, 8), ("list",): Span(3, 3, 7, 9),
        ("list", 0): Span(3, 5, 4, 14), ("list", 0, "a"): Span(3, 8, 3, 9), ("list", 0, "b"): Span(4, 8, 4, 14),
        ("list", 0, "b", 0): Span(4, 9, 4, 10), ("list", 0, "b", 1): Span(4, 12, 4, 13),
        ("list", 1): Span(6, 5, 7, 9), ("last",): Span(10, 6, 10, 6),
    }  # fmt: skip
    assert doc.keys["list", 0, "b"] == Span(4, 5, 4, 6)
    assert ("list", 1) not in doc.inline


@pytest.mark.usefixtures("parser")
def test_a_missing_value_at_the_end_stays_on_the_last_line() -> None:
    assert load("? ab").locate(("ab",)) == Span(1, 5, 1, 5)


def test_locate_never_fails() -> None:
    doc = load("a: {b: 1}\n")
    assert doc.locate(("a", "x", 3)) == doc.locate(("a",)) == Span(1, 4, 1, 10)
    assert doc.locate_key(("a", "x")) == Span(1, 4, 1, 10)
    assert doc.locate(("zzz",)) == doc.locate(())


@pytest.mark.parametrize("quoted", ["{}", "'{}'", '"{}"', "&n {}", '&n  "{}"'])
def test_tokens_inside_notation(quoted: str) -> None:
    notation = "Hpx in stages 1–2, attention in stages 3–4"
    doc = load(f"mixers: {quoted.format(notation)}\n")
    for word in ("Hpx", "1–2", "attention", "3–4"):
        assert cut(doc, doc.token(("mixers",), notation.index(word), len(word))) == word


@pytest.mark.parametrize("text", ["a: b\n  c d", "a: 'it''s it'", 'a: "\\t b c"', "a: >\n b c", "x: &x b c\na: *x"])
def test_token_falls_back_to_the_whole_value(text: str) -> None:
    doc = load(text)
    assert doc.token(("a",), 1, 2) == doc.locate(("a",))


def test_token_beyond_the_value() -> None:
    doc = load("a: 'bc'")
    assert doc.token(("a",), 2, 0) == Span(1, 7, 1, 7)
    assert doc.token(("a",), 2, 1) == doc.token(("a",), -1, 1) == doc.locate(("a",))


@pytest.mark.usefixtures("parser")
def test_aliases_point_to_their_token_and_children_to_the_original() -> None:
    doc = load("a: &x {k: [1]}\nb: *x\nc: &y name\n*y : 2\n")
    assert doc.data == {"a": {"k": [1]}, "b": {"k": [1]}, "c": "name", "name": 2}
    assert doc.data["a"] is not doc.data["b"]
    assert cut(doc, doc.locate(("b",))) == "*x"
    assert doc.locate(("b", "k", 0)) == doc.locate(("a", "k", 0)) == Span(1, 12, 1, 13)
    assert doc.locate_key(("b", "k")) == doc.locate_key(("a", "k"))
    assert cut(doc, doc.keys["name",]) == "*y"


def test_depth_counts_aliases() -> None:
    levels = 26
    text = "a: &a " + "[" * levels + "]" * levels + "\nb: " + "[" * levels + "*a" + "]" * levels
    assert [code for code, *_ in places(text)] == ["MX005"]


def test_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "hpx_s18.yaml").write_bytes("a: é\r\n".encode())
    doc = read(tmp_path / "hpx_s18.yaml")
    assert doc.data == {"a": "é"} and doc.source == str(tmp_path / "hpx_s18.yaml")
    assert read(tmp_path / "hpx_s18.yaml", "<spec>").source == "<spec>"


@pytest.mark.parametrize("name", ["hpx_s81.yaml", "no/such.yaml", ".", "a\0b", "n" * 5000])
def test_unreadable(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "hpx_s18.yaml").write_text("a: 1")
    with pytest.raises(SpecError) as caught:
        read(tmp_path / name, "x.yaml")
    (problem,) = caught.value.problems
    assert problem.code == "MX001" and problem.span and problem.source == "x.yaml" and "\n" not in str(problem)
    if name == "hpx_s81.yaml":
        assert problem.hint == "did you mean hpx_s18.yaml?"


def test_a_large_file_is_not_read_whole(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SpecError, match="MX005"):
        read(tmp_path / "big.yaml")


def test_import_is_light() -> None:
    code = "import sys, mixspec.compiler.document; print({'torch', 'pydantic', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def strings(value: object, path: Path = ()) -> list[tuple[Path, str]]:
    if isinstance(value, str):
        return [(path, value)]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [row for name, child in pairs for row in strings(child, (*path, name))]


LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\u2028\u2029\ufeff")
NOTATIONS = ["Hpx in stages 1–2", "it's", 'a "b"', "- x", "a: b", "#c", "CADA b=(8,16)", "𝄞"]
WORDS = st.one_of(st.text(LETTERS, max_size=12), st.sampled_from(NOTATIONS))
LEAVES = st.one_of(WORDS, st.integers(-(10**18), 10**18), st.floats(allow_nan=False), st.booleans(), st.none())
TREES = st.recursive(LEAVES, lambda t: st.lists(t, max_size=4) | st.dictionaries(WORDS, t, max_size=4), max_leaves=12)


@given(TREES, st.sampled_from([None, True, False]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_round_trip(tree: object, flow: bool | None, newline: str) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=flow, width=40).replace("\n", newline)
    doc = load(text)
    assert doc.data == tree
    for path, value in strings(tree):
        if path in doc.inline:
            assert cut(doc, doc.token(path, 0, len(value))) == value
    for path, span in doc.keys.items():
        assert doc.locate_key(path) == span


PIECES = [
    *"abé𝄞:-?#&*!|>'\"%@`[]{},~<\\ \t\n\r01.e+_",
    ": ",
    "- ",
    "\n  ",
    "&a ",
    "*a",
    "<<: ",
    "---\n",
    "\0",
    "!!str ",
]
PIECES += ['"\\U99999999"', '"\\x', "%YAML 1.", "\ufeff", "\x85", "\ud800", "0x", "9" * 20]
YAMLISH = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "python"])
@given(text=st.one_of(st.text(), YAMLISH, st.binary(), YAMLISH.map(lambda text: text.encode("utf-8", "replace"))))
def test_arbitrary_input_raises_nothing_else(pure: bool, text: str | bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setattr(events, "_PARSER", yaml.SafeLoader)
        try:
            doc = load(text, "x")
        except SpecError as error:
            assert error.problems and all(p.span and p.source == "x" and p.code in CODES for p in error.problems)
            assert "\n" not in str(error.problems[0])
            return
    lines = len(NEWLINE.split(doc.text))
    assert all(1 <= span.line <= span.end_line <= lines for span in doc.spans.values())
    assert set(doc.inline) <= set(doc.spans)
    assert () in doc.spans and set(doc.keys) <= set(doc.spans)
