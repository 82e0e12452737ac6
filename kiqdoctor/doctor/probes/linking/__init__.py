"""What a native file links, and whether this host's loader would find it."""
