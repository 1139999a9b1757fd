"""An nginx of others, seen and told of, never touched."""
