"""Rotation of the master's key and of the fleet's certificate authority."""
