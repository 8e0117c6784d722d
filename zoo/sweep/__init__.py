"""Many trainings: run, continued where they stopped, spread over machines, and put into a table."""
