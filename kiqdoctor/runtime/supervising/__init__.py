"""The parent of worker processes: small, without job code, and never in a job's way. It knows nothing above it."""
