"""Secrets: files of a config that nothing may show, such as keys; sealed at rest."""
