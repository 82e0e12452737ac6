"""Reads the registered processes."""
