"""`manage.py check` with KiqdoctorConfig installed: findings are Django's messages, and can be silenced as such."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from doctoring import SECRETS
from project import TITLE, project

if not os.environ.get("CI"):
    pytest.importorskip("django", reason="Django is not installed")

SETTINGS = """
from pathlib import Path
SECRET_KEY = "none"
BASE_DIR = Path(__file__).parent
USE_TZ = True
INSTALLED_APPS = ["kiqdoctor.integrations.django.KiqdoctorConfig", "shop"]
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def django(folder: Path, settings: str = "", *, sound: bool = False) -> Path:
    files = {"settings.py": SETTINGS + settings, "manage.py": MANAGE, "shop/__init__.py": ""}
    return project(folder, files, sound=sound)


def manage(folder: Path, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name not in (*SECRETS, "DJANGO_SETTINGS_MODULE")}
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_finding_is_an_error_with_place_and_hint(tmp_path: Path) -> None:
    ran = manage(django(tmp_path), "check")

    assert ran.returncode == 1
    assert f"app/jobs/upload.rb:4: (kiqdoctor.PKG001) {TITLE}" in ran.stderr
    assert "HINT: Move to aws-sdk-s3 (v3)." in ran.stderr


def test_its_healthy_twin_has_no_issues(tmp_path: Path) -> None:
    ran = manage(django(tmp_path, sound=True), "check")

    assert (ran.returncode, ran.stdout) == (0, "System check identified no issues (0 silenced).\n"), ran.stderr


def test_it_is_silenced_as_django_silences(tmp_path: Path) -> None:
    ran = manage(django(tmp_path, 'SILENCED_SYSTEM_CHECKS = ["kiqdoctor.PKG001"]'), "check")

    assert (ran.returncode, ran.stdout) == (0, "System check identified no issues (1 silenced).\n")


def test_what_could_not_be_judged_is_told_and_fails_nothing(tmp_path: Path) -> None:
    folder = django(tmp_path, sound=True)
    (folder / "Procfile").write_text("worker: bundle exec sidekiq -c 10\n")

    ran = manage(folder, "check")

    assert ran.returncode == 0
    assert "(kiqdoctor.RED003) connection-budget-exceeded could not be judged: " in ran.stderr


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        ("KIQDOCTOR_CHECK = False", {}),
        ('KIQDOCTOR_CHECK_OPTIONS = ["--ignore", "PKG001"]', {}),
        ('KIQDOCTOR_CHECK_PATH = BASE_DIR / "shop"', {}),
        ("", {"RUN_MAIN": "true"}),
    ],
)
def test_it_can_be_told_to_leave_things_alone(tmp_path: Path, settings: str, environ: dict[str, str]) -> None:
    ran = manage(django(tmp_path, settings), "check", **environ)

    assert ran.returncode == 0, ran.stderr


def test_single_applications_are_checked_without_it(tmp_path: Path) -> None:
    assert manage(django(tmp_path), "check", "shop").returncode == 0


def test_by_its_tag_it_is_alone(tmp_path: Path) -> None:
    assert manage(django(tmp_path), "check", "--tag", "kiqdoctor").returncode == 1


def test_an_examination_of_nothing_is_a_warning(tmp_path: Path) -> None:
    ran = manage(django(tmp_path, 'KIQDOCTOR_CHECK_OPTIONS = ["--select", "RED003"]'), "check")

    assert ran.returncode == 0
    assert "(kiqdoctor.failed) kiqdoctor could judge nothing" in ran.stderr


def test_wrong_options_are_a_warning_and_no_traceback(tmp_path: Path) -> None:
    ran = manage(django(tmp_path, 'KIQDOCTOR_CHECK_OPTIONS = ["--select", "NIL999"]'), "check")

    assert ran.returncode == 0
    assert "(kiqdoctor.failed) kiqdoctor could not examine" in ran.stderr
    assert "NIL999" in ran.stderr
    assert "Traceback" not in ran.stderr
