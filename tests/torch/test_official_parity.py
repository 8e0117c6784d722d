"""Operators and networks against outputs and gradients recorded from the official implementations, float32 on CPU.

The recordings of operators hold inputs ``x`` (channels last), weights ``sd/...``, outputs ``y``, and the gradients
``dx`` and ``grad/...`` of ``sum(y * cos(arange(y.numel())))``.
"""

from __future__ import annotations

import deviation
import pytest
import recordings


@pytest.mark.parametrize("name", recordings.OPERATORS)
def test_operator(name: str) -> None:
    errors = recordings.operator_errors(name)
    assert errors.keys() == {"output", "input gradient", "weight gradients"}
    assert not deviation.beyond("recorded", name, errors)


def test_cvt() -> None:
    assert not deviation.beyond("recorded", "cvt", recordings.cvt_errors())


@pytest.mark.parametrize("name", recordings.LOCALVIT)
def test_localvit(name: str) -> None:
    if not (recordings.LARGE / f"{name}.safetensors").exists():
        pytest.skip("the recorded outputs are not part of the repository: shared/fixtures beside it is absent")
    errors = recordings.localvit_errors(name)
    assert errors.keys() == {"output", "features", "input gradient", "training output"}
    assert not deviation.beyond("recorded", name, errors)
