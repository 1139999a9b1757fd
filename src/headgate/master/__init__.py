"""The control plane of many nodes: its store, its REST API, its agents' streams."""
