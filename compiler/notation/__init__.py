"""Mixer notation as papers write it: its grammar, what it tells each stage, and how it is printed."""
