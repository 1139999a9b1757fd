"""Holds what the master decides, one folder for each domain."""
