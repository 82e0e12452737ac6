"""How configuration is read: by parsers, never by patterns over lines."""
