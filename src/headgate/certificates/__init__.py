"""A fleet's own certificate authority: creating it, issuing, renewing, rotating, revoking.

Pure functions, with the time passed in, and the folder in which a master without a database keeps
the authority. Never writes a private key that others can read.
"""
