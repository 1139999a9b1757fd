"""The master's database: SQLite or PostgreSQL, one writer, one gate between tenants.

Knows no domain: the tables of a noun are in the noun's folder.
"""
