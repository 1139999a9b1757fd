"""The main process of a node: what systemd, Docker and signals address.

Owns the listening sockets, the signals, the lock of the state directory and the two other
processes. Standard library only, imports nothing of ours, and stays under 12 MB: it must not be
what fails. Never parses a config, never touches a request.
"""
