"""How much each workspace may have."""
