"""Endpoints that change without a reload: a table that nginx's workers share, and its file."""
