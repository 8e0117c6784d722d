"""What an update does: optimisers, schedules, clipping, decay, the mean of the weights, and where it all starts."""

from dataclasses import replace

import pytest
import torch
from timm.utils import ModelEmaV3
from torch.nn.utils import get_total_norm

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import Data
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.training.order import Order
from mixspec.zoo.training.start import start
from mixspec.zoo.weights import load

from .engines import engine, rates_and_losses


@pytest.mark.parametrize(
    "opt", ["sgd", "momentum", "adam", "adamw", "nadamw", "radam", "rmsprop", "lamb", "lars", "lion"]
)
def test_every_optimiser_lowers_the_loss(opt: str, tiny: Network, data: Data) -> None:
    rates = {"sgd": 0.05, "momentum": 0.05, "lars": 1.0, "lamb": 0.02, "lion": 1e-3}
    made = engine(tiny, data, epochs=4, batch_size=64, opt=opt, lr=rates.get(opt, 5e-3))
    _, losses = rates_and_losses(made, 3)
    assert sum(losses[-4:]) < sum(losses[:4])


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"sched": "cosine"}, [1e-3, 8.536e-4, 5e-4, 1.464e-4]),
        ({"sched": "cosine", "sched_on_updates": False}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"sched": "poly", "decay_rate": 0.5}, [1e-3, 8.66e-4, 7.071e-4, 5e-4]),
        ({"sched": "step", "decay_epochs": 1, "decay_rate": 0.5}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"sched": "multistep", "decay_milestones": (1,), "decay_rate": 0.5}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"sched": "constant"}, [1e-3] * 4),
        ({"sched": "wsd", "decay_epochs": 0.5, "decay_fn": "linear"}, [1e-3, 1e-3, 1e-3, 5e-4]),
        ({"sched": "cosine", "cooldown_epochs": 1, "min_lr": 1e-4}, [1e-3, 8.682e-4, 5.5e-4, 2.318e-4, 1e-4, 1e-4]),
        ({"warmup_epochs": 1, "warmup_lr": 0.0}, [0.0, 5e-4, 5e-4, 1.464e-4]),
        ({"warmup_epochs": 1, "warmup_lr": 0.0, "warmup_prefix": True}, [0.0, 5e-4, 1e-3, 5e-4]),
    ],
)
def test_every_schedule_moves_as_named(
    fields: dict[str, object], wanted: list[float], tiny: Network, data: Data
) -> None:
    made = engine(tiny, data, epochs=2, batch_size=128, **fields)
    rates, _ = rates_and_losses(made, made.recipe.passes)
    assert rates == pytest.approx(wanted, rel=1e-3)


def test_drop_path_and_dropout_reach_the_model(tiny: Network, data: Data) -> None:
    model = engine(tiny, data, drop_path=0.3, drop=0.2).bare
    assert model.stages[1].blocks[0].drop_path.rate == pytest.approx(0.3)
    assert model.head.drop.p == 0.2


@pytest.mark.parametrize(("every", "again"), [(True, "stages.1.blocks.0"), ("mixer", "stages.1.blocks.0.mixer")])
def test_blocks_or_mixers_are_computed_again(every: bool | str, again: str, tiny: Network, data: Data) -> None:
    model = engine(tiny, data, grad_checkpointing=every).bare
    assert model.get_submodule(again).again
    assert sum(getattr(layer, "again", False) for layer in model.modules()) == sum(
        len(stage.blocks) for stage in model.stages
    )


@pytest.mark.parametrize(
    ("name", "every", "says"),
    [("resnet18", "mixer", "no token mixers"), ("hrnet_w18_small", "block", "checkpointing not supported")],
)
def test_a_network_of_timms_says_what_it_cannot_compute_again(name: str, every: str, says: str) -> None:
    network = resolve(parse(f"{{name: a, family: timm, model: {name}, image: 64}}"))
    recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 8, "lr": 1e-3, "grad_checkpointing": every})
    with pytest.raises(SpecError, match=says):
        start(network, recipe, 0)


def test_layer_decay_slows_the_stem(tiny: Network, data: Data) -> None:
    made = engine(tiny, data, layer_decay=0.5)
    scales = {
        id(parameter): group.get("lr_scale", 1.0)
        for group in made.optimiser.param_groups
        for parameter in group["params"]
    }
    assert scales[id(made.bare.stem.conv.weight)] < scales[id(made.bare.head.fc.weight)] == 1.0


@pytest.mark.parametrize(
    ("no_decay", "kept"),
    [("vectors", set()), ("hints", {"norm", "bias"}), ("norms", {"bias"}), ("nothing", {"norm", "bias", "scale"})],
)
def test_weight_decay_spares_what_it_is_told_to(no_decay: str, kept: set[str], tiny: Network, data: Data) -> None:
    made = engine(tiny, data, weight_decay=0.1, no_decay=no_decay)
    decayed = {id(p) for group in made.optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    block, head = made.bare.stages[1].blocks[0], made.bare.head
    assert id(block.mixer.qkv.weight) in decayed
    vectors = {"scale": block.scale1, "norm": block.norm1.weight, "bias": head.fc.bias}
    assert {name for name, vector in vectors.items() if id(vector) in decayed} == kept


def test_gradients_are_clipped(tiny: Network, data: Data) -> None:
    made = engine(tiny, data, clip_grad=1e-3)
    seen: list[torch.Tensor] = []
    parameters = list(made.bare.parameters())
    inner = made.optimiser.optimizer
    inner.register_step_pre_hook(lambda *_: seen.append(get_total_norm([p.grad for p in parameters])))
    done, _ = made.update(next(made.updates(0)), 0, 0)
    assert float(seen[0]) <= 1.001e-3
    assert done.norm is not None and done.norm > 1e-2


def test_mean_of_the_weights_is_what_is_kept(tiny: Network, data: Data) -> None:
    made = engine(tiny, data, batch_size=64, lr=1e-2, model_ema=True)
    rates_and_losses(made, 1)
    moving = made.bare.head.fc.weight.detach().clone()
    with made.kept():
        kept = made.bare.head.fc.weight.detach().clone()
    start = fresh(tiny, 0).head.fc.weight
    assert torch.equal(made.bare.head.fc.weight, moving)
    assert 0 < (kept - start).norm() < (moving - start).norm()


@pytest.mark.parametrize("fields", [{}, {"model_ema_warmup": False}, {"model_ema_every": 3}, {"model_ema_start": 1}])
def test_mean_is_timms(fields: dict[str, object], tiny: Network, data: Data) -> None:
    made = engine(tiny, data, batch_size=32, lr=1e-2, epochs=2, model_ema=True, model_ema_decay=0.7, **fields)
    start = made.recipe.model_ema_start * made.order.updates
    theirs = ModelEmaV3(made.bare, 0.7, use_warmup=made.recipe.model_ema_warmup, update_after_step=start)
    for number, parts in enumerate(made.updates(0)):
        made.update(parts, 0, number)
        if (number + 1) % made.recipe.model_ema_every == 0:
            theirs.update(made.bare, step=number + 1)
    assert made.mean is not None
    for name, tensor in theirs.module.state_dict().items():
        assert torch.equal(tensor, made.mean.tensors[name]), name


def test_parts_of_an_update_add_up_to_the_whole(tiny: Network, data: Data) -> None:
    whole, parts = engine(tiny, data, batch_size=64), engine(tiny, data, batch_size=64, grad_accum_steps=4)
    for made in (whole, parts):  # batch norm, which sees batches, is none of it
        made.bare.eval()
        made.task.train = lambda: None
        made.update(next(made.updates(0)), 0, 0)
    for one, other in zip(whole.bare.parameters(), parts.bare.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_repeated_augmentation_keeps_the_epochs_length(tiny: Network, data: Data) -> None:
    order = engine(tiny, data, batch_size=64, aug_repeats=4).order
    keys = order.keys(0)
    assert len(keys) == 256 and len({key.index for key in keys}) == 64
    assert {key.copy for key in keys} == {0, 1, 2, 3}
    slots = [slot for rank in (0, 1) for slot in Order(256, 64, 2, 2, 0, 4).slots(0, rank)]
    assert all(len({key.index for key in slot}) == len(slot) for slot in slots)


def test_training_starts_from_other_weights(trained: Trained, tiny: Network, data: Data) -> None:
    made = engine(tiny, data, init=str(trained.best))
    assert torch.equal(made.bare.stem.conv.weight, load(trained.best).stem.conv.weight)
    larger = replace(tiny, about=tiny.about.model_copy(update={"image": 16}))
    fewer = replace(larger, family=tiny.family.model_copy(update={"classes": 3}))
    model = start(fewer, Recipe(name="a", epochs=1, batch_size=8, lr=1e-3, init=str(trained.best)), 0)
    assert model.head.fc.weight.shape[0] == 3
    assert model.resolved is not None and model.resolved.about.image == 16
    with pytest.raises(SpecError, match=r"MX804 .* holds another network than tiny"):
        other = replace(tiny, family=tiny.family.model_copy(update={"res_scale": (True, True)}))
        engine(other, data, init=str(trained.best))


def test_teacher_draws_the_student_to_its_answers(trained: Trained, tiny: Network, data: Data) -> None:
    made = engine(tiny, data, batch_size=64, lr=1e-2, teacher=str(trained.best), teacher_weight=1.0)
    _, losses = rates_and_losses(made, 1)
    assert losses[-1] < losses[0]
    assert not any(parameter.requires_grad for parameter in made.task.teacher.parameters())
    other = replace(data, classes=tuple("abcdefghij"))
    with pytest.raises(SpecError, match=r"the teacher .* knows other classes than the data"):
        engine(tiny, other, teacher=str(trained.best))


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
def test_compiled_networks_train(tiny: Network, data: Data) -> None:
    plain, compiled = (engine(tiny, data, batch_size=64, epochs=1, compile=wanted) for wanted in (False, True))
    ours, theirs = (rates_and_losses(made, 1)[1] for made in (plain, compiled))
    assert theirs == pytest.approx(ours, rel=1e-3)
