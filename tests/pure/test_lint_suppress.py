"""Comments that silence findings, and the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mixspec.compiler.lint.config import Config, ConfigError, find, load
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.fixing import fix

BAD = "name: x\nfamily: metaformer\nsize: s12\nmixers: attention Ch=24{}\ndescription: x\n"


def codes(text: str, config: Config | None = None) -> list[str]:
    return [finding.code for finding in lint(text, "<stdin>", config)]


@pytest.mark.parametrize(
    "comment",
    [
        " # mixspec: ignore[MX203]",
        "  # why not # mixspec: ignore[MX203]",
        " # mixspec: ignore",
        " # mixspec:ignore [MX2]",
        "\n# mixspec: ignore-file[MX203]",
    ],
)
def test_silenced(comment: str) -> None:
    assert codes(BAD.format(comment)) == []


def test_a_line_of_its_own_holds_for_the_next() -> None:
    text = BAD.format("").replace("mixers", "# mixspec: ignore[MX203]\n# another\n\nmixers")
    assert codes(text) == []
    assert codes(text.replace("\nmixers", "\nimage: 224\nmixers")) == ["MX508", "MX203"]


def test_only_comments_count() -> None:
    assert codes(BAD.format("").replace("description: x", "description: 'x # mixspec: ignore-file[MX203]'")) == [
        "MX203"
    ]
    assert codes(BAD.format("").replace("x\n", "x#mixspec: ignore-file\n", 1)) != []


def test_an_idle_comment_is_found_and_removed() -> None:
    text = BAD.replace("Ch=24", "Ch=32").format("  # mixspec: ignore[MX203]")
    assert codes(text) == ["MX508"]
    assert fix(text, "<stdin>", Config()).text == BAD.replace("Ch=24", "Ch=32").format("")
    assert codes(text, Config(ignore=("MX203",))) == []  # the rule did not run
    both = BAD.format(" # mixspec: ignore[MX203, MX204]")
    assert codes(both) == ["MX508"]


def test_an_unknown_code() -> None:
    [finding] = lint(BAD.format(" # mixspec: ignore[MX203, MX230]"), "<stdin>")
    assert finding.code == "MX509" and "MX203" in finding.hint


@pytest.mark.parametrize("comment", ["ignore MX203", "ignore: MX203, MX105", "ignore = MX203 for the paper's head"])
def test_codes_without_brackets_are_codes(comment: str) -> None:
    assert "MX203" not in codes(BAD.format(f"  # mixspec: {comment}"))
    assert "MX203" in codes(BAD.format(f"  # mixspec: {comment.replace('MX203', 'MX204')}"))


def test_the_longer_prefix_wins() -> None:
    config = Config(select=("MX", "MX203"), ignore=("MX2",))
    assert config.selects("MX203") and not config.selects("MX204") and config.selects("MX101")
    assert not Config(ignore=("MX203",)).selects("MX203")


def test_configuration_of_the_nearest_project(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.mixspec]\nignore = ["MX5"]\nmax-params = "30M"\nmax_macs = 5\n'
        'per-file-ignores = { "a/*" = ["MX203"] }\n',
        encoding="utf-8",
    )
    config = find(tmp_path / "a" / "b")
    assert config.budget == {"max_params": 30_000_000, "max_macs": 5}
    assert not config.selects("MX501") and config.selects("MX203")
    assert not config.selects("MX203", str(tmp_path / "a" / "b" / "x.yaml"))


@pytest.mark.parametrize(
    "wrong, said",
    [
        ("max-params = 'many'", "max-params must be a number such as 30M or 5G, not 'many'"),
        ("max-macs = -1", "max-macs must be a number such as 30M or 5G, not -1"),
        ("select = 'MX2'", "select must be a list of words"),
        ("selct = []", "unknown key 'selct' in tool.mixspec (did you mean select?)"),
        ("ignore = [1]", "ignore must be a list of words"),
        ("ignore = ['MX2', 'mx203']", "ignore: no rule has a code 'mx203' (did you mean MX203 "),
        ("select = ['']", "select: no rule has a code ''"),
        ("per-file-ignores = 3", "per-file-ignores must be a table of patterns"),
        ("per-file-ignores = {'a*' = ['MX999']}", "a*: no rule has a code 'MX999'"),
        ("targets = ['onxx']", "targets: unknown target 'onxx' (did you mean onnx?)"),
    ],
)
def test_wrong_configuration(tmp_path: Path, wrong: str, said: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f"[tool.mixspec]\n{wrong}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"pyproject.toml: {said}")):
        load(file)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"tool = 3", "tool.mixspec must be a table"),
        (b"[tool]\nmixspec = 3", "tool.mixspec must be a table"),
        (b"[tool.mixspec", "Expected ']'"),
        (b"\xff\xfe", "the file is not UTF-8"),
        (None, "no such file or directory"),
    ],
)
def test_a_configuration_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "wrong.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"wrong.toml: {said}")):
        load(file)
