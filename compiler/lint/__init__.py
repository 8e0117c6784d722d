"""Everything that is wrong with a spec, where exactly, and what would be right. No torch."""
