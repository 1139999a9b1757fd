"""Reads config from files, and notices when they change."""
