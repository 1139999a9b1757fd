"""The figures of what a fleet's nodes served: of 15 s, of a minute and of five, for a day."""
