"""An inference copy of a model, in which everything that follows from weights alone is computed once.

- Layers say themselves what they compute from weights alone (``Layer.freeze``): implicit filters, their spectra,
  kernels that are functions of a few parameters.
- Batch norms go into the convolution or linear map in front of them. Which one that is, is read off a symbolic trace of
  the forward that calls the norm, so no layer has to declare it. What cannot be traced, since its path depends on the
  input, keeps its norms.
- Activations go into the convolution or linear map in front of them in the same way: they are applied to what it has
  just computed, before it is written to memory.
- Dropout and stochastic depth are left out.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Tracer
from torch.fx.proxy import TraceError

from .bound import Bound
from .modules import DropPath, Passed, Pointwise, StarReLU
from .ops.activated import NOTHING, ActivatedConv, ActivatedPointwise, Squared

Model = TypeVar("Model", bound=nn.Module)

TRAINING_ONLY = (DropPath, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
UNTRACEABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    RuntimeError,
    TraceError,
    TypeError,
    ValueError,
)
"""What a forward may raise on symbols in place of tensors."""


def freeze(model: Model) -> Model:
    """A copy of ``model`` for inference: the same outputs up to 1e-5 of their scale, for any image the model takes.

    It keeps the model's kind and its ways of calling it, and can be copied, pickled, compiled and exported. It stays in
    evaluation mode: ``train()`` raises RuntimeError. Its weights do not learn and have other names than the spec's, so
    that it is not saved as a weights file. A single layer may come back as another kind of module.
    """
    with torch.inference_mode(False), torch.no_grad():
        copy: nn.Module = deepcopy(model)
        if isinstance(copy, Frozen):
            return cast(Model, copy)
        copy = _settled(copy.eval().requires_grad_(False))
        _fold_norms(copy)
        _join_activations(copy)
        _join_nothing(copy)
        _lay_kernels(copy)
    frozen = _empty(type(copy))
    frozen.__dict__.update(copy.__dict__)
    return cast(Model, frozen.eval().requires_grad_(False))


class Frozen:
    """What a frozen model is beside the kind of module it was made from."""

    __slots__ = ()

    def train(self, mode: bool = True) -> Self:
        if mode:
            raise RuntimeError("a frozen model cannot be trained: train the model it was made from, then freeze that")
        return cast(Self, super().train(False))  # type: ignore[misc]  # nn.Module stands behind it

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self).__mro__[2]  # the class itself, this one, the model's
        return _empty, (kind,), self.__getstate__()


@cache
def _frozen(kind: Any) -> type[nn.Module]:
    return type(f"Frozen{kind.__name__}", (Frozen, kind), {"__doc__": f"A frozen {kind.__name__}."})


def _empty(kind: Any) -> nn.Module:
    """A frozen module without its state, for copies and unpickling."""
    return object.__new__(_frozen(kind))


def _settled(root: nn.Module) -> nn.Module:
    """The model with every layer frozen, parts before their owners."""
    done: dict[nn.Module, nn.Module] = {}
    for path, part in reversed(list(root.named_modules(remove_duplicate=False))):
        if part not in done:
            done[part] = _alone(part)
        if path and done[part] is not part:
            root.set_submodule(path, done[part])
    return done[root]


def _alone(part: nn.Module) -> nn.Module:
    if _hooked(part):
        return part
    if isinstance(part, Bound):
        return part.layer.freeze(part)
    return Passed() if type(part) in TRAINING_ONLY else part


def _hooked(part: nn.Module) -> bool:
    """Whether someone looks at what passes this module."""
    return bool(part._forward_hooks or part._forward_pre_hooks)


def _fold_norms(root: nn.Module) -> None:
    """Put every batch norm into what feeds it, where nothing else reads that."""
    tied = Counter(weight for _, weight in root.named_parameters(remove_duplicate=False))
    for owner, name, norm, conv in _behind_convolutions(root, (nn.BatchNorm2d,)):
        alone = all(tied[weight] == 1 for weight in conv.parameters())
        if alone and norm.running_var is not None and conv.weight.shape[0] == norm.num_features:
            _fold(conv, norm)
            owner.set_submodule(name, nn.Identity())


def _join_activations(root: nn.Module) -> None:
    """Put every activation into what feeds it, where nothing else reads that."""
    for owner, name, act, conv in _behind_convolutions(root, (nn.ReLU, nn.GELU, nn.SiLU, StarReLU)):
        if isinstance(conv, nn.Conv2d) and (conv.padding_mode != "zeros" or isinstance(conv.padding, str)):
            continue
        if isinstance(act, nn.GELU) and act.approximate != "none":
            continue
        conv.__class__ = ActivatedConv if isinstance(conv, nn.Conv2d) else ActivatedPointwise
        conv.then = "relu" if isinstance(act, StarReLU) else type(act).__name__.lower()
        rest = Squared(act.scale.detach(), act.bias.detach()) if isinstance(act, StarReLU) else nn.Identity()
        owner.set_submodule(name, rest)


def _join_nothing(root: nn.Module) -> None:
    """The convolutions and linear maps that are left, in the form of those with an activation."""
    for part in root.modules():
        if type(part) is nn.Conv2d and part.padding_mode == "zeros" and not isinstance(part.padding, str):
            part.__class__, part.then = ActivatedConv, NOTHING  # type: ignore[assignment]
        elif type(part) is Pointwise:
            part.__class__, part.then = ActivatedPointwise, NOTHING  # type: ignore[assignment]


def _lay_kernels(root: nn.Module) -> None:
    """On CPU, kernels in the layout of the maps, to which each call would convert them."""
    for part in root.modules():
        if isinstance(part, nn.Conv2d) and part.weight.device.type == "cpu":
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)


def _behind_convolutions(
    root: nn.Module, kinds: tuple[type[nn.Module], ...]
) -> Iterator[tuple[nn.Module, str, Any, Any]]:
    """Parts of these kinds that nothing but a convolution feeds, whose result nothing else reads; both used once: the
    owner, the part's name in it, the part and the convolution.
    """
    uses = Counter(part for _, part in root.named_modules(remove_duplicate=False))
    for owner in list(root.modules()):
        # a model that is no layer of ours may call its own parts from elsewhere than its forward
        if owner is root and not isinstance(owner, Bound | nn.Sequential):
            continue
        if any(type(part) in kinds for part in owner.children()):
            for name, part, conv in list(Flow.of(owner).behind_convolutions(kinds)):
                if uses[part] == uses[conv] == 1:
                    yield owner, name, part, conv


def _fold(conv: nn.Conv2d | Pointwise, norm: nn.BatchNorm2d) -> None:
    """Give the convolution the weights and the bias that do what both did, computed in float64."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale, shift = scale * norm.weight.double(), shift * norm.weight.double() + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    weight = conv.weight.double() * scale.view(-1, *(1,) * (conv.weight.dim() - 1))
    dtype = conv.weight.dtype
    conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    conv.bias = nn.Parameter(shift.to(dtype), requires_grad=False)


@dataclass
class Flow:
    """How the parts of one module feed each other, whatever its input. Empty where that cannot be told."""

    owner: nn.Module
    graph: Graph | None
    calls: Counter[str] = field(default_factory=Counter)
    read: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, owner: nn.Module) -> Flow:
        flow = cls(owner, _traced(owner))
        for node in flow.graph.nodes if flow.graph else ():
            if node.op == "call_module":
                flow.calls[str(node.target)] += 1
            elif node.op == "get_attr":
                flow.read.append(str(node.target))
        return flow

    def behind_convolutions(
        self, kinds: tuple[type[nn.Module], ...]
    ) -> Iterator[tuple[str, nn.Module, nn.Conv2d | Pointwise]]:
        """Every part of these kinds with one input, the result of a convolution that nothing else reads: its name, the
        part and the convolution.
        """
        for node in self.graph.nodes if self.graph else ():
            part = self._only_call(node)
            if part is None or type(part) not in kinds or len(node.all_input_nodes) != 1:
                continue
            source = self._source(node.all_input_nodes[0])
            if source is not None:
                yield str(node.target), part, source

    def end(self) -> nn.Conv2d | Pointwise | None:
        """The convolution whose result is the module's, if there is one."""
        for node in self.graph.nodes if self.graph else ():
            if node.op == "output" and isinstance(node.args[0], Node):
                return self._source(node.args[0])
        return None

    def _source(self, node: Node) -> nn.Conv2d | Pointwise | None:
        """The convolution whose result is that of a node with a single reader."""
        part = self._only_call(node)
        if part is None or len(node.users) != 1:
            return None
        if type(part) is nn.Conv2d or type(part) is Pointwise:
            return part
        if type(part) is nn.Identity:  # what is left of a norm
            return self._source(node.all_input_nodes[0])
        return Flow.of(part).end()

    def _only_call(self, node: Node) -> nn.Module | None:
        """The part that a node calls, if that is all the owner does with it."""
        name = str(node.target)
        if node.op != "call_module" or self.calls[name] != 1 or node.kwargs:
            return None
        if any(path == name or path.startswith(f"{name}.") for path in self.read):
            return None
        part = self.owner.get_submodule(name)
        return None if _hooked(part) else part


class _Shallow(Tracer):
    """Traces the forward of one module; its parts are single steps."""

    proxy_buffer_attributes = True

    def __init__(self, inputs: list[str]) -> None:
        super().__init__()
        self.inputs = inputs

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in self.inputs)]

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, Tensor) and a not in self.tensor_attrs and not isinstance(a, nn.Parameter):
            raise TraceError("a tensor of unknown origin, maybe made from weights")
        return super().create_arg(a)


def _traced(owner: nn.Module) -> Graph | None:
    """The calls that a module's forward makes, for any input, or None where they depend on the input.

    A symbol refuses to be a number or a truth value, so a forward that gets through takes this path for every tensor.
    """
    inputs = _inputs(owner)
    if inputs is None or _hooked(owner):
        return None
    try:
        return _Shallow(inputs).trace(owner)
    except UNTRACEABLE:
        return None


def _inputs(owner: nn.Module) -> list[str] | None:
    """Names of the inputs, all of which a forward without options has."""
    forward = owner.layer.forward if isinstance(owner, Bound) else owner.forward
    names = list(inspect.signature(forward).parameters.values())[isinstance(owner, Bound) :]
    plain = all(each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty for each in names)
    return [each.name for each in names] if plain else None
