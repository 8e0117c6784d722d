"""Tables of `published.md` and `baselines.md`: what papers print beside what their networks count to, exactly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path

from mixspec.compiler import catalogue
from mixspec.compiler.cost import count
from mixspec.compiler.counters import counted
from mixspec.compiler.lint.figures import Printed, printed, scaled
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.compiler.spec import Published

ROOT = Path(__file__).resolve().parent.parent
PAPERS = {
    "cada": "2210.17141",
    "hyenapixel": "HyenaPixel",
    "localvit": "2106.04263",
    "atc": "Attend To Convolution",
    "gabor": "2110.15644",
    "metaformer": "2210.13452",
    "cvt": "2103.15808",
}
"""What the source of a row contains, by the paper's name in the markers."""
HEAD = (
    "spec", "what", "place", "params printed", "params exact", "FLOPs printed", "counter", "counted", "MACs exact",
    "top-1", "status",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One entry under `published:` of one spec."""

    network: Network
    entry: Published

    @property
    def place(self) -> str:
        """Table or section, without the paper."""
        return re.split(r"; ", self.entry.source.rpartition("), ")[2])[0].rpartition(", ")[2]

    @property
    def order(self) -> tuple[str, int, str]:
        number = re.search(r"\d+", self.place)
        return re.sub(r"\d+.*", "", self.place), int(number[0]) if number else 0, self.network.name

    def comparisons(self) -> Iterator[tuple[Printed, int]]:
        """Printed figures with what they should be rounded from."""
        if self.entry.params and (figure := printed(self.entry.params)):
            yield figure, count(self.network).params
        if self.entry.flops and (figure := printed(self.entry.flops)):
            yield figure, counted(self.network, self.entry.counter)

    @property
    def status(self) -> str:
        if self.entry.disputed:
            return "disputed"
        agreed = [figure.agrees(exact) for figure, exact in self.comparisons()]
        return "no figure printed" if not agreed else "reproduced" if all(agreed) else "contradicted"

    def cells(self) -> tuple[str, ...]:
        entry, cost = self.entry, count(self.network)
        work = printed(entry.flops) if entry.flops else None
        return (
            link(self.network),
            what(self.network),
            self.place,
            entry.params or "",
            f"{cost.params:,}",
            entry.flops or "",
            entry.counter if work else "",
            work.show(counted(self.network, entry.counter)) if work else "",
            f"{cost.macs:,}",
            accuracy(entry),
            self.status,
        )


def link(network: Network) -> str:
    """The spec's name, leading to its file."""
    return f"[`{network.name}`](../{catalogue.find(network.name).relative_to(ROOT).as_posix()})"


def what(network: Network) -> str:
    """The spec's description, else what it says of itself."""
    if network.about.description:
        return network.about.description.rstrip(".")
    data = network.document.data if network.document and isinstance(network.document.data, dict) else {}
    keys = ("model", "variant", "size", "mixers", "norm", "se", "extra", "replace", "filter", "stem", "image")
    return ", ".join(f"{key}: {str(data[key]).strip('{}')}" for key in keys if key in data)


def accuracy(entry: Published) -> str:
    """Top-1 in percent, with the data where it is not ImageNet-1k."""
    if entry.top1 is None:
        return ""
    return f"{entry.top1} ({entry.dataset})" if entry.dataset else f"{entry.top1}"


@cache
def networks() -> tuple[Network, ...]:
    """Every shipped spec, resolved."""
    return tuple(resolve(catalogue.load(name)) for name in catalogue.names())


def rows(paper: str, *, traced: bool) -> list[Row]:
    """Rows of one paper in its order; those of timm's own models are counted by tracing, which takes torch."""
    found = (
        Row(network, entry)
        for network in networks()
        for entry in network.about.published
        if PAPERS[paper] in entry.source and (network.family.notation == "timm") == traced
    )
    return sorted(found, key=lambda row: row.order)


def published(paper: str, *, traced: bool) -> str:
    """The table of one paper under its summary."""
    chosen = rows(paper, traced=traced)
    settled = [row for row in chosen if not row.entry.disputed]
    reproduced = sum(figure.agrees(exact) for row in settled for figure, exact in row.comparisons())
    counts = (len(chosen), "row"), (reproduced, "printed figure"), (len(chosen) - len(settled), "row")
    total, figures, open_ = (f"{number} {noun}{'s' * (number != 1)}" for number, noun in counts)
    return f"{total}: {figures} reproduced, {open_} disputed.\n\n" + table(HEAD, (row.cells() for row in chosen))


def disputed(paper: str, *, traced: bool) -> str:
    """Every reason for a dispute, with the rows it holds for."""
    chosen = sorted((row for row in rows(paper, traced=traced) if row.entry.disputed), key=reason)
    lines = []
    for text, group in groupby(chosen, key=reason):
        lines.append(f"- {', '.join(f'`{row.network.name}` ({row.place})' for row in group)}: {text}.")
    return "\n".join(lines)


def reason(row: Row) -> str:
    """Why the row's printed figures cannot all hold."""
    return (row.entry.disputed or "").rstrip(".")


def head_sizes() -> str:
    """Disputed CADA rows as printed, and with heads of 32 channels and batch norm and ReLU in front of the filter."""
    lines = []
    for row in rows("cada", traced=False):
        if not row.entry.disputed:
            continue
        text = catalogue.find(row.network.name).read_text("utf-8")
        other = resolve(parse(re.sub(r"\bCh=\d+", "Ch=32", text) + "pre: bn+relu\n"))
        cells = [cell for network in (row.network, other) for cell in compared(network, row.entry)]
        lines.append((f"`{row.network.name}`", f"{row.entry.params}, {row.entry.flops}", *cells))
    head = (
        "row",
        "printed",
        "with the printed `Ch`",
        "printed − exact",
        "with `Ch=32`, BN and ReLU",
        "printed − exact",
    )
    return table(head, lines)


FIGURES = {
    7: "channels that share a kernel",
    8: "base kernels",
    9: "base kernels, with and without the position kernel",
    10: "side of the context kernel",
    11: "side of the kernel",
    12: "downsampling filters, CADA and CADAsp: side of the kernel",
    13: "downsampling filters: channels that share a kernel",
    14: "downsampling filters: side of the kernel, shared by all channels",
    15: "downsampling filters, by spatial filter: side of the kernel",
    16: "depth-wise downsampling filters, with and without averages in front: side of the kernel",
    17: "downsampling filters: side of the context kernel",
    18: "as Fig. 15",
    19: "spatial filters beside a fixed downsampling filter: side of the kernel",
}
"""What is varied along the axis of each plot of arXiv:2210.17141."""


def figures() -> str:
    """The specs that stand for points of the CADA paper's plots, as their descriptions say."""
    found: dict[int, list[str]] = {number: [] for number in FIGURES}
    for network in networks():
        named = re.search(r"\(Figs?\. ([\d, ]+)\)$", network.about.description)
        if named and network.family.notation == "resnet":
            for number in named[1].split(", "):
                found[int(number)].append(f"`{network.name}`")
    return table(
        ("figure", "what varies", "specs"),
        ((f"Fig. {number}", FIGURES[number], ", ".join(specs)) for number, specs in found.items()),
    )


def compared(network: Network, entry: Published) -> tuple[str, str]:
    """Parameters and counted work, and by how many parameters the printed figure is above them."""
    figure = printed(entry.params or "")
    assert figure is not None, f"{network.name} prints no parameters"
    exact, work = count(network).params, counted(network, entry.counter)
    return f"{scaled(exact, figure.step)}, {scaled(work, figure.step * 1000)}", f"{int(figure.value) - exact:+,}"


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = list(head)
    marked = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in marked)


TABLES: dict[str, Callable[[], str]] = {
    **{f"published_{paper}": partial(published, paper, traced=False) for paper in PAPERS},
    **{f"disputed_{paper}": partial(disputed, paper, traced=False) for paper in PAPERS},
    **{f"traced_{paper}": partial(published, paper, traced=True) for paper in PAPERS},
    **{f"traced_disputed_{paper}": partial(disputed, paper, traced=True) for paper in PAPERS},
    "head_sizes": head_sizes,
    "figures": figures,
}
