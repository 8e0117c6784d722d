"""The model card of a network: what a reader of its page wants to know, all of it derived from the spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import __version__
from ..compiler import traits
from ..compiler.cost import cost
from ..compiler.counters import counted
from ..compiler.resolve import Network, sides
from ..compiler.show import Line, outline, si
from ..compiler.spec import Published


def card(network: Network) -> str:
    """The card as Markdown with the Hub's front matter. No weights are needed: nothing is said of any."""
    sections = [_front(), _title(network), _outline(network), _biases(network), _published(network), _use(network)]
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


def _front() -> Iterator[str]:
    yield from ("---", "license: apache-2.0", "library_name: mixspec", "pipeline_tag: image-classification")
    yield from ("tags:", "- mixspec", "- timm", "---")


def _title(network: Network) -> Iterator[str]:
    height, width = sides(network.about.image)
    yield from (f"# {network.name}", "")
    if network.about.description:
        yield from (network.about.description, "")
    yield f"Written by mixspec {__version__} from the spec; no weights are published under this name yet."
    total = cost(network.family, network.at)
    yield from _table(
        ("image", "classes", "parameters", "MACs", "FFT flops", "kept for backward", "digest"),
        [
            (
                f"{network.family.in_chans} x {height} x {width}",
                network.family.classes,
                f"{total.params:,}",
                f"{total.macs:,}",
                f"{total.fft_flops:,}",
                f"{total.activation_bytes:,} bytes",
                f"`{network.digest[:12]}`",
            )
        ],
    )


def _outline(network: Network) -> Iterator[str]:
    yield from ("## Architecture",)
    rows = [_part(line) for line in outline(network, network.at)]
    yield from _table(("part", "grid", "width", "blocks", "what", "parameters", "MACs"), rows)


def _part(line: Line) -> tuple[object, ...]:
    size = (f"{line.grid.h}x{line.grid.w}", line.grid.c, line.depth or "")
    return (f"`{line.path}`", *size, line.what, si(line.cost.params), si(line.cost.macs))


def _biases(network: Network) -> Iterator[str]:
    rows = traits.by_stage(network, network.at)
    if rows:
        yield from ("## Inductive biases",)
        cells = [(f"`{row.path}`", row.mixer, *traits.words(row.traits, row.at.c)) for row in rows]
        yield from _table(("stage", "mixer", *traits.HEADS), cells)


def _published(network: Network) -> Iterator[str]:
    if network.about.published:
        yield from ("## Published",)
        rows = [_figures(network, row) for row in network.about.published]
        yield from _table(("source", "params", "FLOPs", "counter", "counted here", "top-1", "disputed"), rows)


def _figures(network: Network, row: Published) -> tuple[object, ...]:
    here = f"{counted(network, row.counter):,}" if row.flops else ""
    printed = (row.params or "", row.flops or "", row.counter if row.flops else "", here)
    return (row.source, *printed, "" if row.top1 is None else row.top1, row.disputed or "")


def _use(network: Network) -> Iterator[str]:
    yield from ("## Use", "", "```python", "import mixspec", "", f'model = mixspec.build("{network.name}")', "```", "")
    if any(row.top1 for row in network.about.published):
        yield "The printed accuracy was measured by the paper's authors, with weights of their own."


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    heads = list(head)
    yield ""
    lines: list[Iterable[object]] = [heads, ["---"] * len(heads), *rows]
    for line in lines:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
    yield ""
