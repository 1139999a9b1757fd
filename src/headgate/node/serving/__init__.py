"""Presents the engines to a node: they serve a whole config, or nothing changes."""
