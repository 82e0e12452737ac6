"""The doctor in this process, in a folder of its own."""

from pathlib import Path

import pytest
from examining import Doctor


@pytest.fixture
def doctor(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(tmp_path, capfd)
