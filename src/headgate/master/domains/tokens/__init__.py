"""API tokens: what programs prove themselves with."""
