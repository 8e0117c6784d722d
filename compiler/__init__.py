"""Structure: text -> tree -> module. No weights, no network, no disk but the spec."""
