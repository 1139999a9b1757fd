"""Holds what every layer stands on: units, names, diagnostics, nearest names.

Imports nothing of headgate's.
"""
