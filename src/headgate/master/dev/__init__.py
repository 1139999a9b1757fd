"""What `headgate dev` runs: a master in memory, and agents that only pretend to apply."""
