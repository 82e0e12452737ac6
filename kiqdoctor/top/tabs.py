"""Every tab, in the order of the bar. A new one is a file in ``panes`` and a line here.

Bindings, bar, help, palette, ``--plain`` and the tests are made of this.
"""

from typing import Final

from kiqdoctor.top.panes.beside import Beside
from kiqdoctor.top.panes.busy import Busy
from kiqdoctor.top.panes.doctor import Doctor
from kiqdoctor.top.panes.errors import ErrorsPane
from kiqdoctor.top.panes.jobs import Dead, Retries, Scheduled
from kiqdoctor.top.panes.metrics import MetricsPane
from kiqdoctor.top.panes.overview import Overview
from kiqdoctor.top.panes.pane import Pane
from kiqdoctor.top.panes.periodic import Periodic
from kiqdoctor.top.panes.processes import Processes
from kiqdoctor.top.panes.queues import QueuesPane
from kiqdoctor.top.panes.redis import RedisPane
from kiqdoctor.top.panes.threads import ThreadsPane

TABS: Final[tuple[type[Pane], ...]] = (
    Overview,
    Processes,
    QueuesPane,
    Busy,
    Retries,
    Scheduled,
    Dead,
    Doctor,
    ThreadsPane,
    RedisPane,
    MetricsPane,
    ErrorsPane,
    Periodic,
    Beside,
)
