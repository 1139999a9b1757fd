"""What an nginx says of itself: its status, its logs, its processes, its certificates."""
