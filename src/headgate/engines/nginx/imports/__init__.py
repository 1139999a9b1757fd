"""Converts an nginx config to ours: what it recognises becomes model, the rest stays verbatim.

Pure: trees in, an import out; only the edge reads files and processes.
"""
