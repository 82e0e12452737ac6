"""Whatever stands in a deployment's file, its reader says what it makes of it, and never crashes."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import deployed, started

from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.probes.deployment.formats import Format, formats

WORDS = [
    "services",
    "command",
    "entrypoint",
    "deploy",
    "replicas",
    "scale",
    "environment",
    "kind",
    "Deployment",
    "spec",
    "template",
    "containers",
    "args",
    "env",
    "name",
    "value",
    "strategy",
    "rollingUpdate",
    "maxSurge",
    "items",
    "List",
    "concurrency",
    "capsules",
    "queues",
    "production",
    "formation",
    "quantity",
    "addons",
    "plan",
    "type",
    "worker",
    "startCommand",
    "envVars",
    "envVarGroups",
    "fromGroup",
    "numInstances",
    "scaling",
    "maxInstances",
    "key",
    "metadata",
]
SHELL = ["sidekiq", " -c ", "²", "9" * 30, "5", "puma -t 1:", "gunicorn ", " --preload", "celery worker", "${X:-", "\\"]
FILES = ["web: ", "worker: ", "ExecStart=", "Environment=", "CMD ", "ENV A=", "FROM x\n", "[uwsgi]\n", "processes = "]
YAML = ["\n", "  ", "- ", ": ", "[", "]", "{", "}", '"', "'", "#", "&a ", "*a", "<<: ", "!reset ", "---\n", "\t", "\0"]
CODE = ["<%= ", ' ENV.fetch("X", 5) ', "%>", "workers ", "threads ", "preload_app!", "Sidekiq", "config.capsule(", ")"]
PIECES = [*SHELL, *FILES, *YAML, *CODE, "é", "\ud83d", " do |c|", "workers = "]
values = st.recursive(
    st.sampled_from([None, True, 5, -1, 10**30, 2.5, "sidekiq -c 5", "sh -c 'sidekiq", "", "²", "X=1", ["sidekiq"]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=25,
)
texts = st.lists(st.sampled_from([*PIECES, *WORDS]), max_size=40).map(
    lambda parts: "".join(parts).encode("utf-8", "replace")
)
every = pytest.mark.parametrize("kind", formats(), ids=[one.name for one in formats()])


def read(kind: Format, content: bytes) -> None:
    path = kind.globs[0].replace("**/", "").replace("*", "x")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        started(Path(folder), {})
        try:
            found = deployed(Path(folder), {"Procfile": "web: puma\n"} if path != "Procfile" else {})
        except AbsenceError:
            return
    assert all(0 <= (one.processes or 0) <= 10_000 and 0 <= (one.concurrency or 0) <= 10_000 for one in found.workers)


@every
@given(content=texts)
@settings(max_examples=40)
def test_any_text(kind: Format, content: bytes) -> None:
    read(kind, content)


@every
@given(value=values)
@settings(max_examples=40)
def test_any_document(kind: Format, value: object) -> None:
    read(kind, json.dumps(value).encode())
