"""Reads again and again what moves, for the live view."""
