"""`bundle`: what it holds is listed, and no planted secret is among it."""

import json
import stat
import tarfile
from pathlib import Path

import redis as redis_py
from doctoring import kiqdoctor
from servers import RedisServer

SECRET = "hunter2-s3cret-value"


def test_its_contents_are_listed_and_hold_no_secret(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    job = {"class": "Mail", "args": [SECRET], "queue": "mail", "jid": "a" * 24, "retry_count": 0}
    job |= {"error_class": "E", "error_message": f"password={SECRET} at redis://u:{SECRET}@h/0"}
    redis.sadd("queues", "mail")
    redis.lpush("queue:mail", json.dumps(job))
    redis.zadd("retry", {json.dumps(job): 2.0})
    app = tmp_path / "app"
    app.mkdir()
    (app / "requirements.txt").write_text("redis==5.0\n", encoding="utf-8")
    (app / ".env").write_text(f"REDIS_PASSWORD={SECRET}\nREDIS_URL=redis://u:{SECRET}@h:1/0\n", encoding="utf-8")
    file = tmp_path / "b.tar.gz"
    redis.acl_setuser("seer", enabled=True, passwords=[f"+{SECRET}"], keys=["*"], commands=["+@all"])
    try:
        url = f"redis://seer:{SECRET}@127.0.0.1:{redis_server.port}/0"
        ran = kiqdoctor("bundle", str(file), "--redis", url, cwd=app, SIDEKIQ_PASSWORD=SECRET)
    finally:
        redis.acl_deluser("seer")

    assert ran.status == 0, ran.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        names = [one.name.rpartition("/")[2] for one in archive]
        texts = [archive.extractfile(one).read() for one in archive.getmembers()]  # type: ignore[union-attr]
    assert names == [line.split()[0] for line in ran.out.splitlines()]
    assert all(SECRET.encode() not in text for text in texts)
    assert b"redis_version" in texts[-1]


def test_a_path_that_cannot_be_written(redis_server: RedisServer, tmp_path: Path) -> None:
    ran = kiqdoctor("bundle", str(tmp_path / "no" / "b"), "--redis", redis_server.url, cwd=tmp_path)

    assert (ran.status, ran.err.count("\n")) == (2, 1)
