"""Fleets: the agents of a workspace that serve the same config."""
