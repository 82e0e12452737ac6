"""The real Sidekiq's web UI on what we wrote: a person reads, retries, kills and deletes it, and stops our worker."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from ruby import WEB, RubyConsole, Sidekiq
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.wire import codec
from kiqdoctor.wire.payload import Payload, read

pytestmark = pytest.mark.ruby

# WebFail fails until its first argument is healed; its next try is an hour away, so that nobody but the page moves it.
PYTHON: Final = """
import json
import redis
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

@job(name="WebFail", queue="web", retry_in=lambda count, error: 3600)
def fail(key, *rest):
    if not client.sismember("healed", key):
        raise ValueError(f"no <b>bread</b> for {key}: \\u00fc")
    client.rpush("ran", json.dumps([key, *rest]))

@job(name="WebNote", queue="web")
def note(*args):
    client.rpush("ran", json.dumps(args))

@job(name="WebWait", queue="web", tags=["patient"])
def wait(key):
    client.blpop("wake:" + key, 60)
"""
REQUEST: Final = """
answer = $web.request(verb, path, 'HTTP_COOKIE' => cookie, 'HTTP_SEC_FETCH_SITE' => site, input: form,
                      'CONTENT_TYPE' => 'application/x-www-form-urlencoded')
[answer.status, answer.headers['Set-Cookie'], answer.headers['Location'], answer.body.force_encoding('UTF-8')]
"""
ARGS: Final = ['it\'s "quoted" & <odd>', 2**60, 1.5, None, {"k": ["ü", "😀"]}]


@dataclass
class Form:
    """One form of a page: where it goes, what it holds, what each of its buttons sends, its checkboxes."""

    action: str
    hidden: dict[str, str] = field(default_factory=dict)
    boxes: list[str] = field(default_factory=list)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class Reader(HTMLParser):
    """The forms of a page, and the text of each row of its tables."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.rows: list[str] = []
        self.feed(body)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        name, kind, value = found.get("name", ""), found.get("type", ""), found.get("value", "")
        if tag == "tr":
            self.rows.append("")
        elif tag == "form":
            self.forms.append(Form(found.get("action", "")))
        elif not self.forms or not name:
            return
        elif kind == "hidden":
            self.forms[-1].hidden[name] = value
        elif kind == "submit" and "formaction" in found:  # from Sidekiq 8 on: the form's content, to another place
            form = self.forms[-1]
            word = value.removesuffix("_all")
            self.forms.insert(0, Form(found["formaction"], form.hidden, form.boxes, {word: (name, value)}))
        elif kind == "submit":
            self.forms[-1].buttons[name] = (name, value)
        elif kind == "checkbox":
            self.forms[-1].boxes.append(value)

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1] += data


@dataclass
class Page:
    """What came back."""

    path: str
    status: int
    body: str

    @cached_property
    def seen(self) -> Reader:
        return Reader(self.body)

    def row(self, *words: str) -> str:
        """The one row that shows all of these, its white space made even."""
        [row] = [row for row in self.seen.rows if all(word in row for word in words)]
        return " ".join(row.split())

    def form(self, button: str, action: str, **hidden: str) -> Form:
        """The one form with this action, this button and these hidden values."""
        [form] = [
            form
            for form in self.seen.forms
            if form.action == action and button in form.buttons and hidden.items() <= form.hidden.items()
        ]
        return form


class Browser:
    """A person at the web UI, who presses only what its pages offer; keeps the session's cookie."""

    def __init__(self, ruby: RubyConsole) -> None:
        self.ruby = ruby
        self.ruby.ask(WEB + "nil")
        self.cookie = ""

    def open(self, path: str) -> Page:
        page, _ = self._request("GET", path, "")
        assert page.status == 200, f"{path}: {page.status} {page.body[:300]}"
        return page

    def json(self, path: str) -> Any:
        return json.loads(self.open(path).body)

    def post(self, path: str, fields: Sequence[tuple[str, str]], site: str = "same-origin") -> tuple[Page, str]:
        """The answer, and where it sends the browser; ``site`` is how the page that posts stands to this one."""
        return self._request("POST", path, urlencode(fields), site)

    def press(self, button: str, page: Page, action: str, boxes: Sequence[str] = (), **hidden: str) -> Page:
        """Press a button of one of the page's forms, with some of its boxes ticked; the page that this leads to."""
        form = page.form(button, action, **hidden)
        assert set(boxes) <= set(form.boxes), form
        fields = [*form.hidden.items(), *(("key[]", box) for box in boxes), form.buttons[button]]
        answer, location = self.post(action or page.path, fields)
        assert answer.status == 302, f"{action}: {answer.status} {answer.body[:300]}"
        return self.open("/" + location.split("/", 3)[-1])

    def _request(self, verb: str, path: str, form: str, site: str = "same-origin") -> tuple[Page, str]:
        status, cookie, location, body = self.ruby.ask(
            REQUEST, verb=verb, path=path, form=form, cookie=self.cookie, site=site
        )
        self.cookie = cookie.split(";")[0] if cookie else self.cookie
        return Page(path, status, body), location or ""


@dataclass(frozen=True)
class Entry:
    """A member of a sorted set, and the name that the web UI's addresses have for it."""

    raw: bytes
    score: float
    job: Payload

    @property
    def key(self) -> str:
        return f"{self.score!r}-{self.job.jid}"


@pytest.fixture(scope="module")
def server(sidekiq: Sidekiq) -> Iterator[RedisServer]:
    """One for each version, so that none sees what another left."""
    with RedisServer.start() as server:
        yield server


@pytest.fixture(scope="module")
def browser(server: RedisServer, sidekiq: Sidekiq) -> Iterator[Browser]:
    with sidekiq.console(server.url) as ruby:
        yield Browser(ruby)


@pytest.fixture(scope="module")
def worker(server: RedisServer) -> Iterator[Worker]:
    words = ("-q", "web", "-q", "web_low", "-c", "3", "--tag", "webtag")
    with Worker.start(PYTHON.replace("{url}", server.url), server.url, *words) as worker:
        yield worker


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    kiqdoctor.configure(redis=server.url)
    client = server.client()
    client.delete("retry", "schedule", "dead", "ran", "healed", "queue:web_held", "queue:web_idle")
    yield client
    client.close()


def entries(client: Any, place: str) -> list[Entry]:
    return [Entry(raw, score, read(raw)) for raw, score in client.zrange(place, 0, -1, withscores=True)]


def in_place(client: Any, place: str, *keys: str) -> list[Entry]:
    """The entries of these jobs, once they are all there."""

    def found() -> list[Entry] | None:
        by_key = {entry.job.args[0]: entry for entry in entries(client, place)}
        return [by_key[key] for key in keys] if set(keys) <= set(by_key) else None

    there: list[Entry] = eventually(found, f"{keys} in {place}")
    return there


def job(name: str, queue: str = "web", **options: Any) -> Any:
    return kiqdoctor.job(name=name, queue=queue, **options)(lambda *args: None)


def retrying(client: Any, *keys: str, **options: Any) -> list[Entry]:
    """Jobs of ours that failed once, with the keys as their first arguments."""
    job("WebFail", retry=5, **options).perform_bulk([[key, *ARGS] for key in keys])
    return in_place(client, "retry", *keys)


def retrying_with(browser: Browser, client: Any, key: str, **fields: Any) -> Entry:
    """A job that Ruby pushed, with whatever fields, and that failed once with us."""
    item = {"class": "WebFail", "args": [key, *ARGS], "queue": "web", "retry": 5, **fields}
    browser.ruby.ask("Sidekiq::Client.push(item)", item=item)
    return in_place(client, "retry", key)[0]


def dead(client: Any, *keys: str) -> list[Entry]:
    """Jobs of ours that died at their first failure."""
    job("WebFail", retry=0).perform_bulk([[key, *ARGS] for key in keys])
    return in_place(client, "dead", *keys)


def scheduled(client: Any, *keys: str) -> list[Entry]:
    """Jobs of ours that are due in an hour or more, each at its own time."""
    note = job("WebNote", tags=["nightly"])
    for number, key in enumerate(keys):
        note.perform_in(3600 + number, key, *ARGS)
    return in_place(client, "schedule", *keys)


def has_run(client: Any, *keys: str) -> None:
    """Wait until each ran, and with the arguments that it was pushed with."""
    wanted = sorted([key, *ARGS] for key in keys)
    eventually(lambda: client.llen("ran") >= len(wanted), f"{keys} run")
    assert sorted(json.loads(line) for line in client.lrange("ran", 0, -1)) == wanted


def test_the_counts_of_stats_are_ours(browser: Browser, server: RedisServer, client: Any) -> None:
    with Worker.start(PYTHON.replace("{url}", server.url), server.url, "-q", "web") as counted:
        retrying(client, "one", "two")
        dead(client, "three")
        scheduled(client, "four")
        job("WebNote").perform_async("five")
        eventually(lambda: client.llen("ran") == 1)
        job("WebNote", queue="web_idle").perform_bulk([["a"], ["b"], ["c"]])
        assert browser.json("/stats")["sidekiq"]["processes"] == 1
        assert counted.stop() == 0  # which tells the counters without waiting for a beat

    stats = browser.json("/stats")["sidekiq"]
    assert (stats["processed"], stats["failed"], stats["processes"]) == (4, 3, 0)
    assert (stats["retries"], stats["dead"], stats["scheduled"], stats["enqueued"]) == (2, 1, 1, 3)
    assert browser.json("/stats/queues") == {"web": 0, "web_idle": 3}
    assert browser.open("/").status == 200


def test_a_post_from_another_site_changes_nothing(browser: Browser, worker: Worker, client: Any) -> None:
    retrying(client, "forged")
    answer, _ = browser.post("/retries/all/delete", [("delete", "Delete All")], site="cross-site")
    assert answer.status == 403
    assert client.zcard("retry") == 1


def test_the_retries_page_shows_our_failure(browser: Browser, worker: Worker, client: Any) -> None:
    [entry] = retrying(client, "shown", tags=["nightly", "a&b"])
    row = browser.open("/retries").row("shown")
    for part in (" 0 web WebFail nightly a&b ", '"it\'s \\"quoted\\" & <odd>"', str(2**60), "1.5, nil", "😀"):
        assert part in row
    assert "ValueError: no <b>bread</b> for shown: ü" in row
    assert entry.key in browser.open("/retries").form("kill", "/retries").boxes


def test_the_page_of_one_failure_shows_its_fields(browser: Browser, worker: Worker, client: Any) -> None:
    entry = retrying_with(browser, client, "alone", tags=["nightly"], backtrace=True, tenant="acme")
    page = browser.open(f"/retries/{entry.key}")
    assert "WebFail nightly" in page.row("Job", "WebFail")
    assert entry.job.jid in page.row("JID")
    assert "acme" in page.row("Extras")
    assert "ValueError" in page.row("Error Class")
    assert "no <b>bread</b> for alone: ü" in page.row("Error Message")
    assert re.search(r"app\.py\b.*\bfail\b", page.row("Error Backtrace"))


def test_an_error_s_message_never_becomes_html(browser: Browser, worker: Worker, client: Any) -> None:
    # The page does not escape the lines of a backtrace: in Ruby they are places in code, never what a user typed.
    [entry] = retrying(client, "<script>alert(1)</script>", backtrace=True)
    page = browser.open(f"/retries/{entry.key}")
    assert "&lt;script&gt;" in page.body
    assert "<script>alert" not in page.body


def test_a_job_that_the_page_retries_lands_in_its_queue_and_our_worker_runs_it(
    browser: Browser, worker: Worker, client: Any
) -> None:
    entry = retrying_with(browser, client, "again", retry_queue="web_held", tenant="acme", tags=["nightly"])
    browser.press("retry", browser.open("/retries"), "/retries", [entry.key])

    assert client.zcard("retry") == 0
    assert client.sismember("queues", "web_held")
    [raw] = client.lrange("queue:web_held", 0, -1)
    pushed = read(raw).fields
    assert pushed == {**entry.job.fields, "retry_count": -1, "enqueued_at": pushed["enqueued_at"]}
    assert pushed["enqueued_at"] > entry.job.fields["enqueued_at"]
    assert codec.encode(pushed) == raw

    client.sadd("healed", "again")
    client.lmove("queue:web_held", "queue:web", "RIGHT", "LEFT")
    has_run(client, "again")


def test_a_job_that_is_retried_from_its_own_page_fails_again_as_its_first_retry(
    browser: Browser, worker: Worker, client: Any
) -> None:
    [entry] = retrying(client, "twice")
    browser.press("retry", browser.open(f"/retries/{entry.key}"), f"/retries/{entry.key}")

    [again] = eventually(lambda: [one for one in entries(client, "retry") if "retried_at" in one.job.fields])
    assert again.job.jid == entry.job.jid
    assert again.job.retry_count == 0
    assert again.job.fields["failed_at"] == entry.job.fields["failed_at"]
    assert "twice" in browser.open("/retries").row("WebFail")


def test_a_job_that_the_page_kills_is_dead_with_its_own_bytes(browser: Browser, worker: Worker, client: Any) -> None:
    killed, spared = retrying(client, "killed", "spared", tags=["nightly"])
    browser.press("kill", browser.open("/retries"), "/retries", [killed.key])

    assert [one.raw for one in entries(client, "dead")] == [killed.raw]
    assert [one.raw for one in entries(client, "retry")] == [spared.raw]
    row = browser.open("/morgue").row("killed")
    assert "WebFail nightly" in row
    assert "ValueError: no <b>bread</b> for killed: ü" in row


def test_a_job_that_the_page_deletes_is_gone(browser: Browser, worker: Worker, client: Any) -> None:
    deleted, spared, last = retrying(client, "deleted", "spared", "last")
    browser.press("delete", browser.open("/retries"), "/retries", [deleted.key])
    assert {one.raw for one in entries(client, "retry")} == {spared.raw, last.raw}

    after = browser.press("delete", browser.open(f"/retries/{last.key}"), f"/retries/{last.key}")
    assert [one.raw for one in entries(client, "retry")] == [spared.raw]
    assert "spared" in after.row("WebFail")
    assert client.zcard("dead") == 0


def test_retry_all_runs_every_failure(browser: Browser, worker: Worker, client: Any) -> None:
    retrying(client, "one", "two", "three")
    client.sadd("healed", "one", "two", "three")
    browser.press("retry", browser.open("/retries"), "/retries/all/retry")
    has_run(client, "one", "two", "three")
    assert client.zcard("retry") == 0


def test_kill_all_and_delete_all_move_and_remove_every_failure(browser: Browser, worker: Worker, client: Any) -> None:
    killed = retrying(client, "one", "two", "three")
    browser.press("kill", browser.open("/retries"), "/retries/all/kill")
    assert client.zcard("retry") == 0
    assert {one.raw for one in entries(client, "dead")} == {one.raw for one in killed}

    retrying(client, "four", "five")
    browser.press("delete", browser.open("/retries"), "/retries/all/delete")
    assert client.zcard("retry") == 0
    assert client.zcard("dead") == 3


def test_the_scheduled_page_shows_and_adds_to_queue_what_we_scheduled(
    browser: Browser, worker: Worker, client: Any
) -> None:
    first, second, later = scheduled(client, "first", "second", "later")
    page = browser.open("/scheduled")
    assert "WebNote nightly" in page.row("first")
    assert "web" in page.row("first").split()

    after = browser.press("add_to_queue", page, "/scheduled", [first.key])
    has_run(client, "first")
    assert not any("first" in row for row in after.seen.rows)

    single = browser.open(f"/scheduled/{second.key}")
    assert "not yet enqueued" in single.row("Enqueued").lower()
    browser.press("add_to_queue", single, f"/scheduled/{second.key}")
    has_run(client, "first", "second")
    assert [one.raw for one in entries(client, "schedule")] == [later.raw]


def test_the_scheduled_page_deletes_what_we_scheduled(browser: Browser, worker: Worker, client: Any) -> None:
    first, second, later = scheduled(client, "first", "second", "later")
    browser.press("delete", browser.open("/scheduled"), "/scheduled", [first.key, second.key])
    assert [one.raw for one in entries(client, "schedule")] == [later.raw]

    browser.press("delete", browser.open(f"/scheduled/{later.key}"), f"/scheduled/{later.key}")
    assert client.zcard("schedule") == 0
    assert client.llen("ran") == 0


def test_the_morgue_shows_retries_and_deletes_our_dead(browser: Browser, worker: Worker, client: Any) -> None:
    risen, buried, kept = dead(client, "risen", "buried", "kept")
    page = browser.open("/morgue")
    assert "ValueError: no <b>bread</b> for risen: ü" in page.row("risen")
    single = browser.open(f"/morgue/{risen.key}")
    assert "no <b>bread</b> for risen: ü" in single.row("Error Message")

    client.sadd("healed", "risen")
    browser.press("retry", single, f"/morgue/{risen.key}")
    has_run(client, "risen")

    browser.press("delete", browser.open("/morgue"), "/morgue", [buried.key])
    assert [one.raw for one in entries(client, "dead")] == [kept.raw]


def test_the_morgue_retries_and_deletes_all_our_dead(browser: Browser, worker: Worker, client: Any) -> None:
    dead(client, "one", "two", "three")
    client.sadd("healed", "one", "two", "three")
    browser.press("retry", browser.open("/morgue"), "/morgue/all/retry")
    has_run(client, "one", "two", "three")
    assert client.zcard("dead") == 0

    dead(client, "four", "five")
    browser.press("delete", browser.open("/morgue"), "/morgue/all/delete")
    assert client.zcard("dead") == 0


def test_the_queue_page_shows_deletes_and_clears_our_jobs(browser: Browser, client: Any) -> None:
    job("WebIdle", queue="web_idle", tags=["nightly"]).perform_bulk(
        [[key, *ARGS] for key in ("first", "second", "third")]
    )
    assert "3" in browser.open("/queues").row("web_idle").split()

    page = browser.open("/queues/web_idle")
    assert "WebIdle nightly" in page.row("first")
    newest, middle, oldest = client.lrange("queue:web_idle", 0, -1)
    assert [read(raw).args[0] for raw in (oldest, middle, newest)] == ["first", "second", "third"]

    browser.press("delete", page, "/queues/web_idle/delete", key_val=middle.decode())
    assert client.lrange("queue:web_idle", 0, -1) == [newest, oldest]

    after = browser.press("delete", browser.open("/queues"), "/queues/web_idle")
    assert not client.exists("queue:web_idle")
    assert not client.sismember("queues", "web_idle")
    assert not any("web_idle" in row for row in after.seen.rows)


def test_the_busy_page_shows_our_process_and_the_job_that_it_runs(
    browser: Browser, worker: Worker, client: Any
) -> None:
    jid = job("WebWait", tags=["patient"]).perform_async("sleeper")
    eventually(lambda: browser.json("/stats")["sidekiq"]["busy"] == 1)

    page = browser.open("/busy")
    process = page.row(f":{worker.pid}", "Queues")
    for part in ("webtag", "Queues: web, web_low"):
        assert part in process
    assert re.search(r" (KB|MB) 3 1( |$)", process), process
    running = page.row(jid)
    for part in (f":{worker.pid}:", " web ", "WebWait patient", '"sleeper"'):
        assert part in running
    assert browser.json("/stats")["sidekiq"]["processes"] == 1
    client.rpush("wake:sleeper", "up")


@pytest.mark.long
def test_its_buttons_quiet_and_stop_our_process(browser: Browser, server: RedisServer, client: Any) -> None:
    with Worker.start(PYTHON.replace("{url}", server.url), server.url, "-q", "web_last") as last:
        [identity] = [name.decode() for name in client.smembers("processes") if f":{last.pid}:".encode() in name]
        browser.press("quiet", browser.open("/busy"), "", identity=identity)
        eventually(lambda: client.hget(identity, "quiet") == b"true", "quiet")
        page = browser.open("/busy")
        assert "quiet" in page.row(f":{last.pid}", "Queues")
        assert not [one for one in page.seen.forms if one.hidden.get("identity") == identity and "quiet" in one.buttons]

        job("WebNote", queue="web_last").perform_async("unheard")
        browser.press("stop", page, "", identity=identity)
        assert last.process is not None
        assert last.process.wait(120) == 0
    assert client.llen("queue:web_last") == 1
    assert client.lrange("ran", 0, -1) == []
    assert f":{last.pid}" not in "".join(browser.open("/busy").seen.rows)
