"""The nouns of the master: one folder and one line in the registry each."""
