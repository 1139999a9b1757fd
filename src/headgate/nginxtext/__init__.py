"""Reads nginx's own text without loss, and writes it so that no value becomes a directive.

Bytes in, bytes out: nothing here opens a file, and nothing knows what a directive means.
"""
