"""Brings a revision to the agents of a fleet in waves, and back if it does harm.

`machine.handle` decides, pure: state, event and time in, state and commands out. A driver observes
the fleet, asks the machine, stores the state and carries the commands out.
"""
