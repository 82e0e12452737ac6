"""When the healthy installation was looked at."""

NOW = 1_795_500_000.0  # epoch seconds
