"""Holds sources of config: each watches something and reports when it changes."""
