"""The master: one database of what every fleet should serve, its REST API, and who may do what.

Imports what compiles a config and what speaks with agents; never an engine or a node.
"""
