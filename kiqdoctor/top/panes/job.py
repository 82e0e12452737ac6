"""One job of a place: its row in the table, and all of it."""

from collections.abc import Sequence
from typing import Final

from kiqdoctor.doctor.facts.live import JobRow
from kiqdoctor.text import SHORT, clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.wire.keys import DEAD, QUEUE_PREFIX, RETRY, SCHEDULE

LATE: Final = 60.0  # seconds after which what is due should have been pushed


def columns(place: str) -> tuple[Column, ...]:
    """What its table shows."""
    queue = place.startswith(QUEUE_PREFIX)
    failing = place in {RETRY, DEAD}
    return (
        Column({DEAD: "Died", RETRY: "Next try"}.get(place, "Due"), 13, lambda one: one.score)
        if not queue
        else Column("Enqueued", 13, lambda one: one.enqueued_at),
        Column("Job", 20, lambda one: one.job_class, grow=2),
        Column("Queue", 10, lambda one: one.queue, grow=1, rank=1 if not queue else 3),
        Column("Tries" if failing else "Args", 5, lambda one: one.retry_count if failing else one.arity, right=True),
        Column("Error" if failing else "Arguments", 20, lambda one: one.error_class, grow=3),
        Column("Jid", 24, lambda one: one.jid, rank=2),
        Column("Created", 9, lambda one: one.created_at, right=True, rank=3),
    )


def cells(place: str, row: JobRow, shown: Scene) -> Sequence[Piece]:
    """A job in a row."""
    queue = place.startswith(QUEUE_PREFIX)
    at = row.enqueued_at if queue else row.score
    if row.error:
        return (
            ("", words.when(at, shown.now)),
            ("bad", "(no payload)"),
            *[("", "")] * 2,
            ("bad", row.error),
            ("", ""),
            ("", ""),
        )
    failing = place in {RETRY, DEAD}
    args = row.args if row.args is not None else "masked: --show-args"
    last = f"{row.error_class}: {row.error_message}" if failing and row.error_class else "" if failing else args
    late = place in {RETRY, SCHEDULE} and at is not None and shown.now - at > LATE
    tries = row.retry_count if row.retry_count is not None else 0
    return (
        ("warn" if late else "", words.when(at, shown.now) + ("!" if late else "")),
        ("strong", row.job_class),
        ("", row.queue),
        ("", str(tries if failing else row.arity)),
        ("bad" if failing and last else "dim", clean(last, SHORT)),
        ("dim", row.jid),
        ("dim", words.age(shown.now - row.created_at) if row.created_at else words.NOTHING),
    )


def details(row: JobRow) -> list[Line]:
    """All that is known of a job."""
    args = (
        row.args if row.args is not None else f"{words.plural(row.arity, 'argument')}, masked: --show-args shows them"
    )
    rows = (
        ("class", row.job_class),
        ("jid", row.jid),
        ("queue", row.queue),
        ("arguments", args),
        ({DEAD: "died", RETRY: "next try"}.get(row.place, "due"), words.moment(row.score) if row.score else ""),
        ("created", words.moment(row.created_at) if row.created_at else ""),
        ("enqueued", words.moment(row.enqueued_at) if row.enqueued_at else ""),
        ("failed first", words.moment(row.failed_at) if row.failed_at else ""),
        ("failed last", words.moment(row.retried_at) if row.retried_at else ""),
        ("retries so far", str(row.retry_count) if row.retry_count is not None else ""),
        ("tags", ", ".join(row.tags)),
        ("size", words.size(len(row.member))),
        ("trouble", row.error),
    )
    lines: list[Line] = [[("dim", f"{label:<16}"), ("", text)] for label, text in rows if text]
    if row.error_class or row.error_message:
        lines += [[], [("bad", row.error_class)], *([("", line)] for line in row.error_message.splitlines())]
    if row.backtrace:
        lines += [[], [("strong", "backtrace")], *([("dim", f"  {line}")] for line in row.backtrace)]
    if row.others:
        lines += [
            [],
            [("strong", "further fields")],
            *([("dim", f"  {key:<20} "), ("", text)] for key, text in row.others),
        ]
    return lines
