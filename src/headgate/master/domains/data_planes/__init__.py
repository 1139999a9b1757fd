"""Data planes that run apart from their control planes, with certificates of the fleet's CA."""
