"""Judges the state of an nginx: whether it serves, what became
of its processes; counts and reports.
"""
