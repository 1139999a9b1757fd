"""Workspaces: the parts of an organisation, each with its own config and fleets."""
