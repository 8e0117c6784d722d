"""The model card of a network: what a reader of its page wants to know.

Of the network everything follows from its spec; of weights, from their file's header and their entry. A card is made
and never edited, so that it can be made again and compared. No torch: whoever has a header has read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..compiler import traits
from ..compiler.cost import cost
from ..compiler.counters import counted
from ..compiler.resolve import Network, sides
from ..compiler.show import Line, outline, si
from ..compiler.spec import Published
from .entries import Entry

if TYPE_CHECKING:
    from .weights import Header

SETS = {
    "digits": (
        "1,797 handwritten digits of 8 x 8 pixels in 17 shades, light ink on a dark ground (E. Alpaydin and C. Kaynak, "
        '"Optical Recognition of Handwritten Digits", UCI, 1998), which scikit-learn carries: 1,197 to train on, 300 '
        "to choose by, 300 to test on, the classes in equal shares. The split belongs to the data set, not to a seed."
    )
}
"""What a reader should know of the data sets that come with mixspec."""
USES = {
    "digits": (
        "Demonstrations, tests, and comparing mixers: the networks of this frame differ in their mixers alone. Fine as "
        "a start for one's own small grey images; no product should read digits with it."
    )
}
LIMITS = {
    "digits": (
        "1,197 training images are few: accuracies of single trainings differ by the spread above, and smaller "
        "differences between mixers mean nothing. One test image is a third of a point.",
        "It has seen digits that were scanned, cut out and shrunk in one way; photographs, other alphabets, several "
        "digits in an image or none were never tried, and it answers with a digit whatever it is shown.",
        "Dark ink on light paper must be inverted first (`mixspec predict --invert`).",
    )
}


def card(network: Network, header: Header | None = None, entry: Entry | None = None) -> str:
    """The card as Markdown with the Hub's front matter; ``header`` is that of the network's weights, if it has any."""
    sections = [_front(header, entry), _title(network, header), _outline(network), _biases(network)]
    if header:
        sections += [_training(header, entry), _results(header, entry), _limits(network, header)]
    if entry:
        sections += [_file(entry)]
    sections += [_published(network), _use(network, entry)]
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


def _front(header: Header | None, entry: Entry | None) -> Iterator[str]:
    yield from ("---", f"license: {entry.licence if entry else 'apache-2.0'}", "library_name: mixspec")
    yield from ("pipeline_tag: image-classification", "tags:", "- mixspec", "- timm")
    if header and header.metrics:
        yield from ("metrics:", "- accuracy")
    yield "---"


def _title(network: Network, header: Header | None) -> Iterator[str]:
    height, width = sides(network.about.image)
    yield from (f"# {network.name}", "")
    if network.about.description:
        yield from (network.about.description, "")
    without = "from the spec; no weights are published under this name yet"
    yield f"Written by mixspec {__version__} {'from the spec and the weights' if header else without}."
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


def _training(header: Header, entry: Entry | None) -> Iterator[str]:
    data, recipe = header.data, header.recipe
    if not (data or recipe):
        return
    yield from ("## Training", "")
    if data:
        yield f"Data: {data.get('name', 'not named')}, {len(data.get('classes', ()))} classes."
        yield from (line for line in [SETS.get(str(data.get("name")), "")] if line)
        yield from (f"Pixels lie between 0 and 1; mean {_plain(data['mean'])}, spread {_plain(data['std'])}.", "")
    if recipe:
        yield f"Recipe: {recipe.get('name', 'not named')}; every field that is not at its default:"
        yield from _table(("field", "value"), [(f"`{key}`", _plain(value)) for key, value in recipe.items()])
    if entry and entry.runs:
        yield f"Seeds: {', '.join(str(run.seed) for run in entry.runs)}. The weights are those of seed"
        yield f"{entry.runs[0].seed}, settled before any was trained, after the epoch that was best on the validation"
        yield from ("images. No weights were chosen by the test images.", "")


def _results(header: Header, entry: Entry | None) -> Iterator[str]:
    if entry and entry.runs:
        yield from ("## Results", "")
        images = entry.metrics[0].data if entry.metrics else str(entry.data)
        mean, spread = entry.spread()
        yield f"Measured here, on {images}: **{entry.runs[0].test_top1:.2f} %** top-1 for these weights;"
        yield f"{mean:.2f} % over {len(entry.runs)} seeds, with a standard deviation of {spread:.2f} points (n - 1)."
        rows = [(r.seed, r.epoch, f"{r.val_top1:.2f}", f"{r.test_top1:.2f}", f"{r.test_loss:.4f}") for r in entry.runs]
        yield from _table(("seed", "best epoch", "validation top-1 %", "test top-1 %", "test loss"), rows)
    elif header.metrics:
        yield from ("## Results", "")
        yield "As the weights' file says:"
        yield from _table(("figure", "value"), [(key, _plain(value)) for key, value in header.metrics.items()])


def _limits(network: Network, header: Header) -> Iterator[str]:
    name = str(header.data.get("name"))
    if name in USES:
        yield from ("## Intended use", "", USES[name], "", "## Limits", "")
        yield from (f"- {limit}" for limit in LIMITS[name])
        fixed = [str(row.mixer) for row in traits.by_stage(network, network.at) if not row.traits.any_size]
        if fixed:
            height, width = sides(network.about.image)
            yield f"- {', '.join(dict.fromkeys(fixed))}: the weights fit images of {height} x {width} pixels alone."
        yield ""


def _file(entry: Entry) -> Iterator[str]:
    yield from ("## File", "")
    yield from (
        f"`{entry.source}`, {entry.size:,} bytes, float32, licence {entry.licence}, sha256",
        f"`{entry.sha256}`.",
    )
    yield from (f"`mixspec verify {entry.name}` works out every figure of this card again.", "")


def _plain(value: Any) -> str:
    """A value of a header as the card shows it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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


def _use(network: Network, entry: Entry | None) -> Iterator[str]:
    asked = ", pretrained=True" if entry else ""
    yield from ("## Use", "", "```python", "import mixspec", "")
    yield from (f'model = mixspec.build("{network.name}"{asked})', "```", "")
    if entry and entry.data:
        yield from ("```", f"mixspec predict {entry.name} --data {entry.data} --index 0,1,2", "```", "")
    if any(row.top1 for row in network.about.published):
        yield "The printed accuracy was measured by the paper's authors, with weights of their own."


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    heads = list(head)
    yield ""
    lines: list[Iterable[object]] = [heads, ["---"] * len(heads), *rows]
    for line in lines:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
    yield ""
