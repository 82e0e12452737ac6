"""Where an iterable job goes on: the fields of Sidekiq's own ``it-<jid>`` hash."""

from typing import Final

RUNS: Final = "ex"
CURSOR: Final = "c"  # JSON
SECONDS: Final = "rt"
CANCELLED: Final = "cancelled"
