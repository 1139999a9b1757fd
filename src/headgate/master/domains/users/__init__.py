"""Users: people, and their roles in organisations and workspaces."""
