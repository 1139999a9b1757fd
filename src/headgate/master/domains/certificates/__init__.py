"""The certificates that nodes serve with, as they say it."""
