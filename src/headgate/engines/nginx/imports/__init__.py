"""From an nginx config to ours: what is recognised becomes model, the rest is kept verbatim.

Pure: trees in, an import out; only the edge reads files and processes.
"""
