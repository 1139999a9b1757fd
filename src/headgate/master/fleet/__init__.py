"""The master's side of the agents' streams: carriers, live sessions, budgets.

Knows the rest of the master by the port `book.FleetBook` only.
"""
