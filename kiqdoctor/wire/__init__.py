"""Sidekiq's format as values: keys, payloads, process records, work in flight, stamps, back-off. No I/O, no clock."""
