"""The parts of the commands that talk to a master: contexts, requests, tables."""
