"""The control process of a node: providers → plan → engine, admin API, metrics page.

It may crash, restart or be upgraded while traffic flows. Never touches a request of a client and
never opens a listener of the config: those are the supervisor's.
"""
