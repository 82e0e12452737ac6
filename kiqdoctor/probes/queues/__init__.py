"""Reads queues and sorted sets."""
