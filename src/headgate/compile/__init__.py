"""Compiles the model into plan, diagnostics and lints; pure and deterministic.

`load.load` is the one-shot entry point, `compiler.Compiler` the one that keeps its last results
so that an edit of one object costs one object.
"""
