"""The examination that is made again and again, and answered for over HTTP."""

from collections.abc import Callable

from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.examination import prepared
from kiqdoctor.examining.reporting import examination
from kiqdoctor.render.formats import json, prometheus
from kiqdoctor.serve import Views, Watch


def watch(asked: Asked, *, interval_s: float, stale_after_s: float, say: Callable[[str], None]) -> Watch:
    """What examines every so often; nothing is read before it is started.

    Raises:
        AskedError: what was asked for is wrong.
    """
    prepared(asked)
    views = Views(json.render, prometheus.render, prometheus.CONTENT_TYPE)
    return Watch(lambda: examination(asked), views, interval_s=interval_s, stale_after_s=stale_after_s, say=say)
