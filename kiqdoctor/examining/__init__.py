"""Composes examinations out of plan, probes and checks: the only place where they meet."""
