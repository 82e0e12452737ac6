"""What runs in the background: `kiqdoctor work shop.jobs`."""

import logging
from pathlib import Path

from kiqdoctor import job
from shop import chart, queueing, store

__all__ = ["draw_turnover", "queueing", "send_invoice"]

log = logging.getLogger(__name__)


@job(queue="mail", retry=5)
def send_invoice(number: int) -> None:
    """Send one invoice, once however often this runs."""
    if store.mark_sent(number):
        log.info("invoice %d is on its way", number)


@job
def draw_turnover(file: str) -> None:
    """Draw what was sold."""
    chart.draw(store.totals(), Path(file))
