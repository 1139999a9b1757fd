"""Drives a real nginx: capabilities, render, releases, apply and verify, drift, observe, import."""
