"""Revisions: what was published to a fleet; numbered, signed, never changed."""
