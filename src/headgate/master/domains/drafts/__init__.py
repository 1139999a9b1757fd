"""Drafts: changes to resources that are looked at before they are published."""
