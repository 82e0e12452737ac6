"""kiqdoctor: the doctor for Sidekiq-style job queues, and a runtime that gives it nothing to find."""

__version__ = "0.1.0"
