"""Observes an nginx: its status, its logs, its processes, its certificates."""
