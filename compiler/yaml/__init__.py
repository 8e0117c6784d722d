"""YAML 1.2 as events with places: what a scalar means, where it stands, and what is wrong in an author's words."""
