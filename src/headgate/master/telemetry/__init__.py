"""The master's own metrics: what its parts counted, what its database says, the page of both."""
