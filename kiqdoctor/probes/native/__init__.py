"""Reads compiled extensions."""
