"""Pulling and pushing, against a Hub on loopback that speaks the protocol over real HTTP."""

from __future__ import annotations

import hashlib
import pickle
import socket
from pathlib import Path

import pytest
import torch
from httpx2 import ConnectError
from huggingface_hub import constants

import mixspec
from mixspec.compiler.resolve import Network
from mixspec.zoo import reach
from mixspec.zoo.hub import Address, is_remote, local, pull
from mixspec.zoo.huberrors import HubError
from mixspec.zoo.load import fresh
from mixspec.zoo.weights import save

from .loopback.client import files
from .loopback.server import Hub
from .loopback.values import SIGNATURE, TOKEN

REPO = "org/tiny"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("hf://org/name", Address("org/name")),
        ("hf:/org/name", Address("org/name")),  # as a path has it
        ("hf://org/name@v1.0", Address("org/name", "v1.0")),
        ("hf://org/name@refs/pr/3", Address("org/name", "refs/pr/3")),
        ("hf://org/name@main/sub/a.safetensors", Address("org/name", "main", "sub/a.safetensors")),
        ("hf://models/org/name/b.safetensors", Address("org/name", "main", "b.safetensors")),
    ],
)
def test_addresses(url: str, address: Address) -> None:
    assert is_remote(url) and is_remote(Path(url))
    assert Address.parse(url) == Address.parse(str(address)) == address


@pytest.mark.parametrize("url", ["hf://", "hf://name", "hf://datasets/org/name", "hf://org/name@", "hf://a b/c"])
def test_what_is_no_address_gives_one_line(url: str) -> None:
    with pytest.raises(HubError, match=r"MX851 .*hf://org/name@revision") as caught:
        local(url)
    assert len(str(caught.value).splitlines()) == 1


def test_paths_stay_paths() -> None:
    assert local("a.safetensors") == local(Path("a.safetensors")) == Path("a.safetensors")


def test_weights_come_from_the_hub(hub: Hub, weights: Path, cache: Path) -> None:
    commit = hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    held = pull(Address(REPO))
    content = weights.read_bytes()
    assert held.path.read_bytes() == content
    assert (held.commit, held.size, held.sha256) == (commit, len(content), hashlib.sha256(content).hexdigest())
    assert held.path.is_symlink() and held.path.is_relative_to(cache)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(mixspec.load(f"hf://{REPO}")(x), mixspec.load(weights)(x))


def test_no_token_leaves_the_hub_s_own_host(hub: Hub, weights: Path) -> None:
    hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    hub.repos[REPO].private = True
    pull(Address(REPO))
    by_host = {seen.path.split("/")[1]: seen.headers.get("authorization") for seen in hub.requests}
    assert by_host == {"org": f"Bearer {TOKEN}", "storage": None}


def test_second_pull_downloads_nothing(hub: Hub, weights: Path) -> None:
    commit = hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    first = pull(Address(REPO))
    hub.requests.clear()
    assert pull(Address(REPO)) == first
    assert [seen.method for seen in hub.requests] == ["HEAD"]
    assert pull(Address(REPO, commit)).path == first.path  # a commit does not change, so nobody is asked
    assert len(hub.requests) == 1


def test_revisions(hub: Hub, weights: Path, tiny: Network, tmp_path: Path) -> None:
    old = hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    hub.repos[REPO].refs["v1"] = old
    save(fresh(tiny, 2), tmp_path / "new.safetensors")
    hub.put(REPO, {"model.safetensors": (tmp_path / "new.safetensors").read_bytes()})
    assert local(f"hf://{REPO}@v1").read_bytes() == weights.read_bytes() == local(f"hf://{REPO}@{old}").read_bytes()
    assert local(f"hf://{REPO}").read_bytes() == (tmp_path / "new.safetensors").read_bytes()


def test_offline_the_cache_answers(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    held = pull(Address(REPO))
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pull(Address(REPO)) == held
    with pytest.raises(HubError, match=r"MX853 hf://org/tiny@v2: not in the cache, and HF_HUB_OFFLINE is set"):
        local(f"hf://{REPO}@v2")
    assert not hub.requests


NO_NAME, NOT_NOW = (socket.gaierror(code, "look-up failed") for code in (socket.EAI_NONAME, socket.EAI_AGAIN))


@pytest.mark.parametrize(
    ("failure", "connected", "proxy", "certain"),
    [
        (None, True, "", False),
        (NO_NAME, True, "", True),
        (NO_NAME, True, "https_proxy", False),
        (NO_NAME, True, "ALL_PROXY", False),
        (NO_NAME, True, "http_proxy", True),  # which is asked for other addresses
        (NOT_NOW, True, "", False),
        (NOT_NOW, False, "", True),
        (NOT_NOW, False, "https_proxy", False),
    ],
)
def test_only_what_is_certain_keeps_the_client_from_trying(
    failure: OSError | None, connected: bool, proxy: str, certain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, *_: object, **__: object) -> list[object]:
        assert host == "mirror.example"
        if failure:
            raise failure
        return []

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://user:secret@mirror.example:8443/hub")
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(reach, "connected", lambda: connected)
    if proxy:
        monkeypatch.setenv(proxy, "http://127.0.0.1:3128")
    assert (reach.unreachable() is not None) is certain
    monkeypatch.setenv("no_proxy", "mirror.example")
    assert (reach.unreachable() is not None) is (failure is NO_NAME or not connected)


def test_without_a_network_it_is_said_at_once(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    held = pull(Address(REPO))
    hub.requests.clear()
    monkeypatch.setattr("mixspec.zoo.hub.unreachable", lambda: ConnectError("[Errno -2] Name or service not known"))
    with pytest.raises(HubError, match=r"MX853 hf://org/tiny@v2: .* cannot be reached: name or service not known"):
        local(f"hf://{REPO}@v2")
    assert not hub.requests
    assert pull(Address(REPO)) == held  # of what is in the cache the client is asked, who may be right


def test_a_machine_is_connected_where_a_way_leads_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SOMEWHERE", [(socket.AF_INET, "127.0.0.1")])
    assert reach.connected()
    monkeypatch.setattr(reach, "SOMEWHERE", [(socket.AF_INET, "255.255.255.255")])  # needs permission to be sent to
    assert not reach.connected()


def test_without_links_in_the_cache(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    held = pull(Address(REPO))
    assert not held.path.is_symlink() and held.path.read_bytes() == weights.read_bytes()
    held.path.write_bytes(b"x" + weights.read_bytes()[1:])
    with pytest.raises(HubError, match="MX854"):
        pull(Address(REPO))
    assert pull(Address(REPO)) == held


def test_small_files_have_git_s_digest(hub: Hub) -> None:
    hub.put(REPO, {"config.json": b"{}"})
    assert pull(Address(REPO, file="config.json")).sha256 == hashlib.sha256(b"{}").hexdigest()


def test_a_file_damaged_in_the_cache_is_taken_out_of_it(hub: Hub, weights: Path, cache: Path) -> None:
    hub.put(REPO, {"model.safetensors": weights.read_bytes()})
    blob = pull(Address(REPO)).path.resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(HubError, match=r"MX854 hf://org/tiny: sha256 \w{12} was announced, \w{12} came"):
        local(f"hf://{REPO}")
    assert not [name for name in files(cache) if "refs" not in name]
    assert local(f"hf://{REPO}").read_bytes() == weights.read_bytes()


def test_a_pickle_from_the_hub_is_not_opened(hub: Hub) -> None:
    hub.put(REPO, {"model.safetensors": pickle.dumps({"a": 1})})
    with pytest.raises(mixspec.zoo.weights.WeightsError, match="MX801 a pickle"):
        mixspec.load(f"hf://{REPO}")


def test_messages_hold_no_secrets(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    from mixspec.zoo.huberrors import redacted

    secret = f"asked {hub.url}/x?{SIGNATURE} with Bearer {TOKEN} for https://user:pass@mirror.org/a and hf_abcdefgh123"
    said = redacted(secret)
    assert not any(word in said for word in (TOKEN, SIGNATURE, "user:pass", "hf_abcdefgh123"))
