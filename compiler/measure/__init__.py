"""Traits read off a module that runs: the derivative of its output by its input, with predicted weights held fast."""
