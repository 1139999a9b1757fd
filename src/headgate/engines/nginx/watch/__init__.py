"""Watches a foreign nginx and reports on it; never touches it."""
