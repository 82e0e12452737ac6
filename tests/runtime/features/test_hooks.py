"""What the application hears of its worker and its jobs, and what its log says of them."""

import asyncio
import logging
import signal
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor

APP = """
import logging, os, redis, kiqdoctor
from kiqdoctor import job
client = redis.Redis.from_url("{url}")
logger = logging.getLogger("shop")

def said(word):
    return lambda *_: client.rpush("said", word)

kiqdoctor.configure(on_startup=[said("startup")], on_quiet=[said("quiet")], on_shutdown=[said("shutdown")])

@job(name="Sell", queue="shop")
def sell(what):
    logger.info("sold %s", what)
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("but")
    client.rpush("said", "sold")
"""


def test_a_worker_calls_them_in_turn_and_its_log_has_the_application_s_records(
    redis: Any, redis_server: RedisServer
) -> None:
    with Worker.start(APP.replace("{url}", redis_server.url), redis_server.url, "-q", "shop") as worker:
        redis.lpush("queue:shop", '{"class":"Sell","args":["tea"],"jid":"5e11","queue":"shop"}')
        eventually(lambda: redis.llen("said") == 2, "the job")
        assert worker.process is not None
        worker.process.send_signal(signal.SIGTSTP)
        eventually(lambda: redis.llen("said") == 3, "quiet")
        assert worker.stop() == 0
        log = worker.log()

    assert redis.lrange("said", 0, -1) == [b"startup", b"sold", b"quiet", b"shutdown"]
    [line] = [one for one in log.splitlines() if "sold tea" in one]
    assert "class=Sell jid=5e11 queue=shop logger=shop INFO: sold tea" in line
    assert "class=Sell jid=5e11 queue=shop logger=shop ERROR: but" in log
    assert "ZeroDivisionError" in log


OWN_FORMAT = """
import logging
from kiqdoctor import job
logging.basicConfig(format="OWN %(jid)s %(job_class)s %(queue)s %(message)s")
logging.warning("imported")

@job(name="Sell")
def sell():
    logging.warning("sold")
"""


def test_a_format_of_the_application_s_own_tells_the_job_from_its_import_on(
    redis: Any, redis_server: RedisServer
) -> None:
    with Worker.start(OWN_FORMAT, redis_server.url) as worker:
        redis.lpush("queue:default", '{"class":"Sell","args":[],"jid":"5e11","queue":"default"}')
        eventually(lambda: "sold" in worker.log(), "the job")
        lines = [one for one in worker.log().splitlines() if "OWN" in one or "Error" in one]

    assert lines == ["OWN - - - imported", "OWN 5e11 Sell default sold"]


def test_so_it_does_in_an_embedded_worker(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    @kiqdoctor.job(name="Sell")
    def sell() -> None:
        logging.getLogger("shop").warning("sold")

    jid = sell.perform_async()
    lab.work()

    [record] = [one for one in caplog.records if one.name == "shop"]
    assert logging.Formatter("%(jid)s %(job_class)s %(queue)s").format(record) == f"{jid} Sell default"


def test_error_handlers_hear_of_each_failure_and_death_handlers_of_the_last(lab: Any) -> None:
    heard: list[Any] = []
    lab.configure(
        error_handlers=[lambda job, error: heard.append(("error", job["jid"], str(error)))],
        death_handlers=[lambda job, error: heard.append(("death", job["jid"], str(error)))],
    )

    @kiqdoctor.job(name="Fails", retry=1, retry_in=lambda *_: 0)
    def fails() -> None:
        raise ValueError("no")

    jid = fails.perform_async()
    with kiqdoctor.embed(concurrency=1):
        lab.waits("retry")
        lab.poll(60)
        lab.waits("dead")

    assert heard == [("error", jid, "no"), ("error", jid, "no"), ("death", jid, "no")]


def test_one_that_raises_costs_no_job(lab: Any) -> None:
    lab.configure(error_handlers=[lambda *_: 1 / 0], on_quiet=[lambda: 1 / 0], on_shutdown=[lambda: 1 / 0])
    kiqdoctor.job(name="Fails")([].pop).perform_async()
    with kiqdoctor.embed(concurrency=1):
        lab.waits("retry")


def test_a_startup_that_raises_keeps_the_worker_from_starting(lab: Any) -> None:
    lab.configure(on_startup=[lambda: 1 / 0])
    with pytest.raises(ZeroDivisionError), kiqdoctor.embed(concurrency=1):
        pass
    assert not lab.redis.keys("kiq:*")


def test_an_async_job_is_stopped_when_its_time_is_over(lab: Any) -> None:
    @kiqdoctor.job(name="Long", timeout=0.1, retry=0)
    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            lab.note("tidied up")

    long.perform_async()
    lab.work()

    lab.sees("tidied up")
    [dead] = lab.jobs("dead")
    assert (dead["error_class"], dead["error_message"]) == (
        "kiqdoctor.runtime.middleware.DeadlineExceededError", "Long ran longer than 0.1 s")  # fmt: skip


def test_a_time_out_of_its_own_is_its_own(lab: Any) -> None:
    @kiqdoctor.job(name="Own", timeout=60, retry=0)
    async def own() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    own.perform_async()
    lab.work()

    assert lab.jobs("dead")[0]["error_class"] == "TimeoutError"


def test_handlers_of_the_application_s_own_stay_and_may_tell_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    from kiqdoctor.runtime import records

    factory, own = logging.getLogRecordFactory(), logging.NullHandler()
    monkeypatch.setattr(logging.root, "handlers", [own])
    try:
        records.adopt()
        record = logging.getLogRecordFactory()("n", logging.INFO, "f", 1, "m", (), None)
        assert logging.Formatter("%(jid)s %(job_class)s %(queue)s").format(record) == "- - -"
        assert logging.root.handlers == [own]
    finally:
        logging.setLogRecordFactory(factory)
