"""Engines carry a plan out; which one is chosen in `headgate.node.serving`."""
