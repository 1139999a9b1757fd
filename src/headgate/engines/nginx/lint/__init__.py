"""What is insecure or hardly meant in an nginx config, found without running it.

Pure: a tree in, findings out. A check is a function in a file of its own kind and one line in
`registry.CHECKS`.
"""
