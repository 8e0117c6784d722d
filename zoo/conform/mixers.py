"""What holds of every token mixer, shown on an 8x8 map of 32 channels.

The mixer stands there with its defaults; where the map refuses one, with the nearest legal value that the complaint
offers. Counts and gradients are also checked for every variant: each switch and each choice, one at a time.
"""

from __future__ import annotations

import copy
import importlib
import io
import pickle
from collections.abc import Iterator
from functools import cache
from typing import Literal, get_args, get_origin

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from ...compiler.cost import cost
from ...compiler.grid import Grid
from ...compiler.lower import lower_layer
from ...compiler.measure.compare import compare
from ...compiler.mixer import Mixer, Traits
from ...compiler.mixers import registry
from .check import Check

AT = Grid(8, 8, 32)
WIDE = Grid(14, 14, 64)
"""Where traits are read off: they need room to show."""

SLACK = 1024
"""Bytes by which counted and kept activations may differ beside the 5 %: statistics of norms, scalars."""

Kind = type[Mixer]


@cache
def legal(mixer: Mixer, at: Grid = AT) -> Mixer | None:
    """The mixer settled on the map, with refused values exchanged for offered ones; None if that does not help."""
    settled = mixer.settle(1, at)
    for _ in range(4):
        problems = list(settled.check(at))
        if not problems:
            return settled
        if not all(problem.nearest for problem in problems):
            return None
        settled = settled.settings(**{str(problem.where[-1]): int(problem.nearest[0]) for problem in problems})
    return None


def default(kind: Kind, at: Grid = AT) -> Mixer:
    """The mixer with its defaults. Raises ValueError where they do not run on the map."""
    mixer = legal(kind(), at)
    if mixer is None:
        complaints = "; ".join(problem.what for problem in kind().settle(1, at).check(at))
        raise ValueError(f"the defaults of {kind.notation} do not run on a map of {at}: {complaints}")
    return mixer


def variants(kind: Kind) -> Iterator[Mixer]:
    """The default, every other choice of one field, and stride 2."""
    yield default(kind)
    for field, info in kind.model_fields.items():
        choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
        if info.annotation is bool:
            choices = (not info.default,)
        for choice in choices:
            mixer = legal(kind(**{field: choice}))
            if mixer is not None and choice != info.default:
                yield mixer
    if kind.strides():
        mixer = default(kind).strided(2)
        if not list(mixer.check(AT)):
            yield mixer


def lowered(mixer: Mixer, seed: int = 0) -> nn.Module:
    """The mixer as a module whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return lower_layer(mixer, AT)


def image(batch: int = 2, dtype: torch.dtype | None = None) -> Tensor:
    """Always the same maps."""
    return torch.randn(batch, AT.c, AT.h, AT.w, generator=torch.Generator().manual_seed(1)).to(dtype=dtype)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    """Equal up to a deviation relative to the largest value."""
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-6))


def is_described(kind: Kind) -> Iterator[str]:
    """The mixer, its file and its fields say what they are.

    Give the class and the module a docstring, and every field a description; the file's name is the notation.
    """
    if not kind.__module__.endswith(f".{kind.notation.lower()}") and kind.notation.lower() not in registry:
        yield f"{kind.notation} lies in {kind.__module__}"
    if not kind.__doc__ or kind.__doc__ == Mixer.__doc__:
        yield "no docstring"
    if not importlib.import_module(kind.__module__).__doc__:
        yield f"{kind.__module__} has no docstring: the paper, and one sentence"
    for field, info in kind.model_fields.items():
        if not info.description:
            yield f"{field} has no description"
    if not isinstance(default(kind).traits(AT), Traits):
        yield "traits gives no Traits"


def notation_and_typed_form_come_back(kind: Kind) -> Iterator[str]:
    """What a mixer prints reads back as the same mixer.

    A field whose value does not come back needs a type that text can be read as.
    """
    for mixer in (kind(), *variants(kind)):
        for form in (str(mixer), mixer.typed()):
            if registry.make(form) != mixer:
                yield f"{form} reads back as {registry.make(form)}"


def settling_twice_changes_nothing(kind: Kind) -> Iterator[str]:
    """Defaults are filled once, whatever the stage is then.

    Let settle fill only fields that are None.
    """
    mixer = default(kind)
    if not mixer.settle(1, AT) == mixer == mixer.settle(3, AT):
        yield f"{mixer} settles to {mixer.settle(3, AT)} in stage 3"


def counts_are_what_torch_counts(kind: Kind) -> Iterator[str]:
    """Parameters, multiply-adds and the output's shape are those of the module.

    Parts count themselves; macs states the matrix products and sums between them, out the shape.
    """
    for mixer in variants(kind):
        counted, out = cost(mixer, AT), mixer.out(AT)
        module = lower_layer(mixer, AT, device="meta").eval()
        weights = list(module.parameters())
        held = sum(weight.numel() for weight in weights)
        learnt = sum(weight.numel() for weight in weights if weight.requires_grad)
        module.requires_grad_(False)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            y = module(torch.empty(1, AT.c, AT.h, AT.w, device="meta"))
        yield from _unlike(mixer, "parameters", counted.params, held)
        yield from _unlike(mixer, "parameters that learn", counted.params_trainable, learnt)
        yield from _unlike(mixer, "output", (1, out.c, out.h, out.w), tuple(y.shape))
        yield from _unlike(mixer, "multiply-adds", counted.macs, counter.get_total_flops() / 2)


def _unlike(mixer: Mixer, what: str, said: object, found: object) -> Iterator[str]:
    if said != found:
        yield f"{mixer}: {what}: said {said}, found {found}"


def activation_bytes_are_what_autograd_keeps(kind: Kind) -> Iterator[str]:
    """Memory for backward is counted within 5 %.

    kept counts the numbers that the work between the parts leaves; layers count their inputs themselves.
    """
    for mixer in variants(kind):
        module = lowered(mixer).train()
        # one image from two and three: batch norm cannot train on one, and filters do not grow with the batch
        kept = 2 * _kept_bytes(module, 2) - _kept_bytes(module, 3)
        counted = cost(mixer, AT).activation_bytes
        if abs(counted - kept) > 0.05 * kept + SLACK:
            yield f"{mixer}: counted {counted}, kept {kept}"


def _kept_bytes(module: nn.Module, batch: int) -> int:
    """Memory that autograd holds after a forward pass, weights left out: every storage once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    # blocks hand maps over as norms leave them: channels last
    x = image(batch).contiguous(memory_format=torch.channels_last).requires_grad_()
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = module(x)
    total = sum(nbytes for nbytes, _ in kept.values())
    del y
    return total


def every_weight_learns(kind: Kind) -> Iterator[str]:
    """Input and weights get finite gradients, frozen weights none.

    A weight that no output depends on is left out, or declared frozen.
    """
    for mixer in variants(kind):
        module, x = lowered(mixer), image().requires_grad_()
        y = module(x)
        if not y.isfinite().all():
            yield f"{mixer}: the output is not finite"
        (y * torch.randn_like(y)).sum().backward()
        if x.grad is None or not x.grad.isfinite().all():
            yield f"{mixer}: no finite gradient by the input"
        for path, weight in module.named_parameters():
            if (weight.grad is not None) != weight.requires_grad:
                yield f"{mixer}: {path} {'gets no gradient' if weight.requires_grad else 'is frozen and gets one'}"
            elif weight.grad is not None and not weight.grad.isfinite().all():
                yield f"{mixer}: the gradient by {path} is not finite"


def start_depends_on_the_seed_alone(kind: Kind) -> Iterator[str]:
    """Equal seeds give equal weights, others give others.

    Draw in init from torch's generator, and fill every weight.
    """
    mixer = default(kind)
    first, again, other = (lowered(mixer, seed).state_dict() for seed in (0, 0, 1))
    for key, value in first.items():
        if not torch.equal(value, again[key]):
            yield f"{key} differs between two modules of one seed"
        if not value.isfinite().all():
            yield f"{key} does not start finite"
    matrices = [key for key, value in first.items() if value.dim() > 1]
    if matrices and all(torch.equal(first[key], other[key]) for key in matrices):
        yield "another seed gives the same weights"


def copies_give_the_same(kind: Kind) -> Iterator[str]:
    """Copies, pickles and loaded state dicts compute the same to the last bit.

    Keep no tensors or closures outside of parts.
    """
    module, x = lowered(default(kind)).eval(), image()
    expected = module(x)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    fresh = lowered(default(kind), seed=5).eval()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    copies = {"copy": copy.deepcopy(module), "pickle": pickle.loads(pickle.dumps(module)), "state dict": fresh}
    for name, other in copies.items():
        if not torch.equal(other(x), expected):
            yield f"the {name} computes something else"


def layout_and_precision_do_not_matter(kind: Kind) -> Iterator[str]:
    """Channels last, single images, double precision and bfloat16 give the same, up to rounding.

    Reshape instead of view, and take dtype and device from the input.
    """
    module, x = lowered(default(kind)).eval(), image()
    expected = module(x)
    if not close(module(x.contiguous(memory_format=torch.channels_last)), expected):
        yield "channels last give something else"
    if not close(torch.cat([module(x[:1]), module(x[1:])]), expected):
        yield "images one by one give something else"
    double = copy.deepcopy(module).double()(image(dtype=torch.float64))
    if double.dtype != torch.float64 or not close(expected.double(), double, 1e-4):
        yield "double precision gives something else"
    with torch.autocast("cpu", torch.bfloat16):
        low = module(x)
    if not (low.isfinite().all() and close(low.float(), expected, 0.1)):
        yield "bfloat16 gives something else"


def trains_under_autocast(kind: Kind) -> Iterator[str]:
    """Gradients are finite where the forward ran in bfloat16.

    Operators of your own need a gradient for mixed precision.
    """
    module, x = lowered(default(kind)), image().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        module(x).float().square().mean().backward()
    grads = {"the input": x.grad, **{path: weight.grad for path, weight in module.named_parameters()}}
    for path, grad in grads.items():
        if grad is not None and not grad.isfinite().all():
            yield f"the gradient by {path} is not finite"


def compiles_in_one_graph(kind: Kind) -> Iterator[str]:
    """torch.compile takes forward and backward without a break.

    No branches on values of tensors, no numpy; or say so: cannot = {"compile": "why"}.
    """
    if "compile" in getattr(kind, "cannot", {}):
        return
    module, x = lowered(default(kind)).eval(), image()
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    if not close(compiled(x), module(x)):
        yield "compiled it gives something else"
    expected, got = x.clone().requires_grad_(), x.clone().requires_grad_()
    module(expected).square().sum().backward()
    compiled(got).square().sum().backward()
    if expected.grad is None or got.grad is None or not close(got.grad, expected.grad):
        yield "compiled it has another gradient by the input"


def exports(kind: Kind) -> Iterator[str]:
    """torch.export takes it.

    No branches on values of tensors.
    """
    module, x = lowered(default(kind)).eval(), image()
    if not close(torch.export.export(module, (x,)).module()(x), module(x)):
        yield "exported it gives something else"


def traits_are_what_is_measured(kind: Kind) -> Iterator[str]:
    """Its connections are those it declares.

    mixspec traits --all --measure shows both.
    """
    small = {"head_channels": 4, "groups": 4, "base_kernels": 3}
    known = kind.model_fields
    mixer = kind(**{key: value for key, value in small.items() if key in known and known[key].default != 1})
    compared = compare(mixer.settle(1, WIDE), WIDE)
    if compared.differences:
        yield str(compared)


CHECKS: tuple[Check[Kind], ...] = (
    is_described,
    notation_and_typed_form_come_back,
    settling_twice_changes_nothing,
    counts_are_what_torch_counts,
    activation_bytes_are_what_autograd_keeps,
    every_weight_learns,
    start_depends_on_the_seed_alone,
    copies_give_the_same,
    layout_and_precision_do_not_matter,
    trains_under_autocast,
    compiles_in_one_graph,
    exports,
    traits_are_what_is_measured,
)
