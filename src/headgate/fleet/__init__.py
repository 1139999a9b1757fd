"""The protocol between a master and its agents: manifests, frames, the sessions of both sides.

Pure: clock and randomness are passed in, carriers carry the bytes. Opens no socket, reads no file.
"""
