"""NSP003: what REDIS_PROVIDER says, in each kind of file."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.variables import variables

COMPOSE = "services:\n  jobs:\n    command: sidekiq\n    environment:\n"


def judged(root: Path, files: dict[str, str]) -> Result:
    return diagnose("NSP003", HEALTHY.with_(variables.read(tree(root, files))))


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({".env": "REDIS_PROVIDER=redis://h:6379/0\n"}, "high"),
        ({"compose.yml": f"{COMPOSE}      REDIS_PROVIDER: redis://h:6379/0\n"}, "high"),
        ({"app.json": '{"env": {"REDIS_PROVIDER": {"value": "redis://h:1"}}}', "Procfile": "w: sidekiq"}, "high"),
        ({"Procfile": "w: REDIS_PROVIDER=redis://h:1 sidekiq"}, "high"),
        ({"w.service": "[Service]\nEnvironment=REDIS_PROVIDER=redis://h:1\nExecStart=/usr/bin/sidekiq\n"}, "high"),
        ({"Procfile": "w: env REDIS_PROVIDER=redis://h:1 bundle exec sidekiq"}, "high"),
        ({"k/c.yaml": "kind: ConfigMap\nmetadata: {name: c}\ndata:\n  REDIS_PROVIDER: redis://h:1\n"}, "high"),
        ({".env": "REDIS_PROVIDER=CLOUD_URL\n"}, "medium"),
        ({"compose.yml": f"{COMPOSE}      - REDIS_PROVIDER=CLOUD_URL\n"}, "medium"),
        ({".env": "REDIS_PROVIDER=A\nA=redis://a:1\nREDIS_URL=redis://b:1\n"}, "medium"),
    ],
)
def test_misuse(tmp_path: Path, files: dict[str, str], severity: str) -> None:
    result = judged(tmp_path, files)

    assert [str(one.severity) for one in result.findings] == [severity]
    assert "redis://" not in str(result.findings)


@pytest.mark.parametrize(
    "files",
    [
        {".env": "REDIS_PROVIDER=CLOUD_URL\nCLOUD_URL=redis://h:1\n"},
        {".env": "REDIS_PROVIDER=A\nA=redis://a:1\nREDIS_URL=redis://a:1\n"},
        {".env": "REDIS_URL=redis://a:1\n"},
        {"k/c.yaml": "kind: ConfigMap\ndata:\n  REDIS_PROVIDER: A_URL\n  A_URL: redis://h:1\n"},
        {"compose.yml": f"{COMPOSE}      - REDIS_PROVIDER=CLOUD_URL\n      - CLOUD_URL\n"},
        {".env.example": "REDIS_PROVIDER=redis://h:1\n", ".env": "A=1\n"},
        {".env.test": "REDIS_PROVIDER=redis://h:1\n", ".env": "A=1\n"},
    ],
)
def test_sound(tmp_path: Path, files: dict[str, str]) -> None:
    result = judged(tmp_path, files)

    assert result.outcome is Outcome.PASS, (result.reason, result.findings)


def test_a_scope_that_is_open_cannot_be_told(tmp_path: Path) -> None:
    files = {"compose.yml": f"{COMPOSE}      REDIS_PROVIDER: CLOUD_URL\n    env_file: secrets.env\n"}

    assert judged(tmp_path, files).outcome is Outcome.UNKNOWN
