"""Ctrl-C and SIGTERM: a wish to stop, which the loop meets after the update it is in."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """A training that was asked to stop and has saved where it is. ``code`` is the shell's: 128 plus the signal."""

    def __init__(self, number: int, checkpoint: Path | None) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code, self.checkpoint = 128 + number, checkpoint


class Wish:
    """The signal that came; 0 for none."""

    def __init__(self) -> None:
        self.signal = 0

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The first signal is noted; a second one of its kind does what it always does."""
        self.signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def listening() -> Iterator[Wish]:
    """Within, signals are wishes. Outside the main thread, where Python hears none, nothing changes."""
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = [(number, signal.signal(number, wish.hear)) for number in SIGNALS]
    try:
        yield wish
    finally:
        for number, handler in before:
            signal.signal(number, handler)
