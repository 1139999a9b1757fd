"""Agents: nodes that enrolled, who they are, and how far each is with its config."""
