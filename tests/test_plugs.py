"""Where it plugs in: the GitHub Action, the GitLab job, the hook, image, manifests and units, each run or read."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from doctoring import SECRETS
from project import TITLE, project
from servers import RedisServer

from kiqdoctor.cli import group

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "kiqdoctor"
DOCS = ROOT / "docs"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A `kiqdoctor` command, as an installation leaves it."""
    file = tmp_path / "bin" / "kiqdoctor"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kiqdoctor "$@"\n')
    file.chmod(0o755)
    return file


def loaded(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def environ(**further: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SECRETS} | further


@dataclass(frozen=True)
class Ran:
    """What an action's step left."""

    status: int
    out: str
    outputs: dict[str, str]
    summary: str


def action(folder: Path, home: Path, **inputs: str) -> Ran:
    """The composite action as GitHub's runner runs it: its steps in turn, with inputs put into `env` and `if`."""
    document = loaded(ACTION / "action.yml")
    known = {name: str(one.get("default", "")) for name, one in document["inputs"].items()}
    assert inputs.keys() <= known.keys()
    known |= inputs
    files = {name: home / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    variables = {
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_ACTION_PATH": str(ACTION),
        "RUNNER_TEMP": str(home),
        **{name: str(file) for name, file in files.items()},
    }
    ran = None
    for step in document["runs"]["steps"]:
        if "if" in step and not _holds(step["if"], known):
            continue
        assert "${{" not in step["run"], "an input must never become code"
        put = {name: _put(value, known) for name, value in step.get("env", {}).items()}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        ran = subprocess.run(
            shell, cwd=folder, env=environ(**variables, **put), capture_output=True, text=True, check=False
        )
        if ran.returncode != 0:
            break
    assert ran is not None
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Ran(ran.returncode, ran.stdout + ran.stderr, outputs, files["GITHUB_STEP_SUMMARY"].read_text())


def _put(text: str, inputs: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)


def _holds(condition: str, inputs: Mapping[str, str]) -> bool:
    name, value = re.fullmatch(r"inputs\.([\w-]+) == '(.*)'", condition).groups()  # type: ignore[union-attr]
    return inputs[name] == value


def test_the_action_fails_where_something_counts(tmp_path: Path, command: Path) -> None:
    ran = action(project(tmp_path / "app"), tmp_path, kiqdoctor=str(command))

    assert (ran.status, ran.outputs["status"]) == (1, "1")
    assert "::error" in ran.out
    assert TITLE in ran.out
    assert "kiqdoctor gate: FAILED" in ran.out
    assert "PKG001" in ran.summary


def test_the_action_passes_where_nothing_does_and_writes_sarif(tmp_path: Path, command: Path) -> None:
    ran = action(project(tmp_path / "app", sound=True), tmp_path, kiqdoctor=str(command), sarif="out.sarif")

    assert (ran.status, ran.outputs) == (0, {"status": "0", "sarif": "out.sarif"})
    assert json.loads((tmp_path / "app" / "out.sarif").read_text())["version"] == "2.1.0"
    assert "kiqdoctor" in ran.summary


def test_the_action_takes_further_options_and_never_runs_them(tmp_path: Path, command: Path) -> None:
    folder = project(tmp_path / "app")
    further = "--ignore PKG001\n--report json=a.json"

    assert action(folder, tmp_path, kiqdoctor=str(command), options=further).status == 0
    assert json.loads((folder / "a.json").read_text())
    ran = action(folder, tmp_path, kiqdoctor=str(command), path="$(touch owned)", options="; touch owned")
    assert ran.status == 2
    assert not (folder / "owned").exists()


def test_the_action_examines_a_service_container_s_redis(
    tmp_path: Path, command: Path, redis_server: RedisServer
) -> None:
    folder = project(tmp_path / "app", sound=True)
    inputs = {"kiqdoctor": str(command), "redis": redis_server.url, "fail-on": "never",
              "options": "--select RED001,PKG001 --report json=a.json"}  # fmt: skip

    assert action(folder, tmp_path, **inputs).status == 0
    results = json.loads((folder / "a.json").read_text())["results"]
    assert {one["check"]: one["outcome"] for one in results} == {"PKG001": "pass", "RED001": "pass"}


def gitlab(folder: Path, command: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The job's script without its installation, as GitLab's runner runs it."""
    job = loaded(DOCS / "gitlab-ci.yml")["kiqdoctor"]
    script = [line.replace("/tmp/kiqdoctor/bin/kiqdoctor", str(command)) for line in job["script"][2:]]
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(script)],
        cwd=folder,
        env=environ(GITLAB_CI="true", **{**job["variables"], **variables}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_gitlab_job_leaves_the_reports_that_it_declares(tmp_path: Path, command: Path) -> None:
    folder = project(tmp_path / "app")
    job = loaded(DOCS / "gitlab-ci.yml")["kiqdoctor"]

    ran = gitlab(folder, command)

    assert ran.returncode == 1, ran.stderr
    quality = json.loads((folder / job["artifacts"]["reports"]["codequality"]).read_text())
    assert [one["check_name"].split()[0] for one in quality] == ["PKG001"]
    assert "PKG001" in (folder / job["artifacts"]["reports"]["junit"]).read_text()
    assert job["artifacts"]["when"] == "always"


def test_the_gitlab_job_passes_on_the_healthy_twin(tmp_path: Path, command: Path) -> None:
    assert gitlab(project(tmp_path / "app", sound=True), command).returncode == 0
    assert gitlab(project(tmp_path / "b"), command, DOCTOR_OPTIONS="--ignore PKG001").returncode == 0


def test_the_hook_s_command_fails_and_passes(tmp_path: Path, command: Path) -> None:
    [hook] = loaded(ROOT / ".pre-commit-hooks.yaml")
    words = [str(command), *shlex.split(hook["entry"])[1:]]

    def status(folder: Path) -> int:
        return subprocess.run(words, cwd=folder, env=environ(), capture_output=True, check=False).returncode

    assert status(project(tmp_path / "faulty")) == 1
    assert status(project(tmp_path / "sound", sound=True)) == 0
    assert not hook["pass_filenames"]


@pytest.mark.parametrize(
    "path", ["Gemfile.lock", "config/sidekiq.yml", "app/jobs/upload.rb", "shop/jobs.py", "Procfile"]
)
def test_the_hook_runs_when_a_file_changes_that_the_doctor_reads(path: str) -> None:
    [hook] = loaded(ROOT / ".pre-commit-hooks.yaml")

    assert re.search(hook["files"], path)
    assert not re.search(hook["files"], "README.md")


def documented() -> Iterator[tuple[str, list[str]]]:
    """Every `kiqdoctor ...` that a file of ours starts, by the file."""
    yield "pre-commit", shlex.split(loaded(ROOT / ".pre-commit-hooks.yaml")[0]["entry"])
    docker = (DOCS / "docker" / "Dockerfile").read_text()
    entry, words = (json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", docker, re.MULTILINE))
    yield "docker", [*entry, *words]
    for file in sorted((DOCS / "kubernetes").glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            for container in manifest["spec"].get("template", {}).get("spec", {}).get("containers", ()):
                yield f"{file.name} {container['name']}", [*container.get("command", entry), *container["args"]]
    for file in sorted((DOCS / "systemd").glob("*.service")):
        yield file.name, shlex.split(unit(file)["Service"]["ExecStart"])


def unit(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(file)
    return parser


@pytest.mark.parametrize(("where", "words"), list(documented()), ids=lambda one: one if isinstance(one, str) else "")
def test_every_command_in_them_is_one_that_the_doctor_understands(
    where: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *rest = words[1:]
    command = group.get_command(click.Context(group), name)

    assert Path(words[0]).name == "kiqdoctor", where
    assert command is not None
    command.make_context(name, rest)


def test_probes_ask_for_pages_that_are_there() -> None:
    pages = {"/livez", "/readyz", "/metrics", "/status.json"}
    for file in (DOCS / "kubernetes").glob("*.yaml"):
        for path in re.findall(r"path: (/[\w.]+)", file.read_text()):
            assert path in pages, file


def test_systemd_accepts_the_units(tmp_path: Path, command: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for file in (DOCS / "systemd").iterdir():
        text = file.read_text().replace("/opt/kiqdoctor/bin/kiqdoctor", str(command))
        (tmp_path / file.name).write_text(text)
    files = sorted(str(tmp_path / file.name) for file in (DOCS / "systemd").iterdir())

    ran = subprocess.run([analyze, "verify", "--man=no", *files], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")


def completed(*words: str) -> list[str]:
    """What bash would be offered for the last word."""
    variables = {
        "_KIQDOCTOR_COMPLETE": "bash_complete",
        "COMP_WORDS": shlex.join(["kiqdoctor", *words]),
        "COMP_CWORD": str(len(words)),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "kiqdoctor"], env=environ(**variables), capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    return [line.split(",", 1)[1] for line in ran.stdout.splitlines()]


def test_the_shell_completes_commands_checks_and_formats() -> None:
    assert "serve" in completed("se")
    assert completed("explain", "RED003") == ["RED003"]
    assert completed("explain", "connection-b") == ["connection-budget-exceeded"]
    assert completed("check", "--format", "sa") == ["sarif"]
    assert "--select" in completed("gate", "--se")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "kiqdoctor"],
        env=environ(_KIQDOCTOR_COMPLETE=f"{shell}_source"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "_KIQDOCTOR_COMPLETE" in ran.stdout
