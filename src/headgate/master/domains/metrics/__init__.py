"""What the nodes of a fleet served: figures of 15 s, of a minute and of five, for a day."""
