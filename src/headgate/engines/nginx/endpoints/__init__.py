"""Changes endpoints without a reload, in a table that nginx's workers share, and its file."""
