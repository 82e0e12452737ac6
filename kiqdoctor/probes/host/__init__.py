"""Reads this host's /proc."""
