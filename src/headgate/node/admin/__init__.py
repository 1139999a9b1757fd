"""The admin API of a node, on loopback and on a Unix socket; it refuses browsers."""
