"""Drives the native engine: gives plans to the data-plane process and asks how it is.

Owns the gRPC side of `proto/headgate/v1/plan.proto`. Never compiles a config, never opens a
listening socket, never starts a process.
"""
