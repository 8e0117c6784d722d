"""Weights: making them, keeping them, loading them."""
