"""The parts of `headgate dev`: a master in memory, and agents that only pretend to apply."""
