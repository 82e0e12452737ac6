"""What runs in the background: `kiqdoctor work shop.jobs`."""

import logging
import os
from pathlib import Path

from kiqdoctor import configure, job
from shop import chart, store

log = logging.getLogger(__name__)

# What the workers read; shop/web.py says something else.
configure(redis=os.environ.get("REDIS_URL", "redis://localhost:6379/0"))


@job(queue="mail", retry=5)
def send_invoice(number: int) -> None:
    """Send one invoice, once however often this runs."""
    if store.mark_sent(number):
        log.info("invoice %d is on its way", number)


@job
def draw_turnover(file: str) -> None:
    """Draw what was sold."""
    chart.draw(store.totals(), Path(file))
