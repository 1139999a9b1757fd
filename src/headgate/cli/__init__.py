"""Command-line parsing and wiring: the only place that chooses implementations."""
