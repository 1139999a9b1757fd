"""Config from files: reading them, and seeing when they change."""
