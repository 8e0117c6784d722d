"""How fast mixspec is beside what people would use instead: `python -m benchmarks`, from the repository root.

    python -m benchmarks                          every subject, as a table
    python -m benchmarks aggregate count --quick  some of them, in seconds
    python -m benchmarks --json                   for programs
    python -m benchmarks --docs                   and write docs/speed.json, docs/speed.md and docs/speed.svg

One file per subject; the folder is the registry: a file is the subject of its name if it defines ::

    THREADS = 1                                            # of torch; 1 where it is left out

    def figures(quick: bool) -> Iterator[Figure]:          # fewer and smaller ones if `quick`
        \"\"\"What the subject is about, on the shapes it is about: the text above its table in the docs.\"\"\"
        x = torch.randn(8, 64, 56, 56)
        yield Figure("forward, 64@56", clock(lambda: ours(x)), "unfold", clock(lambda: unfold(x)), goal=1 / 15)

A figure is two functions without arguments, ours and a named peer's, written as users of the peer write it. Each
returns what one round is worth: seconds (`clock` of a call, `process` of a command) or bytes (`peak` of a call in a
fresh process). `measure` runs both in turn, the order changing from round to round, and keeps the median of the ratios
round by round with its quartiles: what else the machine does hits both sides of a round, and ratios survive it.

A ratio is ours / peer, lower is better; with `speed=True` it is peer / ours, and higher is better. `note` says what the
reader must know beside the figure: where the limit lies if the goal cannot be met, how far the outputs are apart.

Every subject runs in a process of its own, both sides in it with the same number of threads, the same allocator
settings (`_measure.ENVIRONMENT`) and the same dtype. Whoever writes a subject checks first, in `figures`, that both
sides compute the same (`agree`).
"""
