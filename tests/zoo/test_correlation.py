"""Correlation of base kernels against numpy's."""

import numpy as np
import pytest
import torch
from small import network

from mixspec.compiler.errors import SpecError
from mixspec.zoo.load import fresh
from mixspec.zoo.tools.banks import banks
from mixspec.zoo.tools.correlation import correlations, matrices


def model(mixers: str) -> object:
    return fresh(network("image: 16", f"mixers: {mixers}"), 1)


@pytest.mark.parametrize("mixers", ["CADAsp b=4 agg=5 Ch=4", "CADA b=3 agg=3 Ch=4", "DA b=4 agg=3 Ch=8"])
def test_means_are_those_of_numpy(mixers: str) -> None:
    made = model(mixers)
    for bank in banks(made):  # type: ignore[arg-type]
        bank.module.bank.bias.data.normal_()
    for bank, found in zip(banks(made), correlations(made), strict=True):  # type: ignore[arg-type]
        base, position = bank.base.flatten(2).numpy(), bank.position.flatten(1).numpy()  # type: ignore[union-attr]
        heads, b, _ = base.shape
        pairs = [abs(np.corrcoef(base[h])[i, j]) for h in range(heads) for i in range(b) for j in range(i)]
        beside = [abs(np.corrcoef(base[h, i], position[h])[0, 1]) for h in range(heads) for i in range(b)]
        assert (found.path, found.heads, found.kernels) == (bank.path, heads, heads * b)
        assert found.base == pytest.approx(np.mean(pairs), abs=1e-5)
        assert found.position == pytest.approx(np.mean(beside), abs=1e-5)
        torch.testing.assert_close(matrices(bank.base)[0].float(), torch.from_numpy(np.corrcoef(base[0])).float())


def test_pruned_kernels_are_left_out() -> None:
    made = model("CADAsp b=3 agg=3 Ch=4 pos=false")
    first = banks(made)[0]  # type: ignore[arg-type]
    weight = first.module.bank.weight.data
    weight[:, 1] = -2 * weight[:, 0]
    weight[:, 2] = 0
    found = correlations(made)[0]  # type: ignore[arg-type]
    assert (found.kernels, found.base, found.position) == (4, 1.0, None)
    weight[:, 1] = 0.1
    assert correlations(made)[0].base is None  # type: ignore[arg-type]


def test_network_without_base_kernels() -> None:
    with pytest.raises(SpecError, match="MX821 small has no token mixer with base kernels"):
        correlations(model("Hpx"))  # type: ignore[arg-type]
