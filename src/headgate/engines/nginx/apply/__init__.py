"""Takes a rendered plan to a proven generation of a real nginx, or leaves everything as it was."""
