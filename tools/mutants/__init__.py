"""Tests by mutation: puts small faults into the sources, and a test must notice each."""
