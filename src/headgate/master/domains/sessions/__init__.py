"""Sessions: setting up, logging in, and proving it with each request."""
