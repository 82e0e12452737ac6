"""Reads the application's source."""
