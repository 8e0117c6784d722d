"""The lock file: what a name on the Hub meant, and that nothing else is taken for it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commands import run
from huggingface_hub import constants

from mixspec.compiler.errors import SpecError
from mixspec.compiler.resolve import Network
from mixspec.zoo.load import fresh
from mixspec.zoo.lock import Lock, read
from mixspec.zoo.weights import save

from .loopback.server import Hub

URL = "hf://org/tiny"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def content(tiny: Network, seed: int, folder: Path) -> bytes:
    save(fresh(tiny, seed), folder / "a.safetensors")
    return (folder / "a.safetensors").read_bytes()


def test_a_locked_pull_takes_what_was_locked(hub: Hub, tiny: Network, tmp_path: Path) -> None:
    old = content(tiny, 1, tmp_path)
    commit = hub.put("org/tiny", {"model.safetensors": old})
    code, said = run("pull", URL, "--lock")
    assert code == 0 and said.endswith("wrote mixspec.lock: 1 locked\n")
    pin = read(Path("mixspec.lock")).find(URL)
    assert (pin.url, pin.repo, pin.commit, pin.size) == (URL, "org/tiny", commit, len(old))
    assert pin.spec_digest == tiny.digest
    hub.put("org/tiny", {"model.safetensors": content(tiny, 2, tmp_path)})
    for words in ((), (URL,)):
        found = json.loads(run("pull", "--locked", *words, "--json")[1])
        assert [(one["commit"], one["sha256"], one["name"]) for one in found] == [(commit, pin.sha256, "tiny")]
    assert json.loads(run("pull", URL, "--json")[1])[0]["commit"] != commit
    assert run("pull", URL, "--lock")[0] == 0
    assert read(Path("mixspec.lock")).find(URL).commit != commit


def test_equal_pulls_write_equal_locks_in_order(hub: Hub, tiny: Network, tmp_path: Path) -> None:
    hub.put("org/tiny", {"model.safetensors": content(tiny, 1, tmp_path)})
    hub.put("org/b", {"model.safetensors": content(tiny, 2, tmp_path), "config.json": b"{}"})
    run("pull", URL, "hf://org/b", "hf://org/b/config.json", "--lock")
    first = Path("mixspec.lock").read_bytes()
    run("pull", "hf://org/b", "--lock")
    assert Path("mixspec.lock").read_bytes() == first
    pins = read(Path("mixspec.lock")).weights
    assert [pin.url for pin in pins] == ["hf://org/b", "hf://org/b/config.json", URL]
    assert [pin.spec_digest is None for pin in pins] == [False, True, False]


def test_a_locked_pull_works_offline(hub: Hub, tiny: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("org/tiny", {"model.safetensors": content(tiny, 1, tmp_path)})
    run("pull", URL, "--lock")
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert run("pull", "--locked")[0] == 0
    assert not hub.requests


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("sha256", "0" * 64, r"MX855 hf://org/tiny: sha256 \w{12} came, the lock says 000000000000"),
        ("size", 7, "MX855 hf://org/tiny: size .* came, the lock says 7"),
        ("spec_digest", "0" * 64, "MX855 hf://org/tiny: spec .*, the lock says 000000000000"),
        ("commit", "0" * 40, "MX852 hf://org/tiny@0+: the repository has no such revision"),
    ],
)
def test_another_file_is_refused(hub: Hub, tiny: Network, tmp_path: Path, key: str, value: object, told: str) -> None:
    hub.put("org/tiny", {"model.safetensors": content(tiny, 1, tmp_path)})
    run("pull", URL, "--lock")
    pin = read(Path("mixspec.lock")).find(URL)
    Lock().having(pin.model_copy(update={key: value})).write(Path("mixspec.lock"))
    output = tmp_path / "out.safetensors"
    code, said = run("pull", "--locked", URL, "--output", output)
    assert code == 1 and re.match(told, said), said
    assert len(said.splitlines()) == 1 and not output.exists()


def test_what_is_not_in_the_lock_is_refused(hub: Hub, tiny: Network, tmp_path: Path) -> None:
    hub.put("org/tiny", {"model.safetensors": content(tiny, 1, tmp_path)})
    run("pull", URL, "--lock")
    code, said = run("pull", "hf://org/tony", "--locked")
    assert (code, said) == (1, "MX855 hf://org/tony is not in the lock (did you mean hf://org/tiny?)\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "a lock is a mapping"),
        ("version: 2", "version"),
        ("weights:\n  - url: hf://a/b\n", "mixspec.lock:2:"),
        ("version: 1\nweights: []\nmore: 1", "mixspec.lock:3:1"),
        ("weights: [{url: x}]", "mixspec.lock:1:"),
        ("weights: {", "mixspec.lock:1:"),
    ],
)
def test_broken_locks_are_complaints(hub: Hub, text: str, told: str) -> None:
    Path("mixspec.lock").write_text(text)
    with pytest.raises(SpecError, match=told):
        read(Path("mixspec.lock"))
    code, said = run("pull", "--locked")
    assert code == 1 and "Traceback" not in said
    assert not hub.requests


def test_a_missing_lock_is_told(hub: Hub) -> None:
    assert run("pull", "--locked") == (1, "mixspec.lock:1:1: MX001 no such file\n")


@pytest.mark.parametrize("words", [(), (URL, "--lock", "--locked"), (URL, "hf://a/b", "-o", "x")], ids=str)
def test_wrong_usage(hub: Hub, words: tuple[str, ...]) -> None:
    assert run("pull", *words)[0] == 2
    assert not hub.requests
