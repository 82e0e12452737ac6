"""Reads which Redis the application names."""
