"""Keeps releases: whole, immutable configs of one nginx on disk, and the links that choose one."""
