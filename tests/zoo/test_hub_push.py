"""Pushing: one commit with everything, or nothing; and what it looks like from the other side."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from commands import run
from huggingface_hub import constants
from safetensors.torch import load_file

import mixspec
from mixspec.compiler.catalogue import find
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.hub import local
from mixspec.zoo.load import fresh, network
from mixspec.zoo.publish import Package, push
from mixspec.zoo.weights import WeightsError, header, save

from .loopback.server import Hub
from .loopback.values import PART_SIZE, READ_TOKEN, TOKEN

REPO = "org/tiny"
FILES = [".eval_results/digits.yaml", "LICENSE", "README.md", "config.json", "model.safetensors", "spec.yaml"]


def head(hub: Hub, ref: str = "main") -> dict[str, bytes]:
    repo = hub.repos[REPO]
    return repo.commits[repo.refs[ref]]


def test_everything_goes_in_one_commit(hub: Hub, weights: Path) -> None:
    code, said = run("push", weights, "--to", REPO)
    assert code == 0, said
    assert sorted(path for path in head(hub) if path != ".gitattributes") == FILES
    assert len(hub.repos[REPO].commits) == 2  # the Hub's own first one, and ours
    oid = hub.repos[REPO].refs["main"]
    assert said.endswith(f"\none commit on main of {REPO}, {oid[:12]}: {hub.url}/{REPO}/commit/{oid}\n")
    assert all(path in said for path in FILES)
    assert not hub.repos[REPO].private
    assert head(hub)["model.safetensors"] == weights.read_bytes()


def test_what_was_pushed_can_be_used(hub: Hub, weights: Path, tiny: Network) -> None:
    assert run("push", weights, "--to", REPO)[0] == 0
    x = torch.randn(2, 1, 8, 8)
    expected = mixspec.load(weights)(x)
    assert torch.equal(mixspec.load(local(f"hf://{REPO}"))(x), expected)
    files = head(hub)
    again = resolve(parse(files["spec.yaml"].decode()))
    assert (again.name, again.digest) == ("tiny", tiny.digest)
    results = yaml.safe_load(files[".eval_results/digits.yaml"])
    assert [row["value"] for row in results] == [51.5, 50.25]
    assert all(row["dataset"] == {"id": "digits", "task_id": "image-classification"} for row in results)
    assert "Apache License" in files["LICENSE"].decode()
    front = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert front["library_name"] == "mixspec"
    (result,) = front["model-index"][0]["results"]
    assert [metric["value"] for metric in result["metrics"]] == [51.5, 50.25]
    assert "validation" in result["metrics"][0]["name"] and "test" in result["metrics"][1]["name"]


def test_timm_makes_the_model_from_the_repository(hub: Hub, weights: Path) -> None:
    import timm

    import mixspec.zoo.timm_bridge

    assert run("push", weights, "--to", REPO)[0] == 0
    x = torch.randn(2, 1, 8, 8)
    model = timm.create_model(f"hf-hub:{REPO}", pretrained=True).eval()
    assert torch.equal(model(x), mixspec.load(weights)(x))


def test_dry_run_says_exactly_what_a_push_does(hub: Hub, weights: Path) -> None:
    code, said = run("push", weights, "--to", REPO, "--dry-run", "--json")
    plan = json.loads(said)
    assert code == 0 and not hub.requests
    assert run("push", weights, "--to", REPO)[0] == 0
    pushed = head(hub)
    assert {(f["path"], f["bytes"], f["sha256"]) for f in plan["files"]} == {
        (path, len(content), hashlib.sha256(content).hexdigest())
        for path, content in pushed.items()
        if path != ".gitattributes"
    }
    said = run("push", weights, "--to", REPO, "--dry-run")[1]
    assert said.endswith(f"would be one commit on main of {REPO}: nothing was sent\n")
    code, said = run("push", weights, "--to", REPO, "--dry-run", "--show", "config.json")
    assert said.encode() == pushed["config.json"]


def test_equal_weights_are_not_pushed_again(hub: Hub, weights: Path) -> None:
    run("push", weights, "--to", REPO)
    commits = len(hub.repos[REPO].commits)
    code, said = run("push", weights, "--to", REPO)
    assert code == 0 and f"{REPO} has all of it already, at {hub.repos[REPO].refs['main'][:12]}" in said
    assert len(hub.repos[REPO].commits) == commits


def test_pull_request(hub: Hub, weights: Path) -> None:
    hub.put(REPO, {"README.md": b"old"})
    code, said = run("push", weights, "--to", REPO, "--pr")
    assert code == 0 and said.endswith(f"{hub.url}/{REPO}/discussions/1\n")
    assert head(hub) == {"README.md": b"old"}
    assert sorted(head(hub, "refs/pr/1")) == FILES
    assert local(f"hf://{REPO}@refs/pr/1").read_bytes() == weights.read_bytes()


def test_private_repository(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("push", weights, "--to", REPO, "--private")[0] == 0
    assert hub.repos[REPO].private
    assert run("pull", f"hf://{REPO}")[0] == 0
    monkeypatch.delenv("HF_TOKEN")
    code, said = run("pull", f"hf://{REPO}@refs/pr/9")
    assert code == 1 and "MX852" in said and "or a private one (if it is private, log in" in said


def test_private_weights_do_not_go_into_a_public_repository(hub: Hub, weights: Path) -> None:
    hub.put(REPO, {"README.md": b"old"})
    code, said = run("push", weights, "--to", REPO, "--private")
    assert (code, len(hub.repos[REPO].commits)) == (1, 1)
    assert said == f"MX856 hf://{REPO}: it is there already, and public (make it private on its page)\n"


def test_damaged_weights_are_not_pushed(hub: Hub, weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    (tmp_path / "a.safetensors").write_bytes(content)
    code, said = run("push", tmp_path / "a.safetensors", "--to", REPO)
    assert code == 1 and "MX803 the tensors have sha256" in said
    assert not hub.requests


def test_large_files_go_in_parts(hub: Hub, tmp_path: Path) -> None:
    save(fresh(network("digits_dw"), 1), tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_size > 2 * PART_SIZE
    push(Package.of(tmp_path / "a.safetensors"), REPO)
    assert len(hub.parts) > 2
    assert head(hub)["model.safetensors"] == (tmp_path / "a.safetensors").read_bytes()
    assert head(hub)["spec.yaml"] == find("digits_dw").read_bytes()  # as it ships, with its comments


def test_ported_weights_want_a_licence(tiny: Network, tmp_path: Path) -> None:
    save(fresh(tiny), tmp_path / "a.safetensors", metrics={"from": "hf://timm/x"})
    with pytest.raises(WeightsError, match=r"MX856 the weights come from hf://timm/x, whose licence"):
        Package.of(tmp_path / "a.safetensors")
    save(fresh(tiny), tmp_path / "a.safetensors", recipe={"ported": {"layout": "x", "file": "theirs.pth"}})
    with pytest.raises(WeightsError, match=r"MX856 the weights come from theirs\.pth.*name it: --license FILE"):
        Package.of(tmp_path / "a.safetensors")
    (tmp_path / "LICENSE").write_text("MIT")
    texts = Package.of(tmp_path / "a.safetensors", tmp_path / "LICENSE").texts
    assert texts["LICENSE"] == "MIT"
    front = yaml.safe_load(texts["README.md"].split("---")[1])
    assert (front["license"], front["license_link"]) == ("other", "LICENSE")


@pytest.mark.parametrize("repo", ["tiny", "a/b/c", "org/a b", "org/tiny@main", "datasets/x", ""])
def test_what_is_no_repository_is_refused(hub: Hub, weights: Path, repo: str) -> None:
    code, said = run("push", weights, "--to", repo)
    assert code == 1 and "MX851" in said and len(said.splitlines()) == 1
    assert not hub.requests


def test_without_a_token_nobody_is_asked(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    code, said = run("push", weights, "--to", REPO)
    assert (code, said) == (
        1,
        f"MX852 hf://{REPO}: there is no token to push with (log in with `hf auth login`, or set HF_TOKEN)\n",
    )
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in run("push", weights, "--to", REPO)[1]
    assert not hub.requests


@pytest.mark.parametrize(
    "words", [("--pr", "--private"), ("--show", "LICENSE"), ("--dry-run", "--show", "nope")], ids=str
)
def test_wrong_usage(weights: Path, words: tuple[str, ...]) -> None:
    assert run("push", weights, "--to", REPO, *words)[0] == 2


def test_the_commands_in_a_process_of_their_own(hub: Hub, weights: Path, tmp_path: Path) -> None:
    """With the settings as a user makes them, and with nothing of the client replaced."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    link = tmp_path / "out.safetensors"
    run("push", weights, "--to", REPO)
    for words, token in (
        (["pull", f"hf://{REPO}", "--output", str(link)], TOKEN),
        (["push", str(weights), "--to", "org/other"], READ_TOKEN),
    ):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", "from mixspec.cli import main; main()", *words],
            env={**kept, **settings, "HF_TOKEN": token}, cwd=tmp_path, text=True, capture_output=True, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert token not in said and "Traceback" not in said
        assert done.returncode == (0 if token == TOKEN else 1), said
    assert "MX852 hf://org/other: the token may not do this: You don't have the rights" in done.stderr
    assert not link.is_symlink() and link.read_bytes() == weights.read_bytes()
    assert header(link).network.name == "tiny" and load_file(link)
