"""What the papers do with trained networks: prune them, look at their kernels, cut their filters short, move them."""
