"""Training: recipe, data, loop, evaluation."""
