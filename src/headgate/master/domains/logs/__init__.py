"""Searches of the logs of nodes, which agents carry out when somebody asks."""
