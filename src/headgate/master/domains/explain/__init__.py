"""Explains which route a request takes at a node, by the config that its agent got."""
