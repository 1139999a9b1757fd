"""Templates of virtual hosts, and the virtual hosts that are made of them."""
