"""Whatever a file holds: findings with places, soon, in little memory, and never an exception."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixspec.compiler.edits import split_lines
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.finding import Finding
from mixspec.compiler.lint.fixing import fix

SMALL = "name: small\nfamily: metaformer\nsize: s12\nmixers: SepConv\n"
SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*/*.yaml"))
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

NASTY: dict[str, bytes] = {
    "nothing": b"",
    "only a mark": b"\xef\xbb\xbf",
    "alias bomb": BOMB.encode(),
    "deep lists": b"a: " + b"[" * 20_000 + b"]" * 20_000,
    "deep lists left open": b"a: " + b"[" * 100_000,
    "deep mappings": b"".join(b" " * depth + b"a:\n" for depth in range(2_000)),
    "megabyte scalar": b"name: " + b"x" * 1_000_000,
    "large scalar": b"name: " + b"x" * 250_000 + b"\n",
    "large notation": SMALL.replace("SepConv", "SepConv k=3, " * 15_000 + "SepConv").encode(),
    "large bracket": SMALL.replace("SepConv", "SepConv k=(" + "3," * 60_000 + "3)").encode(),
    "many keys": b"".join(b"k%d: 1\n" % index for index in range(9_000)),
    "one key many times": b"name: x\n" * 20_000,
    "many bad characters": b"\x07\x1b\x7f" * 50_000,
    "NUL bytes": SMALL.replace("s12", "s\x0012").encode(),
    "UTF-16": SMALL.encode("utf-16"),
    "no UTF-8": b"name: \xff\xfe\xc3(\n\x80\n" + SMALL.encode(),
    "tabs": SMALL.replace(": ", ":\t").encode() + b"budget:\n\tmax_params: 3\n",
    "mixed line ends": b"name: small\rfamily: metaformer\r\nsize: s12\nmixers: SepConv\r\r\n\n\r",
    "huge integers": SMALL.encode() + b"classes: " + b"9" * 200_000 + b"\n",
    "many digits": SMALL.replace("SepConv", "SepConv k=" + "9" * 100_000).encode(),
    "huge floats": SMALL.encode() + b"drop_path: 1e999999999\n",
    "a billion blocks": b"name: x\nfamily: metaformer\nmixers: SepConv\n"
    b"depths: [1000000000, 1, 1, 1]\ndims: [8, 8, 8, 8]\n",
    "many stages": b"name: x\nfamily: metaformer\nmixers: SepConv\ndepths: ["
    + b"1, " * 4_000
    + b"1]\ndims: ["
    + b"8, " * 4_000
    + b"8]\n",
    "wide": b"name: x\nfamily: metaformer\ndepths: [1, 1]\ndims: [8, 999999999999999999]\nmixers: attention Ch=7\n",
    "huge parameter": SMALL.replace("SepConv", "SepConv k=999999999999999999").encode(),
    "huge base": SMALL.replace("SepConv", "CADAsp b=99999999").encode(),
    "cyclic alias": b"name: &a [*a]\nfamily: &b {x: *b}\n",
    "merge keys": b"a: &a {type: SepConv}\nmixers:\n  <<: *a\n  <<: [*a, *a]\n" + SMALL.encode(),
    "tags": SMALL.replace("SepConv", "!!python/object/apply:os.system [ls]").encode(),
    "look-alike letters": SMALL.replace("SepConv", "SеpСоnv").replace("size", "sizе").encode(),
    "directions": SMALL.replace("s12", "\u202e21s").encode(),
    "emoji and wide text": SMALL.replace("small", "微小👩‍👩‍👧").encode() + "clasen: 3 # 界\n".encode(),
    "keys of all kinds": b"? [a, b]\n: c\n? {d: e}\n: f\n: g\n~: h\n1: 2\ntrue: no\n",
    "two documents": SMALL.encode() + b"---\n" + SMALL.encode() + b"...\n%YAML 3.0\n---\n",
    "a list": b"- name: small\n- family: metaformer\n",
    "a scalar": b"just some text: [with: trouble\n",
    "block scalars": SMALL.replace("SepConv", "|\n  SepConv k=3\n  in stages 1-2\n").encode(),
    "folded notation": SMALL.replace("SepConv", '"SepConv k=3\n  in stages 1-2,\n  attentoin"').encode(),
    "escapes": SMALL.replace("SepConv", r'"\x53epCnov \u006bk=3"').encode(),
    "quotes left open": SMALL.replace("SepConv", "'SepConv").encode() * 50,
    "colons": b"a: b: c: d\n" * 500,
    "brackets left open": b"a: [1, 2\nb: {c: d\n" * 500,
    "indentation up and down": b"".join(b" " * (index * 7 % 5) + b"k%d: v\n" % index for index in range(500)),
    "suppressions": (SMALL + "# mixspec: ignore[" + "MX1, " * 20_000 + "]\n").encode(),
    "every form in mixers": SMALL.replace("SepConv", "{1: {type: [a]}, 2-x: 3, '': null, 1-999: attention}").encode(),
    "stages": SMALL.replace("SepConv", "SepConv in stages 1-999 and 2, 3 to 1, 0").encode(),
    "published": SMALL.encode() + b"published: [1, {source: 3}, {source: x, params: 9e99M, flops: -}, null]\n",
    "recipe": SMALL.encode() + b"recipe: ../../../../etc/passwd\n",
    "image": SMALL.encode() + b"image: [[224], {a: b}]\n",
}


def check_places(findings: list[Finding], content: str | bytes) -> None:
    text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
    lines = split_lines(text.removeprefix("\ufeff"))
    for finding in findings:
        line, column, end_line, end_column = finding.span
        assert 1 <= line <= end_line <= len(lines) + 1
        assert (line, column) <= (end_line, end_column) and column >= 1
        assert line > len(lines) or column <= len(lines[line - 1]) + 1
        assert finding.what and len(finding.message) < 1_000


def timed(name: str) -> tuple[float, list[Finding]]:
    """Seconds of the processor, and the findings."""
    start = time.process_time()
    findings = lint(NASTY[name], f"{name}.yaml")
    return time.process_time() - start, findings


@pytest.mark.parametrize("name", NASTY)
def test_nasty_files(name: str) -> None:
    runs = (timed(name) for _ in range(3))  # the next one runs only where a busy machine made one slow
    findings = next((found for seconds, found in runs if seconds < 1), None)
    assert findings is not None, "it took more than a second, three times"
    assert findings
    check_places(findings, NASTY[name])


MEASURE = """
import re, sys
from mixspec.compiler.lint.engine import lint
lint(sys.stdin.buffer.read(), "x.yaml")
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""
"""Peak memory in MiB. Not from getrusage, which begins at that of the process that started this one."""


def test_memory() -> None:
    for name in (
        "alias bomb",
        "deep lists left open",
        "large notation",
        "a billion blocks",
        "many stages",
        "many keys",
    ):
        done = subprocess.run([sys.executable, "-c", MEASURE], input=NASTY[name], capture_output=True, check=True)
        assert int(done.stdout) < 300, name


EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = st.sampled_from(
    [
        "name",
        "family",
        "size",
        "depths",
        "dims",
        "mixers",
        "image",
        "norm",
        "head",
        "mlp",
        "published",
        "budget",
        "targets",
        "recipe",
        "x",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
NOTATION = st.text("SepConvattention=(),-–0123456789 instagesChk", max_size=30)
VALUES = st.recursive(
    SCALARS
    | NOTATION
    | st.sampled_from(["metaformer", "resnet", "swin", "s12", "attention Ch=7", "SepConv in stages 1-2"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS | st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@EXAMPLES
@given(st.text() | st.binary())
def test_any_text(content: str | bytes) -> None:
    check_places(lint(content, "x.yaml"), content)


@EXAMPLES
@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_values(data: dict[str, object]) -> None:
    text = json.dumps({"name": "x", "family": "metaformer", "mixers": "SepConv", **data}, ensure_ascii=False)
    check_places(lint(text, "x.yaml"), text)


@EXAMPLES
@given(NOTATION)
def test_any_notation(text: str) -> None:
    content = SMALL.replace("SepConv", json.dumps(text))
    check_places(lint(content, "x.yaml"), content)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A shipped spec with a few characters changed, left out or put in, or lines exchanged."""
    text = draw(
        st.sampled_from([path for path in SPECS if not path.name.startswith(("timm_", "volo", "svt"))])
    ).read_text("utf-8")
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 3))
        text = text[:start] + draw(st.text("aA1 :-,[]{}'\"#\n\t=&*!|>%@", max_size=3)) + text[end:]
    return text


@EXAMPLES
@given(damaged())
def test_damaged_specs_and_their_repair(text: str) -> None:
    check_places(lint(text, "x.yaml"), text)
    once = fix(text, "x.yaml", Config(), unsafe=True)
    assert fix(once.text, "x.yaml", Config(), unsafe=True).text == once.text


def test_repairs_that_undo_each_other_end_somewhere() -> None:
    text = '"name: a\nfamily: cvt\nclasses: 1depths: [1, 1, 1]\npublished:\n  - source: b\n    disputed: "c: d"\n'
    once = fix(text, "x.yaml", Config(), unsafe=True)
    assert fix(once.text, "x.yaml", Config(), unsafe=True).text == once.text
