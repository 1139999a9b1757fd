"""Serves a plan by an nginx that is ours, or that includes us."""
