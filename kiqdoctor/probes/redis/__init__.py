"""Reads the server itself."""
