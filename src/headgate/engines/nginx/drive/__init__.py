"""The engine that serves a plan by an nginx that is ours, or that includes us."""
