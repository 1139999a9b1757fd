"""The main process of a node: what systemd, Docker and signals address.

Owns the listening sockets, the signals, the lock of the state directory and the two other
processes. Uses the standard library only, imports nothing of ours, and stays under 12 MB: it must
not fail. Never parses a config, never touches a request.
"""
