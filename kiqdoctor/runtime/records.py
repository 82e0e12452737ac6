"""The application's own log records in a worker: they appear among ours, with the job that they were written in."""

import logging
from typing import Any, Final

from kiqdoctor.runtime import context, log
from kiqdoctor.text import clean

NOBODY: Final = "-"  # what stands for a job's words where none runs

_named: Any = None


class Among(logging.Handler):
    """Writes each record as a line of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Level, logger, and the job; a traceback follows its message."""
        try:
            log.say(record.levelname, self.format(record), {**_job(), "logger": clean(record.name)})
        except Exception:  # noqa: BLE001 - as every handler of logging's
            self.handleError(record)


def name() -> None:
    """Each record has ``jid``, ``job_class`` and ``queue`` from now on, for formats such as ``%(jid)s``.

    Before the application is imported, which may log meanwhile, and after it: it may have a factory of its own.
    """
    global _named  # noqa: PLW0603 - logging has one factory, for all of the process
    make = logging.getLogRecordFactory()
    if make is _named:
        return

    def with_job(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        told = _job()
        record.jid, record.job_class, record.queue = (told.get(name, NOBODY) for name in ("jid", "class", "queue"))
        return record

    _named = with_job
    logging.setLogRecordFactory(with_job)


def adopt() -> None:
    """Once the application was imported. Where it has handlers of its own for all records, those stay the only ones."""
    name()
    if not logging.root.handlers:
        logging.root.addHandler(Among())
        if logging.root.level == logging.WARNING:  # as nobody set it
            logging.root.setLevel(logging.INFO)


def _job() -> dict[str, str]:
    running = context.running.get()
    if running is None:
        return {}
    return {"class": clean(running.job_class), "jid": clean(running.jid), "queue": clean(running.queue)}
