"""mixspec traits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from commands import run

from mixspec.compiler.measure.compare import _compared
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.pooling import Pooling

SCATTERED = [place * 31 % 72 for place in range(72)]


def test_every_stage_has_a_line() -> None:
    code, text = run("traits", "hpxaformer_s18")
    lines = text.splitlines()
    assert code == 0 and len(lines) == 5
    assert lines[0].split() == [
        *("stage", "mixer", "grid", "positions", "reach", "channels", "over", "positions"),
        *("over", "channels", "weights", "context", "any", "size"),
    ]
    assert lines[4].startswith("stages.3  attention") and "heads of 32" in lines[4]


def test_another_image_size() -> None:
    assert "window" in run("traits", "hpxaformer_s18", "--image", "448")[1].splitlines()[1]


def test_json_has_the_fields() -> None:
    code, text = run("traits", "resnet50d_cadasp_k9_b128", "--json")
    data = json.loads(text)
    assert code == 0 and data["name"] == "resnet50d_cadasp_k9_b128" and data["image"] == 224
    assert data["mixers"][2] == {
        "path": "stages.2",
        "mixer": "CADAsp b=128 agg=9",
        "grid": [14, 14],
        "width": 256,
        "traits": {
            "space": "sliding",
            "channels": "separate",
            "reach": 4,
            "shared_over_positions": False,
            "channels_per_weight": 16,
            "dynamic": "position",
            "context": 1,
            "any_size": True,
            "kernel_rank": None,
        },
    }


def test_all_lists_mixers_and_both_tables() -> None:
    code, text = run("traits", "--all")
    assert code == 0
    first, vit, cada = text.split("\n\n")
    assert len(first.splitlines()) == 1 + len(registry)
    assert vit.startswith("Demystifying Local Vision Transformer, arXiv:2106.04263, Table 1")
    assert cada.splitlines()[-1].split() == ["DA", "DA", "No", "Somewhat"]
    tables = json.loads(run("traits", "--all", "--json")[1])["relations"]
    assert tables[1]["rows"][3] == ["CADA", "CADA", "Yes", "Somewhat"]


def test_a_network_that_is_no_tree() -> None:
    assert run("traits", "timm_deit_s") == (0, "The network is no tree of layers: nothing is declared.\n")


@pytest.mark.parametrize("arguments", [(), ("caformer_s18", "--all")], ids=["nothing", "both"])
def test_a_model_or_all(arguments: tuple[str, ...]) -> None:
    code, text = run("traits", *arguments)
    assert code == 2 and "name a model" in text


def test_measured_beside_declared() -> None:
    code, text = run("traits", "poolformerv2_s12", "--measure")
    assert code == 0 and text.count("as declared") == 4 and "8x9x8" in text


def test_a_mixer_that_cannot_be_measured_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pooling, "forward", lambda self, m, x: x.flatten(2)[..., SCATTERED].view_as(x))
    _compared.cache_clear()
    code, text = run("traits", "poolformerv2_s12", "--measure")
    assert code == 1 and text.startswith("pooling cannot be measured: the connections between positions are neither")
    _compared.cache_clear()


def test_a_false_declaration_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Pooling.traits
    monkeypatch.setattr(Pooling, "traits", lambda self, at: replace(honest(self, at), reach=2, dynamic="image"))
    _compared.cache_clear()
    code, text = run("traits", "poolformerv2_s12", "--measure")
    assert code == 1 and "reach 1 not 2, dynamic no not image" in text
    code, text = run("traits", "poolformerv2_s12", "--measure", "--json")
    measured = json.loads(text)["mixers"][0]["measured"]
    assert code == 1 and measured["differences"] == ["reach", "dynamic"] and measured["measured"]["reach"] == 1
    _compared.cache_clear()
