"""Runs jobs in Sidekiq's format. It has never heard of the doctor."""
