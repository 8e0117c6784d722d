import json

import pytest
from typer.testing import CliRunner

from mixspec.cli import app

runner = CliRunner()


def test_list_is_filtered_and_sorted() -> None:
    done = runner.invoke(
        app, ["zoo", "list", "--mixer", "sepconv", "--sort", "top1", "--max-params", "30M", "--on", "ImageNet-1k"]
    )
    lines = done.stdout.splitlines()
    assert done.exit_code == 0 and lines[0].split()[:3] == ["name", "family", "mixers"]
    assert lines[1].startswith("convformer_s18.sail_in1k_384") and "84.4" in lines[1] and "printed" in lines[1]
    assert not any(line.startswith("caformer_m36") for line in lines)


def test_list_as_json() -> None:
    told = json.loads(runner.invoke(app, ["zoo", "list", "--family", "swin", "--json"]).stdout)
    assert [row["spec"] for row in told] == ["swin_b", "swin_s", "swin_t"]
    assert all(row["layout"] == "timm_swin" and row["params"] > 28_000_000 for row in told)


def test_nothing_fits() -> None:
    done = runner.invoke(app, ["zoo", "list", "--family", "san"])
    assert done.exit_code == 0 and done.stdout.startswith("none of ") and done.stdout.endswith("weights fits\n")


def test_show_names_every_source() -> None:
    said = runner.invoke(app, ["zoo", "show", "caformer_s18"]).stdout
    for part in ("26,341,656 parameters", "hf://timm/caformer_s18.sail_in1k", "apache-2.0", "printed: HyenaPixel"):
        assert part in said
    told = json.loads(runner.invoke(app, ["zoo", "show", "caformer_s18.sail_in1k", "--json"]).stdout)
    assert told["name"] == "caformer_s18.sail_in1k"


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["show", "caformer_s19"], 1, "did you mean caformer_s18"),
        (["show", "hpxformer_s12"], 1, "MX806 no published weights of hpxformer_s12"),
        (["list", "--mixer", "sepcov"], 2, "sepconv"),
        (["list", "--on", "ImageNet"], 2, "ImageNet-1k"),
        (["list", "--max-macs", "many"], 2, "4.5G"),
        (["list", "--sort", "size"], 2, "params"),
        ([], 2, ""),
    ],
)
def test_wrong_use(arguments: list[str], code: int, said: str) -> None:
    done = runner.invoke(app, ["zoo", *arguments])
    assert done.exit_code == code and said in done.stderr
