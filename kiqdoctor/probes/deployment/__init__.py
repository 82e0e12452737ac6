"""Reads how the application is started."""
