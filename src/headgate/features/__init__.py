"""One folder per feature: its options as the user writes them, and the plan they become.

A feature is a folder `<kind>/<name>/` and one line in `registry.py`; schema, reference page and
console form follow from its options. Nothing is scanned and nothing registers itself.
"""
