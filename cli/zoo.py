"""mixspec zoo: which trained weights there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..compiler.families import registry as families
from ..compiler.lint.figures import amount
from ..compiler.mixers import registry as mixers
from ..compiler.registry import Registry
from ..compiler.show import si
from ..compiler.suggest import did_you_mean
from ..zoo import entries
from ..zoo.entries import Entry, Metric
from ..zoo.listing import Row, SortBy, Wanted, rows
from ._group import group
from ._options import Json
from ._table import print_json, table

app = group("zoo")

Family = Annotated[str | None, typer.Option("--family", metavar="NAME", help="Networks of this frame.")]
MixerName = Annotated[str | None, typer.Option("--mixer", metavar="NAME", help="Networks with this mixer in a stage.")]
MaxParams = Annotated[str | None, typer.Option("--max-params", metavar="30M", help="Networks with no more parameters.")]
MaxMacs = Annotated[str | None, typer.Option("--max-macs", metavar="4.5G", help="Networks with no more multiply-adds.")]
MinTop1 = Annotated[float | None, typer.Option("--min-top1", min=0, max=100, help="At least this accuracy, percent.")]
Shipped = Annotated[bool, typer.Option("--shipped", help="Weights that came with mixspec and need no network.")]
On = Annotated[
    str | None, typer.Option("--on", metavar="DATA", help="Accuracies on these images: ImageNet-1k, digits.")
]
Sort = Annotated[SortBy, typer.Option("--sort", help="Smallest first; the most accurate first.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of weights, or of their spec.")]


@app.callback()
def command() -> None:
    """List trained weights, and show what is known of them."""


@app.command("list")
def list_(
    family: Family = None,
    mixer: MixerName = None,
    max_params: MaxParams = None,
    max_macs: MaxMacs = None,
    min_top1: MinTop1 = None,
    shipped: Shipped = False,
    on: On = None,
    sort: Sort = "name",
    json: Json = False,
) -> None:
    """List the weights there are, with the figures of their networks.

    An accuracy is followed by who says so: measured here, printed in a paper, or reported by the weights' own page.
    Accuracies on different images do not compare.
    """
    wanted = Wanted(
        _known(families, family, "--family"),
        _known(mixers, mixer, "--mixer"),
        _number(max_params, "--max-params"),
        _number(max_macs, "--max-macs"),
        min_top1,
        shipped,
        _measured(on),
    )
    found = rows(wanted, sort)
    if json:
        print_json([row.data() for row in found])
    elif found:
        table(("name", "family", "mixers", "params", "MACs", "top-1 %", "on", "says", "where"), map(_cells, found))
    else:
        typer.echo(f"none of {len(entries.every())} weights fits")


def _cells(row: Row) -> tuple[str, ...]:
    figure, where = row.top1, "here" if row.entry.shipped else "Hub"
    accuracy = (f"{figure.value:.1f}", row.on, figure.provenance) if figure else ("", "", "")
    return (row.entry.name, row.family, ", ".join(row.mixers), si(row.params), si(row.macs), *accuracy, where)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show everything that is known of the weights of a name, and every figure's source."""
    row = Row.of(entries.of(name))
    if json:
        print_json(row.data())
        return
    for key, value in _about(row):
        typer.echo(f"{key:<12}{value}")
    if row.entry.metrics:
        typer.echo()
        table(("figure", "value", "on", "says"), [_said(metric) for metric in row.entry.metrics])
    if row.entry.runs:
        _show_runs(row.entry)
    name = row.entry.spec if row.entry.default else row.entry.name
    typer.echo(f"\nmodel = mixspec.build({name!r}, pretrained=True)")


def _show_runs(entry: Entry) -> None:
    rows = [
        (str(run.seed), str(run.epoch), f"{run.val_top1:.2f}", f"{run.test_top1:.2f}", f"{run.test_loss:.4f}")
        for run in entry.runs
    ]
    typer.echo()
    table(("seed", "best epoch", "validation %", "test %", "test loss"), rows)
    mean, spread = entry.spread()
    typer.echo(f"\ntest accuracy over {len(rows)} seeds: {mean:.2f} +- {spread:.2f} %")


def _about(row: Row) -> list[tuple[str, Any]]:
    entry = row.entry
    lines: list[tuple[str, Any]] = [
        ("name", entry.name),
        ("network", f"{entry.spec}: {row.family}, {', '.join(row.mixers)}; digest {row.network.digest[:12]}"),
        ("costs", f"{row.params:,} parameters, {row.macs:,} MACs"),
        ("weights", entry.source if entry.shipped else entry.url),
        ("sha256", entry.sha256 or "not known"),
        ("licence", entry.licence),
    ]
    lines += [("layout", f"{entry.layout}, ported when first used")] if entry.layout else []
    lines += [("trained on", f"{entry.data}, by the recipe {entry.recipe}")] if entry.data else []
    lines += [("images", _preparation(entry))] if entry.preprocess else []
    return lines + ([("note", entry.note)] if entry.note else [])


def _preparation(entry: Entry) -> str:
    way = entry.preprocess
    assert way, "asked for entries with a preparation of their own"
    means, stds = (", ".join(f"{value:g}" for value in values) for values in (way.mean, way.std))
    return f"mean {means}; std {stds}; {way.interpolation}, centre {100 * way.crop_pct:g} %"


def _said(metric: Metric) -> tuple[str, ...]:
    says = f"{metric.provenance}: {metric.source}" if metric.source else f"{metric.provenance} here"
    return (metric.name, f"{metric.value:g}", metric.data, says)


def _known(registry: Registry[Any], name: str | None, option: str) -> str | None:
    if name is None or name.lower() in registry:
        return name
    raise typer.BadParameter(f"{name!r} is none: {did_you_mean(name, list(registry))}", param_hint=option)


def _measured(on: str | None) -> str | None:
    """The name of images that some weights have an accuracy on."""
    known = sorted({metric.data.partition(",")[0] for entry in entries.every() for metric in entry.metrics})
    if on is None or on.lower() in map(str.lower, known):
        return on
    raise typer.BadParameter(f"{on!r} is none: {did_you_mean(on, known)}", param_hint="--on")


def _number(text: str | None, option: str) -> int | None:
    found = None if text is None else amount(text)
    if text is not None and found is None:
        raise typer.BadParameter(f"{text!r} is no number: 30M, 4.5G", param_hint=option)
    return found
