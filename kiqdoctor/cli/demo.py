"""``kiqdoctor demo``: an embedded Redis, a small application, a few real faults, and the doctor's report on them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from kiqdoctor.doctor.report import Report
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination

BOOT: Final = 5.0  # seconds that the demo waits for its worker's first beat
PICTURE: Final = 120  # columns of the picture
CLIENTS: Final = 40  # what the pretended plan allows

JOBS: Final = '''"""The demo shop's jobs."""

import sqlite3

from kiqdoctor import job

ledger = sqlite3.connect(":memory:", check_same_thread=False)  # one connection, shared by every thread


@job(queue="mail", retry=5)
def send_receipt(order: int) -> None:
    ledger.execute("select ?", (order,))


@job
def resize_picture(path: str) -> None:
    pass
'''
REQUIREMENTS: Final = "boto==2.49.0\nredis==8.1.0\n"
STORY: Final = """\
The demo shop runs one worker on this Redis. What was done to it:
  - its web tier pushes under the namespace "shop:", its worker reads the unprefixed keys
  - an old Resque worker left its queue and its failures behind
  - two workers were killed and never unregistered
  - its plan allows 40 clients, and eight more workers of ten threads said that they are alive
"""


@click.command("demo")
@click.option(
    "--svg", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Export the report as a picture."
)
def command(svg: Path | None) -> int:
    """Show on an embedded Redis what the doctor finds, in a few seconds."""
    from kiqdoctor.cli.words.output import colour, rendered, width, write
    from kiqdoctor.examining.embedded import started

    with ExitStack() as stack:
        server = started(stack)
        click.echo(server.line)
        click.echo(STORY)
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiqdoctor-demo-")))
        application(root)
        stack.enter_context(worker(root, server.url))
        faults(server.url)
        report = examination(Asked(path=root, redis=server.url, redis_limit=CLIENTS))
    shown = replace(report, target=replace(report.target, path="demo shop"))
    write(rendered(shown, "text", colour=colour(), width=width()), None)
    if svg is not None:
        picture(shown, svg)
    return 0


def application(root: Path) -> None:
    """A small job application with a package that threads must not share."""
    (root / "shop.py").write_text(JOBS, encoding="utf-8")
    (root / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")


@contextmanager
def worker(root: Path, url: str) -> Iterator[None]:
    """A real worker process on the demo's Redis, up when its first beat is there."""
    from redis import Redis

    command = [sys.executable, "-P", "-m", "kiqdoctor", "work", "shop", "-q", "mail", "-q", "default"]
    path = os.pathsep.join([str(root), *filter(None, sys.path)])
    environ = {**os.environ, "PYTHONPATH": path, "KIQDOCTOR_REDIS_URL": url}  # everybody may read a command line
    process = subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Redis.from_url(url) as client:
            deadline = time.monotonic() + BOOT
            while not client.scard("processes") and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def faults(url: str) -> None:
    """Write what the story tells."""
    from redis import Redis

    from kiqdoctor.wire.keys import Keys

    now = time.time()
    with Redis.from_url(url) as client, client.pipeline(transaction=False) as pipe:
        keys, split = Keys(None), Keys("shop")
        pipe.sadd(split.queues, "mail")
        pipe.lpush(split.queue("mail"), *(_payload("shop.send_receipt", "mail", n, now - 900) for n in range(12)))
        pipe.sadd("resque:queues", "pictures")
        pipe.rpush("resque:queue:pictures", *(json.dumps({"class": "Resize", "args": [n]}) for n in range(3)))
        pipe.sadd("resque:workers", "old-host:811:pictures")
        pipe.rpush("resque:failed", json.dumps({"payload": {"class": "Resize", "args": [9]}, "error": "gone"}))
        for number in range(2):
            pipe.sadd(keys.processes, f"gone-{number}:9{number}:{number:012x}")
        for number in range(8):
            _beat(pipe, keys, f"web-{number}", now)
        pipe.execute()


def _beat(pipe: Any, keys: Any, host: str, now: float) -> None:
    identity = f"{host}:71:{host.encode().hex():0>12}"
    info = {"hostname": host, "pid": 71, "started_at": now - 7200, "tag": "shop", "concurrency": 10, "version": "7.3.9"}
    info |= {"queues": ["mail", "default"], "labels": [], "identity": identity, "embedded": False}
    pipe.sadd(keys.processes, identity)
    fields = {"info": json.dumps(info), "busy": 0, "beat": now, "quiet": "false", "rtt_us": 400, "rss": 98000}
    pipe.hset(keys.process(identity), mapping=fields)
    pipe.expire(keys.process(identity), 60)


def _payload(job_class: str, queue: str, number: int, now: float) -> str:
    job = {"class": job_class, "args": [number], "queue": queue, "jid": f"{number:024x}", "retry": True}
    return json.dumps(job | {"created_at": now, "enqueued_at": now}, separators=(",", ":"))


def picture(report: Report, file: Path) -> None:
    """The report's screen as an SVG."""
    from rich.console import Console
    from rich.text import Text

    from kiqdoctor.render.formats.text import hung, lines

    styles = {
        "critical": "bold white on red",
        "high": "bold red",
        "medium": "yellow",
        "low": "cyan",
        "info": "blue",
        "good": "green",
        "dim": "dim",
        "strong": "bold",
    }
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=PICTURE, file=nowhere, force_terminal=True)
        for line in (part for whole in lines(report) for part in hung(whole, PICTURE)):
            console.print(Text.assemble(*((text, styles.get(style, "")) for style, text in line)), soft_wrap=False)
        try:
            console.save_svg(str(file), title="kiqdoctor demo")
        except OSError as error:
            raise click.UsageError(f"cannot write {file}: {error.strerror}") from None
