"""Backups of a master: everything in its database and its key, in one encrypted file, which either
database takes back."""
