"""The quotas of each workspace."""
