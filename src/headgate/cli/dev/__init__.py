"""`headgate dev`: what developers of agents and masters try them with."""
