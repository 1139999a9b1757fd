"""The engines as a node sees them: a whole config is served, or nothing changes."""
