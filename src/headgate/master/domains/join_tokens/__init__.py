"""Join tokens: with one of them a node becomes an agent of a fleet."""
