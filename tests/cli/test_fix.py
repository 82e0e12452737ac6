"""`fix --diff`: a patch that git takes, of changes that keep what the source means."""

import ast
import subprocess
from pathlib import Path

import pytest
from examining import Doctor, Ran
from trees import tree

TASKS = '''"""Tasks."""

import requests
from celery import shared_task
from django.db import transaction


@shared_task
def send(order, priority=1):
    import json
    requests.post("https://example.com/é", json.dumps(order))


def create(order):
    with transaction.atomic():
        order.save()
        send.delay(order.pk, *order.more, priority=order.priority, **order.rest)
'''
PINS = "celery==5.4.0\ndjango==5.0\nrequests==2.31.0\n"


def fixed(doctor: Doctor, text: str, *words: str) -> Ran:
    tree(doctor.folder, {"shop/tasks.py": text, "requirements.txt": PINS})
    return doctor("fix", "--diff", *words)


def patched(folder: Path, patch: str) -> str:
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=folder, check=True)
    return (folder / "shop" / "tasks.py").read_text(encoding="utf-8")


def test_what_it_prints_applies_and_then_nothing_is_left(doctor: Doctor) -> None:
    ran = fixed(doctor, TASKS)

    assert ran.status == 1
    text = patched(doctor.folder, ran.out)
    ast.parse(text)
    call = "partial(send.delay, order.pk, *order.more, priority=order.priority, **order.rest)"
    assert f"transaction.on_commit({call})" in text
    assert "json.dumps(order), timeout=30)" in text
    assert text.index("import json") < text.index("@shared_task")
    assert doctor("fix", "--diff").status == 0


def test_only_what_is_asked_for(doctor: Doctor) -> None:
    ran = fixed(doctor, TASKS, "COD010")

    assert [line for line in ran.out.splitlines() if line.startswith("+ ")] == [
        '+    requests.post("https://example.com/é", json.dumps(order), timeout=30)'
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "    import json\n    requests.post(",
            "    try:\n        import json\n    except E: pass\n    requests.get(u, timeout=3, data=",
        ),
        ("        send.delay(", "        result = send.delay("),
        ("        send.delay(", "        transaction.on_commit(lambda: send.delay("),
    ],
)
def test_what_it_leaves_alone(doctor: Doctor, before: str, after: str) -> None:
    text = TASKS.replace(before, after)
    text = text if "lambda" not in after else text.replace("**order.rest)", "**order.rest))")
    named = "COD003" if "import" in before else "COD001"

    assert fixed(doctor, text, named).out == ""


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_file_without_a_last_line_s_end(doctor: Doctor, ending: str) -> None:
    text = f"from celery import shared_task\n\n@shared_task\ndef f():\n    import csv\n    return csv{ending}"

    patch = fixed(doctor, text).out
    assert patched(doctor.folder, patch).endswith(f"return csv{ending}")


def test_words_that_are_wrong(doctor: Doctor) -> None:
    ran = doctor("fix", "RED001")

    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "RED001 has no remedy by machine" in ran.err
    assert "no check is called 'NOPE1'" in doctor("fix", "NOPE1").err
    assert "RED001 has no remedy" in doctor("fix", "redis-unreachable").err
    assert doctor("fix", "ghost-process-entry", "--redis", "redis://localhost:1/0").status == 3
    assert doctor("fix", "--diff", "nowhere").status == 2
