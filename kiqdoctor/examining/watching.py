"""The examination that is made again and again, and answered for over HTTP."""

import os
from collections.abc import Callable

from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.examination import prepared, reads_redis, resolved
from kiqdoctor.examining.reporting import examination
from kiqdoctor.render.formats import json, prometheus
from kiqdoctor.serve import Views, Watch


def watch(asked: Asked, *, interval_s: float, stale_after_s: float, say: Callable[[str], None]) -> Watch:
    """What examines every so often; nothing is read before it is started.

    Raises:
        AskedError: what was asked for is wrong, the address too: it will not mend itself.
    """
    if reads_redis(asked, prepared(asked).plan) and not asked.embedded and asked.replay is None:
        for address in (asked.redis, *asked.shards):
            resolved(address, os.environ, asked.configured_redis)
    views = Views(json.render, prometheus.render, prometheus.CONTENT_TYPE)
    return Watch(lambda: examination(asked), views, interval_s=interval_s, stale_after_s=stale_after_s, say=say)
