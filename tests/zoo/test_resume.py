"""A run that stops goes on to the very same bytes, whatever stopped it; what has changed meanwhile is said."""

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from timm.optim import create_optimizer_v2
from torch import nn

from mixspec.compiler.errors import SpecError
from mixspec.compiler.recipe import OPTIMISERS, Recipe
from mixspec.compiler.resolve import Network
from mixspec.zoo.training import checkpoint, lock
from mixspec.zoo.training.data import Data
from mixspec.zoo.training.data.values import Split
from mixspec.zoo.training.engine import Engine
from mixspec.zoo.training.loop import train
from mixspec.zoo.training.packed import pack, unpack
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.training.state import steer
from mixspec.zoo.training.stopping import Stopped
from mixspec.zoo.training.watch import Watch

ALL = Recipe(
    name="all",
    epochs=2,
    batch_size=64,
    grad_accum_steps=2,
    lr=5e-3,
    mixup=0.5,
    cutmix=1.0,
    drop_path=0.2,
    drop=0.1,
    degrees=5.0,
    clip_grad=1.0,
    model_ema=True,
    model_ema_decay=0.9,
)
RESUMED = Settings(seed=1, resume="auto", every_updates=3, log_every=1)
COMPARED = ("last.safetensors", "best.safetensors", "log.csv", "updates.csv")


class Stop(Watch):
    """Sends a signal to this process behind an update, and remembers what was said."""

    def __init__(self, update: int = -1, number: int = signal.SIGTERM) -> None:
        self.left, self.number, self.said = update, number, list[str]()

    def says(self, line: str) -> None:
        self.said.append(line)

    def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module")
def wanted(tiny: Network, data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run leaves that nothing stops."""
    folder: Path = tmp_path_factory.mktemp("whole") / "run"
    train(tiny, ALL, data, folder, settings=RESUMED)
    return left(folder)


def left(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in COMPARED}


@pytest.fixture
def stopped(tiny: Network, data: Data, tmp_path: Path) -> Path:
    """A run that was stopped behind its seventh update of eight; its checkpoints are of six and seven."""
    with pytest.raises(Stopped):
        train(tiny, ALL, data, tmp_path / "run", settings=RESUMED, watch=Stop(6))
    return tmp_path / "run"


@pytest.mark.parametrize(("update", "number", "code"), [(2, signal.SIGINT, 130), (4, signal.SIGTERM, 143)])
def test_signals_save_and_stop(
    update: int, number: int, code: int, tiny: Network, data: Data, tmp_path: Path, wanted: dict[str, bytes]
) -> None:
    handler = signal.getsignal(number)
    with pytest.raises(Stopped) as caught:
        train(tiny, ALL, data, tmp_path / "run", settings=RESUMED, watch=Stop(update, number))
    assert signal.getsignal(number) is handler
    assert caught.value.code == code and caught.value.checkpoint is not None
    heard = Stop()
    train(tiny, ALL, data, tmp_path / "run", settings=RESUMED, watch=heard)
    assert heard.said[0].startswith(f"resumed from {caught.value.checkpoint}: epoch ")
    assert left(tmp_path / "run") == wanted


def test_a_finished_run_is_left_alone(tiny: Network, data: Data, stopped: Path, wanted: dict[str, bytes]) -> None:
    done = train(tiny, ALL, data, stopped, settings=RESUMED)
    heard = Stop()
    again = train(tiny, ALL, data, stopped, settings=RESUMED, watch=heard)
    assert again == done and left(stopped) == wanted
    assert heard.said[0].startswith("nothing is left to do")


def test_other_checkpoints_change_nothing(tiny: Network, data: Data, tmp_path: Path, wanted: dict[str, bytes]) -> None:
    settings = replace(RESUMED, every_updates=None, every_minutes=1e-9, keep=1)
    train(tiny, ALL, data, tmp_path / "run", settings=settings)
    assert left(tmp_path / "run") == wanted
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000008"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    blob = bytearray(path.read_bytes())
    blob[-5] ^= 1
    path.write_bytes(blob)


@pytest.mark.parametrize(
    ("name", "harm", "why"),
    [
        ("model-0.safetensors", cut, r"model-0.safetensors has \d+ of \d+ bytes"),
        ("optimiser-0.safetensors", flipped, "optimiser-0.safetensors was changed after it was written"),
        ("mean-0.safetensors", Path.unlink, "No such file"),
        ("state.json", cut, "state.json cannot be read"),
        ("state.json", Path.unlink, "No such file"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_loudly(
    name: str,
    harm: Callable[[Path], None],
    why: str,
    tiny: Network,
    data: Data,
    stopped: Path,
    wanted: dict[str, bytes],
) -> None:
    newest = sorted((stopped / "checkpoints").iterdir())[-1]
    harm(newest / name)
    heard = Stop()
    train(tiny, ALL, data, stopped, settings=RESUMED, watch=heard)
    assert heard.said[0].startswith(f"WARNING: checkpoint {newest} is damaged")
    assert heard.said[1].startswith("resumed from") and left(stopped) == wanted
    assert re.search(why, heard.said[0])


def test_without_a_whole_checkpoint_nothing_is_overwritten(tiny: Network, data: Data, stopped: Path) -> None:
    for path in (stopped / "checkpoints").iterdir():
        (path / "state.json").unlink()
    with pytest.raises(SpecError, match=r"MX817 no checkpoint in .* can be read \(--overwrite starts anew\)"):
        train(tiny, ALL, data, stopped, settings=RESUMED)


def test_a_changed_run_is_refused(tiny: Network, data: Data, stopped: Path) -> None:
    def refused(network: Network, recipe: Recipe, data: Data, settings: Settings) -> str:
        with pytest.raises(SpecError, match="MX816") as caught:
            train(network, recipe, data, stopped, settings=settings)
        return str(caught.value)

    before = left(stopped)
    said = refused(tiny, ALL.model_copy(update={"lr": 1e-3, "mixup": 0.0}), data, RESUMED)
    assert "its recipe has lr 0.005, not 0.001; its recipe has mixup 0.5, not 0.0" in said
    assert "its seed is 1, not 2" in refused(tiny, ALL, data, replace(RESUMED, seed=2))
    other = replace(tiny, family=tiny.family.model_copy(update={"stem": tiny.family.stem, "res_scale": (True, True)}))
    assert "its spec is tiny with digest" in refused(other, ALL, data, RESUMED)
    train_split = data.splits["train"]
    splits: Any = {**data.splits, "train": Split(train_split.images.flip(0), train_split.labels)}
    assert "its data are others, or were changed" in refused(tiny, ALL, replace(data, splits=splits), RESUMED)
    assert left(stopped) == before
    with pytest.raises(FileExistsError, match="of another training"):
        train(tiny, ALL, data, stopped, settings=replace(RESUMED, resume="never"))


def test_a_folder_takes_one_run_at_a_time(tiny: Network, data: Data, stopped: Path) -> None:
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(stopped / lock.LOCK)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout and other.stdin
    other.stdout.readline()
    with pytest.raises(SpecError, match="MX820 another run is training here"):
        train(tiny, ALL, data, stopped, settings=RESUMED)
    other.communicate(b"\n")
    train(tiny, ALL, data, stopped, settings=RESUMED)


def test_a_full_disk_is_said_and_survived(
    tiny: Network, data: Data, tmp_path: Path, wanted: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = checkpoint._put, [0]

    def full(path: Path, blob: bytes) -> None:
        calls[0] += 1
        if calls[0] in (3, 9):
            path.write_bytes(blob[: len(blob) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        put(path, blob)

    monkeypatch.setattr(checkpoint, "_put", full)
    heard = Stop()
    train(tiny, ALL, data, tmp_path / "run", settings=RESUMED, watch=heard)
    assert heard.said[0] == (
        "WARNING: no checkpoint at update 3, No space left on device; there is no checkpoint yet; training goes on"
    )
    assert len(heard.said) == 2 and left(tmp_path / "run") == wanted
    assert not [*(tmp_path / "run" / "checkpoints").glob(".*")]


def test_a_disk_full_at_the_end_is_an_error(
    tiny: Network, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # which file it was the system does not say

    monkeypatch.setattr(checkpoint, "os", SimpleNamespace(fsync=full))
    with pytest.raises(OSError, match="No space left") as caught:
        train(tiny, ALL, data, tmp_path / "run", settings=RESUMED)
    assert Path(caught.value.filename).is_relative_to(tmp_path / "run" / "checkpoints")


def test_what_a_killed_run_left_half_done_goes(tiny: Network, data: Data, stopped: Path) -> None:
    for name in (".00000009.new", ".00000001.old"):
        (stopped / "checkpoints" / name).mkdir()
    with (stopped / "updates.csv").open("a") as file:
        file.write("7,2,0.1,0.0")
    train(tiny, ALL, data, stopped, settings=RESUMED)
    assert not [*(stopped / "checkpoints").glob(".*")]
    assert len((stopped / "updates.csv").read_text().splitlines()) == 9


def test_loaders_with_workers_read_the_same(tiny: Network, data: Data) -> None:
    plain, helped = (Engine(tiny, ALL, data, replace(RESUMED, workers=workers)) for workers in (0, 2))
    for one, other in zip(plain.updates(1, 2), helped.updates(1, 2), strict=True):
        for ours, theirs in zip(one, other, strict=True):
            assert torch.equal(ours.images, theirs.images) and torch.equal(ours.labels, theirs.labels)


def stepped(optimiser: torch.optim.Optimizer, net: nn.Module, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        optimiser.zero_grad()
        net(torch.randn(4, 1, 6, 6)).square().mean().backward()
        optimiser.step()


FEW = ("adamw", "lamb", "momentum", "adafactorbv", "muon")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in OPTIMISERS]
)
@pytest.mark.filterwarnings("ignore:It is highly recommended to have 'opt_einsum':UserWarning")  # of timm's kron
def test_every_optimiser_goes_on_to_the_bit(name: str) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))
        return net, create_optimizer_v2(net, name, lr=1e-2, weight_decay=0.01)

    (whole, always), (net, first), (copy, second) = made(), made(), made()
    stepped(always, whole, range(9))
    stepped(first, net, range(5))
    tensors: dict[str, torch.Tensor] = {}
    plain = pack(first.state_dict(), "optimiser", tensors)
    copy.load_state_dict(net.state_dict())
    steer(second, unpack(plain, load(save(tensors))))
    stepped(second, copy, range(5, 9))
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), copy.parameters(), strict=True))
