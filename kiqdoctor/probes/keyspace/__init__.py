"""Reads whose keys lie in a database."""
