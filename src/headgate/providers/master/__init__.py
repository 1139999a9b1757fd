"""Owns what a master gave this node: bundles on disk, and their documents for the compiler."""
