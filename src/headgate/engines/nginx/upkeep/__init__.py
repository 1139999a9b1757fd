"""Does what a driven nginx needs between applies."""
