"""The admin API of a node (DESIGN §10): loopback and a Unix socket, no browser allowed."""
