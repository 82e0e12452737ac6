"""Databases, as the application's files speak of them."""
