"""Walks the application and reads its files."""
