"""Reads what the threads of a process do."""
