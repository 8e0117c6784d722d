import io
import re
from dataclasses import replace

import torch
from rich.console import Console

from mixspec.zoo.demo import one_thread
from mixspec.zoo.training.watch import Bar, Epoch, Pace

EPOCH = Epoch(3, 0.51234, 1e-3, 97.3333, 100.0, 0.1)
PACE = Pace(1.5, 812.3, 300 * 2**20)


def shown(terminal: bool, error: type[BaseException] | None = None) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=80, highlight=False, color_system=None)
    try:
        with Bar(console) as bar:
            bar.starts(12, 640)
            bar.update(3, 64, 0.4321, 2e-3)
            bar.progress.refresh()
            if error:
                raise error
            bar.ends(EPOCH, True, PACE)
    except KeyboardInterrupt:
        pass
    return text.getvalue()


def test_a_log_has_one_line_for_an_epoch() -> None:
    assert shown(False) == "epoch  3/12  loss 0.512  lr 1.0e-03    812 images/s  val top-1  97.3 %  best\n"


def test_a_terminal_sees_the_update() -> None:
    said = shown(True)
    assert "epoch 3/12" in said and "loss 0.432 lr 2.0e-03" in said and " images/s" in said


def test_eighty_columns_hold_all_of_it() -> None:
    text = io.StringIO()
    with Bar(Console(file=text, force_terminal=True, width=80, highlight=False, color_system=None)) as bar:
        bar.starts(310, 640)
        bar.ends(replace(EPOCH, epoch=99), True, PACE)
        bar.update(100, 64, 0.4321, 2e-3)
        bar.progress.refresh()
    (line,) = {part for part in re.split(r"[\r\n]|\x1b\[\d*[A-Z]", text.getvalue()) if "lr 2.0e-03" in part}
    assert all(part in line for part in ("epoch 100/310 ", " -:--:-- ", " val 97.3 % ", "300 MiB")), line


def test_an_interrupted_training_says_what_is_left() -> None:
    assert shown(False, KeyboardInterrupt).startswith("stopped; last.safetensors holds the last whole epoch")


def test_one_thread_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
