"""Makes a node an agent: it takes its config from a master, and reports what became of it."""
