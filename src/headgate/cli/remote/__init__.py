"""What the commands do that talk to a master: contexts, requests, tables."""
