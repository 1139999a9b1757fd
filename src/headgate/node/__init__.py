"""The control process of a node: providers → plan → engine, admin API, metrics page.

It may crash, restart or be upgraded while traffic flows. Never touches a client's request and never
opens a listener of the config: the supervisor owns those.
"""
