"""A class token beside the map: stages and blocks that work on rows. ViT, arXiv:2010.11929, section 3.1.

A row is (B, C, 1, 1 + H W): the token, then the map's positions. Norms, linear maps and attention over all positions
do to a row what they do to a map, so that they need to know nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Path, Problem
from ..grid import Grid
from ..init import TruncNormal
from ..layer import Layer, Parts, Sequence, place
from ..mixer import Mixer
from ..mlps.mlp import Mlp
from ..norm import Norm
from ..operator import Operator
from ..parts import DropPath, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


def row_of(at: Grid) -> Grid:
    """The row of a class token and a map."""
    return Grid(1, 1 + at.pixels, at.c)


def refuses_tokens(mixer: Mixer, mlp: Operator | None, stage: int, mlp_at: Path) -> Iterator[Problem]:
    """The complaints that a block's operators cannot take a class token along; ``stage`` counts from 0."""
    if not mixer.takes_token:
        what = f"stage {stage + 1}: {mixer.notation} cannot mix a class token with a map"
        yield Problem("MX102", what, "attention or ConvAttention there, or class_token: false", ("mixers", stage))
    if not isinstance(mlp, Mlp):
        what = f"stage {stage + 1}: {mlp.notation if mlp else 'no MLP'} cannot take a class token"
        yield Problem("MX102", what, "MLP there, or class_token: false", mlp_at)


@dataclass(frozen=True, slots=True)
class TokenBlock(Layer):
    """x + mixer(norm(x)), then x + mlp(norm(x)), on rows. ``forward`` takes the map's size beside the row."""

    mixer: Mixer
    mlp: Operator
    norm: Norm
    drop_path: float = 0.0

    def parts(self, at: Grid) -> Parts:
        row = row_of(at)
        return {
            "norm1": self.norm.over(at.c).on(row),
            "mixer": self.mixer.with_token(at),
            "norm2": self.norm.over(at.c).on(row),
            "mlp": self.mlp.on(row),
            "drop_path": DropPath(self.drop_path).on(row),
        }

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": 2 * row_of(at).size}

    def forward(self, m: Bound, row: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        x = m.norm1(row)
        row = row + m.drop_path(m.mixer(x, size) if self.mixer.reads_size else m.mixer(x))
        return row + m.drop_path(m.mlp(m.norm2(row)))


@dataclass(frozen=True, slots=True)
class TokenStage(Layer):
    """Downsampling, a class token put in front, blocks on rows. Called as a layer it gives the map alone.

    ``position`` adds to the token what position embeddings add to a map.
    """

    downsample: Layer | None
    blocks: tuple[TokenBlock, ...]
    position: bool = False

    def _inside(self, at: Grid) -> Grid:
        return self.downsample.out(at) if self.downsample else at

    def out(self, at: Grid) -> Grid:
        return self._inside(at)

    def parts(self, at: Grid) -> Parts:
        inside = self._inside(at)
        before = {"downsample": place(self.downsample, at)} if self.downsample else {}
        token = Weight((inside.c,), init=TruncNormal(0.02), decay=False)
        tokens = {"token": token, "token_position": token} if self.position else {"token": token}
        return {**before, **tokens, "blocks": Sequence(self.blocks).on(inside)}

    def enter(self, m: Bound, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The stage's input as a row, and the size of its map."""
        import torch

        x = m.downsample(x) if self.downsample else x
        batch, _, height, width = x.shape
        token = m.token + m.token_position if self.position else m.token
        return torch.cat([token[:, None, None].expand(batch, -1, 1, 1), x.flatten(2).unsqueeze(2)], dim=3), (
            height,
            width,
        )

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        row, size = self.enter(m, x)
        for block in m.blocks:
            row = block(row, size)
        return row[..., 1:].squeeze(2).unflatten(2, size)
