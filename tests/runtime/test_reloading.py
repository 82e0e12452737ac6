"""``--reload``: the next text runs, also after one that cannot be read."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

from kiqdoctor.runtime import reloading

APP = """
import redis
from kiqdoctor import job
@job(name="Say")
def say():
    redis.Redis.from_url("{url}").rpush("said", "{word}")
"""


def test_it_runs_what_was_written_last(redis: Any, redis_server: RedisServer) -> None:
    def text(word: str) -> str:
        return APP.replace("{url}", redis_server.url).replace("{word}", word)

    def push(jid: str) -> None:
        redis.lpush("queue:default", json.dumps({"class": "Say", "args": [], "jid": jid, "queue": "default"}))

    with Worker.start(text("first"), redis_server.url, "--reload") as worker:
        push("1")
        eventually(lambda: redis.lrange("said", 0, -1) == [b"first"], "the first text")
        (worker.folder / "app.py").write_text("def broken(")
        eventually(lambda: "ended before that" in worker.log(), "a text that cannot be read")
        push("2")
        (worker.folder / "app.py").write_text(text("second"))
        eventually(lambda: redis.llen("said") == 2, "the second text")
        assert worker.stop() == 0
        assert "app.py has changed" in worker.log()
    assert redis.lrange("said", 0, -1) == [b"first", b"second"]


def test_files_beside_the_application_s_modules_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("app.py", "helper.py", "notes.txt"):
        (tmp_path / name).write_text("")
    module = ModuleType("app_of_this_test")
    module.__file__ = str(tmp_path / "app.py")
    monkeypatch.setitem(sys.modules, "app_of_this_test", module)

    found = reloading.sources()

    assert {path.name for path in found if path.parent == tmp_path} == {"app.py", "helper.py"}
    assert not any("site-packages" in str(path) or Path(json.__file__).parent == path.parent for path in found)


def test_what_was_written_added_or_removed_has_changed() -> None:
    a, b = Path("a.py"), Path("b.py")

    assert reloading.changed({a: 1, b: 1}, {a: 1, b: 1}) is None
    assert reloading.changed({a: 1}, {a: 2}) == reloading.changed({}, {a: 1}) == reloading.changed({a: 1}, {}) == a
