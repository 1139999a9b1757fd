"""Checks the endpoints of an nginx itself, as the data plane of the native engine does."""
