"""Mutation tests: small faults are put into the sources, and a test must notice each."""
