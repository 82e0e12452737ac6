"""The version, for whoever tells it; the packaging reads it here."""

__version__ = "0.1.0"
