"""Finds what is insecure or probably a mistake in an nginx config, without running it.

Pure: a tree in, findings out. A check is a function in a file of its own kind and one line in
`registry.CHECKS`.
"""
