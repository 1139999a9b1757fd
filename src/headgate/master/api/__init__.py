"""What every route stands on: problems, permissions, pages, versions, repeated requests."""
