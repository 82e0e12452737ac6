"""Threads share a client or a connection that its project calls unsafe to share.

## Why it hurts
Two jobs that use one connection at a time read each other's answers, commit each other's transactions, or mix headers
and cookies. It shows under load only, as errors that make no sense.

In the log: `connection already closed`, `SSL error: decryption failed or bad record mac`, `Event loop is closed`.

## How it is found
Formula: fails if a job leads to a use, under no lock, of an object that a module or a class holds and that was built by
a builder whose project says it is not for several threads, and the job's process runs several jobs at a time; one
severity down where nothing tells how jobs run; an asynchronous client fails where `asyncio.run` uses it in the job

`requests.Session` is medium: what breaks there is rare. In Ruby: `PG`, `Mysql2`,
`Net::HTTP` and `RedisClient` objects in a constant, a global, a class variable or a variable of a class. redis-rb's
`Redis` is medium: it has a lock of its own, so that all threads wait for one connection, also while one of them blocks;
that is told once, at the first use.

## When it is wrong
A pool of one's own that hands the object to one thread at a time.

## Confirm by hand
The line that builds it, and the lines that the evidence names.

## How to fix
Build it where it is used, or once a thread in a `threading.local()`; or take what may be shared: `boto3.client`,
`httpx.Client`, `redis.Redis`, SQLAlchemy's engine with `scoped_session`, a connection pool. In Ruby
`POOL = ConnectionPool.new(size: n) { Redis.new }` and `POOL.with { |redis| ... }`.

Risk: more connections; count them.

Undo: the global in its old place.

## Unknown when
Nothing was found and files could not be parsed.

## Source
psycopg2, `threadsafety` and isolation; SQLAlchemy, "Is the Session thread-safe?"; boto3, "Multithreading or
multiprocessing with resources"; requests issue 2766; encode/httpx discussion 2473; pycurl, "Thread Safety"; libpq,
"Behavior in Threaded Programs"; redis-client's README, "Usage"; redis-rb's README, "Connection Pooling and Thread
safety".
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, NotApplicable, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Calls, Code, Execution, Named, SharedUses
from kiqdoctor.doctor.rules import apart, how_it_runs, led_to, settled, sharing, told

UNSAFE = {
    **dict.fromkeys(("requests.Session", "requests.session"), Severity.MEDIUM),
    **dict.fromkeys(
        (
            "boto3.resource",
            "boto3.Session",
            "boto3.session.Session",
            "psycopg.connect",
            "psycopg.Connection.connect",
            "pyodbc.connect",
            "oracledb.connect",
            "cx_Oracle.connect",
            "clickhouse_driver.Client",
            "playwright.sync_api.sync_playwright().start",
            "playwright.sync_api.sync_playwright().start().chromium.launch",
            "psycopg2.connect",
            "psycopg2.connect().cursor",
            "sqlite3.connect",
            "pymysql.connect",
            "MySQLdb.connect",
            "mysql.connector.connect",
            "sqlalchemy.orm.Session",
            "sqlalchemy.orm.sessionmaker()",
            "redis.Redis().pipeline",
            "redis.Redis().pubsub",
            "redis.StrictRedis().pipeline",
            "redis.StrictRedis().pubsub",
            "redis.from_url().pipeline",
            "redis.from_url().pubsub",
            "redis.Redis.from_url().pipeline",
            "redis.Redis.from_url().pubsub",
            "httplib2.Http",
            "googleapiclient.discovery.build",
            "pycurl.Curl",
            "selenium.webdriver.Chrome",
            "selenium.webdriver.Firefox",
            "smtplib.SMTP",
            "ftplib.FTP",
            "paramiko.SSHClient",
        ),
        Severity.HIGH,
    ),
}
IN_RUBY = {
    **dict.fromkeys(
        (
            "PG.connect",
            "PG::Connection.new",
            "PG::Connection.open",
            "Mysql2::Client.new",
            "Net::HTTP.new",
            "Net::HTTP.start",
            "RedisClient.new",
        ),
        Severity.HIGH,
    ),
    "Redis.new": Severity.MEDIUM,
}
WAITED_FOR = "Redis.new"
"""It has a lock of its own: told once, however many functions use it."""
ASYNCHRONOUS = {"httpx.AsyncClient", "aiohttp.ClientSession"}
RUNS = {"asyncio.run", "anyio.run", "asyncio.Runner().run", "trio.run", "asgiref.sync.async_to_sync()"}


@check("COD005", severity=Severity.HIGH)
def shared_unsafe_client(code: Code, shared: SharedUses, calls: Calls, execution: Execution) -> Iterator[Verdict]:
    looping = {call.function for call in calls.sites if call.name in RUNS}
    told_of: set[tuple[int, str]] = set()
    for use in led_to(code, shared.sites):
        if use.name == WAITED_FOR and any(name == WAITED_FOR for _, name in told_of):
            continue
        found = _looped(code, use) if use.name in ASYNCHRONOUS and not looping.isdisjoint(_way(code, use)) else None
        found = found or _judged(code, use, execution)
        if found is not None and (use.function, use.name) not in told_of:
            told_of.add((use.function, use.name))
            yield found
    alone = apart(code, execution)
    if alone and not told_of:
        yield NotApplicable(alone)
        return
    yield from settled(code, shared, found=bool(told_of))


def _way(code: Code, use: Named) -> Iterator[int]:
    """The functions from the job to the use."""
    index: int | None = use.function
    while index is not None:
        yield index
        index = code.functions[index].caller


def _looped(code: Code, use: Named) -> Finding:
    title = f"Each job runs an event loop of its own, and they share one {use.name}"
    return told(code, use, Severity.HIGH, title, f"Write async with {use.name}() in the coroutine.", key=use.name)


def _judged(code: Code, use: Named, execution: Execution) -> Finding | None:
    ruby = code.functions[use.function].language == "ruby"
    severity = (IN_RUBY if ruby else UNSAFE).get(use.name)
    runs = sharing(code, execution, use)
    if severity is None or runs.truth is False:
        return None
    severity = severity if runs.truth else severity.milder
    title = f"Threads share one {use.name}" + (": all wait for one" if use.name == WAITED_FOR else "")
    remedy = f"Build {use.name}() in the job, or keep one for each thread in a threading.local()."
    if ruby:
        remedy = f"Write ConnectionPool.new {{ {use.name}(...) }} where it is built, and `.with` where it is used."
    return told(code, use, severity, title, remedy, how_it_runs(runs), key=use.name)
