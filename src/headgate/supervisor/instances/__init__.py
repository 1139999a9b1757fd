"""The process of an agent that drives several nginx: it starts a supervisor for each of them."""
