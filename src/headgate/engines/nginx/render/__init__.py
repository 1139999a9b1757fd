"""Renders a plan as nginx text, or names what this nginx cannot express. No I/O."""

from headgate.engines.nginx.render.render import render, renumbered

__all__ = ["render", "renumbered"]
