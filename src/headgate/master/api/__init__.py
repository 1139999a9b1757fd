"""The base of every route: problems, permissions, pages, versions, repeated requests."""
