"""What an nginx that we drive needs between applies."""
