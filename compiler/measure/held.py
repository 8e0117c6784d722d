"""Torch with its predicted weights held fast: what is left of a mixer's derivative is its connection matrix.

A mixer computes y = W(x) x. The derivative of that is W + (dW/dx) x, which is dense wherever W is predicted from much
of the map ("Demystifying Local Vision Transformer", arXiv:2106.04263, section 2, has W alone). Under ``Held`` the
forward is what it is, and backward sees W only:

- the result of a softmax, and the kernels of a convolution or of our operators, are weights: backward stops there;
- of a product of two tensors that both depend on the input, one is the weight (``Held.value`` says which);
- activations and norms let gradients pass as if they were not there, and so do linear maps of channels, which take each
  output channel for one of the input's (unless ``pointwise`` maps are asked for).

It works on functions of torch as they are called, so a mixer needs to say nothing, and one from another package is
measured like ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Function: TypeAlias = Callable[..., Any]
Call: TypeAlias = tuple[Function, tuple[Any, ...], Mapping[str, Any]]

FLAT = frozenset({"relu", "relu_", "relu6", "threshold", "hardtanh", "leaky_relu", "hardswish", "hardsigmoid", "clamp"})
"""Activations that are flat, or nearly, somewhere: a softplus stands in for them, so that no change is lost."""
BENT = FLAT.union(
    ("gelu", "silu", "mish", "elu", "celu", "selu", "softplus", "softsign", "sigmoid", "tanh"),
    ("exp", "sin", "cos", "square", "pow", "sqrt", "rsqrt", "reciprocal", "__rdiv__"),
)
"""Functions of single elements that are no linear maps."""
NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize"})
SOFTMAX = frozenset({"softmax", "log_softmax"})
WEIGHED = frozenset({"conv1d", "conv2d", "conv_transpose2d", "linear", "div", "true_divide"}).union(
    ("aggregate", "aggregate_decomposed", "global_conv1d", "global_conv2d")
)
"""Functions whose first argument is the value and whose others are weights."""
SCALED = frozenset({"mul", "multiply", "mul_"})
MATRICES = frozenset({"matmul", "bmm", "mm", "einsum", "baddbmm"})


class Choices:
    """Answers to questions that come in the same order in every run of a module; each is worked out once."""

    def __init__(self) -> None:
        self._answers: list[bool] = []
        self._asked = 0

    def again(self) -> None:
        """A new run begins."""
        self._asked = 0

    def ask(self, question: Callable[[], bool]) -> bool:
        """The answer of the first run."""
        if self._asked == len(self._answers):
            self._answers.append(question())
        self._asked += 1
        return self._answers[self._asked - 1]


class Held(TorchFunctionMode):
    """While it is on, backward to ``x`` sees the connection matrix. ``x`` requires a gradient, parameters do not.

    ``choices`` are those of an earlier run of the same module, or none yet.
    """

    def __init__(self, x: Tensor, choices: Choices, *, pointwise: bool = False) -> None:
        super().__init__()
        self.x, self.choices, self.pointwise = x, choices, pointwise
        choices.again()
        self._bent: dict[int, Tensor] = {}
        """Tensors behind an activation, by identity; kept, so that no identity is used twice."""

    def __torch_function__(
        self, func: Function, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        kwargs = kwargs or {}
        depends = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.requires_grad]
        if not depends:
            return func(*args, **kwargs)
        y = self._run(name, func, args, kwargs)
        if name in BENT or any(id(a) in self._bent for a in depends):
            self._bent.update((id(t), t) for t in (y if isinstance(y, tuple | list) else [y]) if isinstance(t, Tensor))
        return y

    def _run(self, name: str, func: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        x = args[0] if args else None
        if name in SOFTMAX:
            return func(*args, **kwargs).detach()
        if name == "scaled_dot_product_attention":
            return attention(*args, **kwargs)
        if name in BENT:
            return _through(args[0], F.softplus(args[0]) if name in FLAT else func(*args, **kwargs))
        if name in NORMS:
            return _through(args[0], func(*args, **kwargs))
        if name in SCALED | MATRICES:
            return func(*self._held(name, args), **kwargs)
        if name in WEIGHED and isinstance(x, Tensor) and x.requires_grad:
            y = func(x, *map(_detached, args[1:]), **{key: _detached(value) for key, value in kwargs.items()})
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            return y if name == "conv2d" and weight.shape[2:] != (1, 1) else self._without_map(name, x, y)
        return func(*args, **kwargs)

    def _without_map(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """The values of y; where it is a linear map of x's channels, with a gradient as if its channels were those of
        x, over and over.
        """
        axis = {"conv2d": 1, "linear": x.ndim - 1}.get(name)
        others = None if axis is None else x.shape[:axis] + x.shape[axis + 1 :]
        if self.pointwise or axis is None or others != y.shape[:axis] + y.shape[axis + 1 :]:
            return y
        if not self.choices.ask(lambda: self._holds_channels(x, axis)):
            return y
        return _through(x.index_select(axis, torch.arange(y.shape[axis], device=x.device) % x.shape[axis]), y)

    def _held(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a product, all but one of those that depend on the input detached."""
        first = 1 if name == "baddbmm" else 0
        places = [i for i, a in enumerate(args) if i >= first and isinstance(a, Tensor) and a.requires_grad]
        if len(places) < 2:
            return args
        keep = places[-1]
        for place in reversed(places[:-1]):
            keep = place if self._is_value(args[place], args[keep], name in SCALED) else keep
        return tuple(a.detach() if i in places and i != keep else a for i, a in enumerate(args))

    def _is_value(self, left: Tensor, right: Tensor, scaled: bool) -> bool:
        """Whether of two factors the left one is the value. A weight is the one behind an activation; else, of factors
        that are multiplied element by element, the smaller one; else the one that has seen less of the map, as the
        gates around a convolution; else the left one.
        """
        bent = id(left) in self._bent, id(right) in self._bent
        if bent[0] != bent[1]:
            return bent[1]
        if scaled and left.numel() != right.numel():
            return left.numel() > right.numel()
        return self.choices.ask(lambda: self._spread(left) > self._spread(right))

    def _spread(self, factor: Tensor) -> int:
        """Most positions of the input that an element of a tensor depends on; of three, as some may be padding."""
        elements = (factor.flatten()[factor.numel() * part // 4] for part in (1, 2, 3))
        return max(int(self._seen(element).any(1).sum()) for element in elements)

    def _holds_channels(self, x: Tensor, axis: int) -> bool:
        """Whether the first two places along an axis see the same positions and other channels."""
        if x.shape[axis] == 1:
            return True
        places = x.movedim(axis, -1).flatten(0, -2)
        weights = torch.linspace(1, 2, len(places), dtype=x.dtype, device=x.device)
        one, two = (self._seen((places[:, place] * weights).sum()) for place in (0, 1))
        return torch.equal(one.any(1), two.any(1)) and not torch.equal(one.any((2, 3)), two.any((2, 3)))

    def _seen(self, element: Tensor) -> Tensor:
        """Which of the inputs a single number depends on, (copies, C, H, W)."""
        (gradient,) = torch.autograd.grad(element, self.x, retain_graph=True)
        return gradient.abs() > 1e-12 * gradient.abs().max()


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention with the weights detached; the fused form has no softmax to be seen."""
    logits = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if attn_mask is not None:
        logits = logits.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else logits + attn_mask
    return logits.softmax(-1).detach() @ v


def _through(x: Tensor, y: Tensor) -> Tensor:
    """The values of y with the gradient of x."""
    return y.detach() + (x - x.detach())


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
