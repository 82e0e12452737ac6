"""The short form of chaos.py, which says on its top what is asked; its seed and numbers are printed."""

import subprocess
import sys
from pathlib import Path

KILLS = 24


def test_nothing_is_lost_and_no_repeat_is_unexplained() -> None:
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), "--kills", str(KILLS), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    print(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
