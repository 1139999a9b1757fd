"""Events: what happened in a workspace, numbered without holes, for those who watch."""
