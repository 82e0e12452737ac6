"""How the application's source is indexed: its jobs, what they reach, and what they use there."""
