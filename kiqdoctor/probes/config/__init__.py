"""How workers are configured, started and stopped, as the application's files say it."""
