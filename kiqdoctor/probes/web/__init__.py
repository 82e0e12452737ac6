"""Visits a web UI over HTTP."""
