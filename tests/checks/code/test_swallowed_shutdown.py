"""COD009: the catalogue's examples in all their ways."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python, ruby

HEAD = "import logging\nlog = logging.getLogger()\ndef work(x=1): open('x')\ndef rollback(): pass\n"


def job(body: str) -> str:
    return HEAD + "@job\ndef f(xs):\n" + "".join(f"  {line}\n" for line in body.splitlines())


FAULTS = crossed(
    {
        "P1": job("try: work()\nexcept:\n  log.exception('x')"),
        "P2": job("try: work()\nexcept BaseException as e:\n  if xs: return\n  raise"),
        "P3": job("for x in xs:\n  try: work(x)\n  finally: continue"),
        "what is no error is raised on one way": job(
            "try: work()\nexcept BaseException as e:\n  if isinstance(e, OSError): raise\n  log.error('x')"
        ),
        "in a list": "ALL = (OSError, BaseException)\n" + job("try: work()\nexcept ALL: pass"),
    },
    python,
)
TWINS = crossed(
    {
        "N1": job("try: work()\nexcept BaseException:\n  rollback(); raise"),
        "N2": job("try: work()\nexcept Exception: pass"),
        "N3": "try: import uvloop\nexcept: uvloop = None\n" + job("pass"),
        "it is raised again before": job("try: work()\nexcept (SystemExit, KeyboardInterrupt): raise\nexcept: pass"),
        "what is no error is raised": job(
            "try: work()\nexcept BaseException as e:\n  log.error('x')\n  if not isinstance(e, Exception): raise"
        ),
        "the end is asked for": job(
            "try: work()\nexcept BaseException as e:\n"
            "  if isinstance(e, (SystemExit, KeyboardInterrupt)) or xs is None: raise\n  log.error('x')"
        ),
        "errors go another way": "class Own(ValueError): pass\n"
        + job("try: work()\nexcept BaseException as e:\n  if isinstance(e, (Own, OSError)): pass\n  else: raise"),
        "a command line is read": "import argparse\np = argparse.ArgumentParser()\n"
        + job("try: a = p.parse_args(xs)\nexcept SystemExit: log.error('x')"),
        "no work": job("try: x = int(xs)\nexcept: x = 0"),
        "it ends the process": "import sys\n" + job("try: work()\nexcept:\n  sys.exit(1)"),
    },
    python,
)
RUBY_FAULTS = crossed(
    {
        "P1": performing("x.go", "rescue Exception => e", "  log e"),
        "P2": performing("x.go", "rescue Object", "  x"),
        "P2, in a list": performing("x.go", "rescue *[Exception]", "  x"),
        "P3": performing("x.go", "ensure", "  return"),
        "the shutdown itself": performing("x.go", "rescue Sidekiq::Shutdown", "  x"),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "N1": performing("x.go", "rescue Exception", "  x.clean", "  raise"),
        "N2": performing("x.go", "rescue => e", "  e"),
        "N3": performing("x.go", "rescue Sidekiq::Shutdown", "  x.checkpoint", "  raise"),
        "it is raised again before": performing(
            "x.go", "rescue Sidekiq::Shutdown", "  raise", "rescue Exception => e", "  e"
        ),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD009", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD009", tmp_path, text))


def test_the_signal_of_a_terminal_is_kept_from_jobs(tmp_path: Path) -> None:
    [one] = in_python("COD009", tmp_path, job("try: work()\nexcept KeyboardInterrupt:\n  log.error('x')")).findings

    assert one.severity == "low"


def test_nothing_is_raised_into_a_scheduler_s_threads(tmp_path: Path) -> None:
    text = (
        "from apscheduler.schedulers.background import BackgroundScheduler\nS = BackgroundScheduler()\n"
        "def f():\n  try: work()\n  except: pass\nS.add_job(f, 'interval', hours=1)\n"
    )
    [one] = in_python("COD009", tmp_path, text).findings

    assert one.severity == "low"


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD009", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD009", tmp_path, text))


@pytest.mark.parametrize(("last", "told"), [("raise", False), ("return", True)], ids=["raised", "not raised"])
def test_what_is_done_before_the_end_is_raised_again(tmp_path: Path, last: str, told: bool) -> None:
    body = "try: work()\nexcept BaseException:\n  try: store.upload(1)\n  except BaseException: log()\n  " + last
    found = in_python("COD009", tmp_path, "from shelf import store, work, log\n" + job(body))

    assert bool(accused(found)) is told


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ("store.delete(path)", "low"),
        ("data = json.loads(xs)", "low"),
        ("text = xs.decode('utf-8')", "low"),
        ("year = dateutil.parser.parse(xs).year", "low"),
        ("store.upload(path)", "high"),
        ("while True: store.delete(path)", "high"),
        ("delete()", "high"),
    ],
    ids=["clearing away", "taking apart", "a text", "a date", "work", "for ever", "a function of its own"],
)
def test_what_is_over_in_a_moment(tmp_path: Path, body: str, severity: str) -> None:
    head = "import json\nimport dateutil.parser\nfrom shelf import store\ndef delete(): work()\n"
    [one] = in_python(
        "COD009", tmp_path, head + job(f"try: {body}\nexcept: pass".replace("try: while", "try:\n  while"))
    ).findings

    assert one.severity == severity
