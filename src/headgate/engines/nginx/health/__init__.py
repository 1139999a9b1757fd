"""How an nginx is: whether it serves, what became of its processes, what is told and counted."""
