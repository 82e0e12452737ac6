"""What a file is for, as far as its path says: production, trials, or either."""

import re
from enum import IntEnum
from typing import Final

PRODUCTION: Final = frozenset({"production", "prod", "prd", "live"})
TRIALS: Final = frozenset(
    {"dev", "devel", "development", "devcontainer", "local", "test", "tests", "testing", "ci", "e2e", "debug", "qa"}
    | {"staging", "stage", "stg", "review", "preview", "sandbox", "example", "sample", "demo"}
)


class Stage(IntEnum):
    """What a file is for, as far as its path says."""

    TRIAL = 0
    ANY = 1
    PRODUCTION = 2


def stage(path: str) -> Stage:
    """``docker-compose.prod.yml`` and ``overlays/production/`` are production; ``Procfile.dev`` is none."""
    words = set(re.split(r"[^a-z0-9]+", path.lower()))
    if words & PRODUCTION:
        return Stage.PRODUCTION
    return Stage.TRIAL if words & TRIALS else Stage.ANY
