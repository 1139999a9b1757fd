"""Holds what the rooms of the nginx engine share."""
