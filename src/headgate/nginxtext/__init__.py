"""nginx's own text: read without loss, written so that no value becomes a directive.

Bytes in, bytes out: nothing here opens a file, and nothing knows what a directive means.
"""
