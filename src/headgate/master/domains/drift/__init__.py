"""How the nginx of agents drifts: what they say, three ways, and heals that people order."""
