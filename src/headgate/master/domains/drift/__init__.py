"""The drift of agents' nginx: what they report, three ways, and heals that people order."""
