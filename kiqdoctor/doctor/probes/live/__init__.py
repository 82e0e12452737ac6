"""Readers of the live view: what one refresh reads, and pages of jobs. None of them is a probe that checks ask for."""
