"""Reads which packages the application locks."""
