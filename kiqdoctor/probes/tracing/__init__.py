"""Reads where one job is, and those that are like it."""
