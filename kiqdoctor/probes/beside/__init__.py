"""Reads what lies beside jobs: locks, batches, periodic jobs."""
