"""What is said of a network's answers: accuracy and its interval, calibration, confusion, several networks, parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mixspec.compiler.errors import SpecError
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.confusion import draw
from mixspec.zoo.training import partial
from mixspec.zoo.training.data import Bad, Data, Inputs, Split, open_data
from mixspec.zoo.training.evaluate import BATCH, Member, Ranks, answers, averaged, evaluate
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.training.partial import Partial, resumed
from mixspec.zoo.training.tally import BINS, Calibration, Tally, wilson

INPUTS = Inputs((2, 2), 1, 0.0, 1.0)
NAMES = ("a", "b", "c")


class Says(nn.Module):
    """Answers with what stands in the image: its pixels are the logits."""

    def __init__(self, turned: Sequence[int] = (0, 1, 2)) -> None:
        super().__init__()
        self.turned, self.weight = list(turned), nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return (x.flatten(1)[:, self.turned] * 8 - 4) * self.weight


def split(count: int, seed: int = 0) -> Split:
    chance = torch.Generator().manual_seed(seed)
    return Split(torch.rand(count, 1, 2, 2, generator=chance), torch.randint(3, (count,), generator=chance))


def test_the_intervals_are_those_of_the_book() -> None:
    """E. B. Wilson's, as published tables have them: 0 of 10, 5 of 10, 81 of 263 (Newcombe 1998, Table I)."""
    assert wilson(81, 263) == pytest.approx((25.53, 36.62), abs=0.01)
    assert wilson(15, 148) == pytest.approx((6.24, 16.05), abs=0.01)
    assert wilson(0, 20) == pytest.approx((0, 16.11), abs=0.01)
    assert wilson(1, 29) == pytest.approx((0.61, 17.18), abs=0.01)
    assert wilson(0, 0) == (0.0, 100.0)


def test_everything_agrees_with_a_plain_count() -> None:
    part = split(700)
    found = evaluate(Says(), part, INPUTS, NAMES)
    logits = part.images.flatten(1)[:, :3] * 8 - 4
    said, right = logits.argmax(1), logits.argmax(1) == part.labels
    assert (found.images, found.top1, found.top5) == (700, round(100 * float(right.double().mean()), 4), 100.0)
    assert found.loss == pytest.approx(float(F.cross_entropy(logits.double(), part.labels)), abs=1e-6)
    assert found.interval == wilson(int(right.sum()), 700)
    assert found.confusion == tuple(
        tuple(int(((part.labels == a) & (said == b)).sum()) for b in range(3)) for a in range(3)
    )
    assert found.per_class["b"].right == found.confusion[1][1] and found.per_class["b"].images == sum(
        found.confusion[1]
    )
    sure = logits.double().softmax(1).amax(1)
    gap = 0.0
    for place in range(BINS):
        inside = (sure > place / BINS) & (sure <= (place + 1) / BINS)
        if inside.any():
            gap += float(inside.double().mean() * (sure[inside].mean() - right[inside].double().mean()).abs())
    assert found.calibration.ece == pytest.approx(gap, abs=1e-5)
    assert json.loads(json.dumps(found.facts()))["top1_interval"]["method"] == "Wilson"


def test_a_calibrated_network_has_no_error_and_a_boaster_has() -> None:
    tally = Tally.empty(2)
    tally.add(torch.log(torch.tensor([[0.75, 0.25]] * 4)), torch.tensor([0, 0, 0, 1]))
    assert Calibration.of(tally.bins).ece == pytest.approx(0, abs=1e-6)
    tally = Tally.empty(2)
    tally.add(torch.tensor([[50.0, 0.0]] * 4), torch.tensor([0, 1, 1, 1]))
    found = Calibration.of(tally.bins)
    assert found.ece == pytest.approx(0.75) and found.bins[-1].images == 4
    assert Calibration.of(Tally.empty(2).bins).ece == 0


def test_of_many_classes_no_confusion_is_kept() -> None:
    tally = Tally.empty(5000)
    tally.add(torch.eye(5000)[[4, 7]], torch.tensor([4, 8]))
    assert tally.confusion.shape == (0, 0) and int(tally.right.sum()) == 1


def test_several_networks_answer_with_the_mean() -> None:
    part = split(40)
    members = [Member(Says(), INPUTS), Member(Says((2, 0, 1)), INPUTS)]
    single = [torch.cat([said for said, _ in answers([member], part)]) for member in members]
    for mean, wanted in (("logits", sum(single) / 2), ("probabilities", sum(s.softmax(1) for s in single) / 2)):
        said = torch.cat([said for said, _ in answers(members, part, mean)])  # type: ignore[arg-type]
        torch.testing.assert_close(said if mean == "logits" else said.softmax(1), wanted)
    assert not torch.allclose(averaged(single, "logits").softmax(1), averaged(single, "probabilities").softmax(1))
    turned = Member(Says((2, 0, 1)), INPUTS, torch.tensor([1, 2, 0]))  # its classes stand in another order
    torch.testing.assert_close(torch.cat([said for said, _ in answers([turned], part)]), single[0])


def test_ensembles_need_the_same_classes(trained: Trained, data: Data) -> None:
    classifier = Classifier.open(trained.best)
    assert classifier.member(data.classes).columns is None
    back = classifier.member(data.classes[::-1]).columns
    assert back is not None and back.tolist() == list(range(9, -1, -1))
    with pytest.raises(SpecError, match=r"tiny has other classes than the first network: 9, ten"):
        classifier.member([*data.classes[:9], "ten"])


class Stops(Says):
    """Fails in its third batch."""

    def forward(self, x: Tensor) -> Tensor:
        if self.calls == 2:
            raise KeyboardInterrupt
        return super().forward(x)


def test_a_stopped_evaluation_goes_on(tmp_path: Path) -> None:
    """Nothing is done twice, and the end is that of one that was not stopped."""
    part, mine = split(5 * BATCH - 7), Partial.of(tmp_path / "part", {"weights": "x"})
    with pytest.raises(KeyboardInterrupt):
        resumed([Member(Stops(), INPUTS)], part, NAMES, partial=mine)
    model = Says()
    heard: list[int] = []
    found = resumed([Member(model, INPUTS)], part, NAMES, partial=mine, say=heard.append)
    assert found == evaluate(Says(), part, INPUTS, NAMES)
    assert model.calls == 3 and heard == [3 * BATCH, 4 * BATCH, 5 * BATCH - 7]
    again = Says()
    assert resumed([Member(again, INPUTS)], part, NAMES, partial=mine) == found and again.calls == 0


def test_the_file_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "EVERY", -1.0)
    mine, batches = Partial.of(tmp_path / "part", {}), []
    monkeypatch.setattr(Partial, "write", lambda self, tally, done: batches.append(done))
    resumed([Member(Says(), INPUTS)], split(3 * BATCH), NAMES, partial=mine)
    assert batches == [1, 2, 3, 3]


def test_a_part_of_another_evaluation_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "part"
    resumed([Member(Says(), INPUTS)], split(5), NAMES, partial=Partial.of(file, {"weights": "x", "split": "val"}))
    with pytest.raises(SpecError, match=r"part: MX812 part of another evaluation: its weights, processes differ"):
        resumed([Member(Says(), INPUTS)], split(5), NAMES,
                partial=Partial(file, {"weights": "y", "split": "val", "processes": 2}))  # fmt: skip
    file.write_bytes(b"text")
    with pytest.raises(SpecError, match="no part of an evaluation, or a damaged one"):
        Partial.of(file, {}).read(3)


def test_bad_images_count_against_the_limit_and_are_left_out(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.new("L", (2, 2), 40 * index).save(tmp_path / name / f"{index}.png")
    (tmp_path / "b" / "1.png").write_bytes(b"")
    part = open_data(f"{tmp_path}?val=0").splits["test"]
    found = resumed([Member(Says(), INPUTS)], part, NAMES)
    assert found.images == 8 and found.bad == (Bad(4, "b/1.png", "empty file"),)
    assert {name: score.images for name, score in found.per_class.items()} == {"a": 3, "b": 2, "c": 3}
    with pytest.raises(SpecError, match=r"1 bad image, more than max_bad_images allows \(0\): b/1.png \(empty file\)"):
        resumed([Member(Says(), INPUTS)], part, NAMES, most_bad=0)


def test_processes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tallies of three shares are that of the whole; the last batch counts once."""
    part, shares = split(1000), []
    for rank in range(3):
        tally = Tally.empty(3)
        model = Says()
        for logits, batch in answers([Member(model, INPUTS)], part, ranks=Ranks(rank, 3)):
            tally.add(logits, batch.labels)
        shares.append(tally)
        assert model.calls == 2  # equally many, although the shares differ
    alone = Tally.empty(3)
    for logits, batch in answers([Member(Says(), INPUTS)], part):
        alone.add(logits, batch.labels)
    for many, one in zip(zip(*(share.tensors() for share in shares), strict=True), alone.tensors(), strict=True):
        torch.testing.assert_close(sum(many), one)


def test_confusion_is_drawn(tmp_path: Path) -> None:
    found = evaluate(Says(), split(60), INPUTS, NAMES)
    draw(found, NAMES, tmp_path / "a.png", "three classes")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > picture.height > 300
    with pytest.raises(SpecError, match=r"a.txt is no picture .one of .png, .pdf, .svg"):
        draw(found, NAMES, tmp_path / "a.txt", "")


def test_evaluation_counts(data: Data) -> None:
    class Oracle(torch.nn.Module):
        """Right about every class but 3, which it takes for 5 and second for 3."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = 9 * torch.nn.functional.one_hot(x[:, 0, 0, 0].round().long(), 10).float()
            logits[:, 5] += (logits[:, 3] > 0) * 10.0
            return logits

    split = data.splits["test"]
    marked = replace(split, images=split.labels.float()[:, None, None, None].expand(-1, 1, 8, 8))
    seen = evaluate(Oracle(), marked, Inputs((8, 8), 1, 0.0, 1.0), data.classes)
    threes = int((split.labels == 3).sum())
    assert seen.images == len(split)
    assert seen.top1 == pytest.approx(100 * (1 - threes / len(split)), abs=1e-3)
    assert seen.top5 == 100
    assert seen.per_class["3"].right == 0 and seen.per_class["5"].top1 == 100
    assert seen.facts()["per_class"]["3"].items() >= {"images": threes, "top1": 0.0}.items()
