"""Sources of config: each watches something and says when it changed."""
