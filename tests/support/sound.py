"""Sound texts of every kind that we read from outside: what a fuzzer begins with."""

import struct
from collections.abc import Mapping
from typing import Final

PYTHON = b"""import os
from celery import Celery, shared_task
from sqlalchemy.orm import Session

app = Celery(broker=os.environ.get("BROKER", "redis://h:6379/1"))
CACHE = {}

@shared_task(bind=True, acks_late=True)
def send(self, address, *rest, when=None):
    with Session() as session:
        CACHE[address] = session.get(address)
        requests.get(f"https://x/{address}", timeout=5)
        send.apply_async((address,), countdown=3)
    try:
        lambda: exec("1")
    except BaseException:
        pass
"""
RUBY = b"""class SendMail
  include Sidekiq::Job
  sidekiq_options queue: :mailers, retry: 5, tags: %w[a b]
  def perform(id, *rest, key: nil)
    @@seen ||= {}
    Timeout.timeout(3) { User.transaction { OtherJob.perform_async(id) } }
  rescue Exception => e
    raise unless e.is_a?(StandardError)
  end
end
Sidekiq.configure_server { |c| c.redis = { url: ENV["REDIS_URL"], namespace: "x", size: 5 } }
"""
FILES: Final[Mapping[str, bytes]] = {
    "app/jobs.py": PYTHON,
    "app/jobs.rb": RUBY,
    "config/initializers/sidekiq.rb": RUBY,
    "Gemfile.lock": b"GEM\n  remote: x\n  specs:\n    sidekiq (7.3.2)\n      rack (>= 2.2.4)\n    rack (3.1.8)\n\n"
    b"PLATFORMS\n  ruby\n\nDEPENDENCIES\n  sidekiq (~> 7.3)\n\nRUBY VERSION\n   ruby 3.3.1p55\n",
    "Gemfile": b'source "x"\ngroup :test do\n  gem "sidekiq", "~> 7.0", require: false\nend\n',
    "requirements.txt": b"celery==5.4.0 ; python_version < '3.13' --hash=sha256:ab\n-r other.txt\nredis[hiredis]>=5\n",
    "poetry.lock": b'[[package]]\nname = "celery"\nversion = "5.4.0"\n[package.dependencies]\nkombu = ">=5"\n',
    "uv.lock": b'version = 1\n[[package]]\nname = "rq"\nversion = "2.0"\nsource = { registry = "x" }\n',
    "Pipfile.lock": b'{"_meta": {}, "default": {"celery": {"version": "==5.4.0"}}, "develop": {}}',
    "pyproject.toml": b'[project]\nname = "x"\ndependencies = ["celery>=5"]\n[tool.other]\na = [1, {b = 2}]\n',
    "Procfile": b"web: gunicorn -w 4 --threads ${T:-2} app\nworker: bundle exec sidekiq -c ${C:-10} -q a,2 -q b\n",
    "config/sidekiq.yml": b":concurrency: <%= ENV.fetch('C', 5) %>\n:queues:\n  - [mailers, 2]\n  - default\n"
    b"production:\n  :concurrency: 20\n:capsules:\n  one:\n    concurrency: 1\n    queues: [x]\n",
    "docker-compose.yml": b"x-a: &a\n  image: ruby\nservices:\n  worker:\n    <<: *a\n    command: [bundle, exec, "
    b"sidekiq]\n    deploy: {replicas: 3}\n    stop_grace_period: 1m30s\n    environment: [A=b, C]\n",
    "k8s/worker.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec:\n  replicas: 2\n"
    b"  template:\n    spec:\n      terminationGracePeriodSeconds: 30\n      containers:\n      - name: w\n"
    b"        command: [sh, -c]\n        args: ['exec bundle exec sidekiq -c 5']\n---\nkind: List\nitems: []\n",
    "Dockerfile": b'FROM ruby:3.3 AS base\nENV A=1 B=${A}\nCMD ["bundle", "exec", "sidekiq", "-t", "25"]\n',
    "deploy/worker.service": b"[Service]\nExecStart=/usr/bin/celery -A app worker -c 4\nTimeoutStopSec=1min 30s\n",
    "app.json": b'{"formation": {"worker": {"quantity": 2}}, "addons": ["heroku-redis:mini"]}',
    "render.yaml": b"services:\n- type: worker\n  startCommand: rq worker\n  scaling: {minInstances: 1}\n",
    "config/puma.rb": b"workers ENV.fetch('W') { 2 }\nthreads 1, 5\npreload_app!\n",
    "gunicorn.conf.py": b"import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\npreload_app = True\n",
    "config/unicorn.rb": b"worker_processes Integer(ENV['W'] || 3)\npreload_app true\nafter_fork { |s, w| a }\n",
    "config/database.yml": b"production:\n  adapter: postgresql\n  pool: <%= ENV.fetch('RAILS_MAX_THREADS') { 5 } %>",
    "config/schedule.yml": b"nightly:\n  cron: '0 3 * * *'\n  class: SendMail\n  queue: mailers\n",
    "deploy/nginx.conf": b"server {\n  location /sidekiq/ {\n    proxy_pass http://app;\n    gzip off;\n  }\n}\n",
    "deploy/redis.conf": b"maxclients 50\nmaxmemory 100mb\nmaxmemory-policy allkeys-lru\nappendonly no\n",
    "fly.toml": b"kill_timeout = '30s'\n[processes]\nworker = 'bundle exec sidekiq -c 5'\n[[vm]]\nmemory = '1gb'\n",
    "uwsgi.ini": b"[uwsgi]\nprocesses = 4\nthreads = 2\nlazy-apps = true\n",
    ".env": b"REDIS_URL=redis://:secret@h:6379/1\nexport X='y'\n",
    "bin/start": b'#!/bin/sh\nset -e\nexec bundle exec sidekiq -C config/sidekiq.yml "$@"\n',
}
INFO: Final = (
    b'{"hostname":"h","started_at":1700000000.1,"pid":7,"tag":"x","concurrency":5,"queues":["default"],"labels":[],'
    b'"identity":"h:7:aa","version":"7.3.2","embedded":false,'
    b'"capsules":{"default":{"concurrency":5,"mode":"strict"}}}'
)
JOB: Final = (
    b'{"class":"SendMail","args":[1,{"a":null}],"queue":"default","jid":"0123456789abcdef01234567","retry":true,'
    b'"created_at":1700000000.1,"enqueued_at":1700000000123,"error_class":"E","error_message":"x","failed_at":1.5,'
    b'"retry_count":3,"error_backtrace":["a:1"],"bid":"b1","wrapped":"X","tags":["a"],"cattr":{}}'
)
WORK: Final = (
    b'{"queue":"default","run_at":1700000000,"payload":"{\\"class\\":\\"SendMail\\",\\"args\\":[],\\"jid\\":\\"a\\"}"}'
)
CONFIGURATION: Final = b"""fail-on = "high"
select = ["RED", "QUE001"]
[[suppress]]
check = "RED002"
reason = "x"
owner = "y"
expires = 2030-01-01
[thresholds.QUE001]
waiting-s = 60
"""
REPLIES: Final = (
    b"+PONG\r\n$9\r\nx:1\r\ny:2\r\n\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*3\r\n:1\r\n*1\r\n+a\r\n$-1\r\n-ERR x\r\n+OK\r\n",
)


def _note(kind: int, body: bytes) -> bytes:
    return struct.pack("<III", 5, len(body), kind) + b"CORE\0\0\0\0" + body + bytes(-len(body) % 4)


def _core() -> bytes:
    """What a thread of a small process leaves: its registers, its signal, two files, and a page of memory."""
    status = bytearray(336)
    struct.pack_into("<h", status, 12, 11)
    struct.pack_into("<i", status, 32, 7)
    struct.pack_into("<Q", status, 112 + 16 * 8, 0x400010)
    struct.pack_into("<Q", status, 112 + 19 * 8, 0x500000)
    owner = bytearray(136)
    struct.pack_into("<i", owner, 24, 7)
    owner[40:46] = b"python"
    mapped = ((0x400000, 0x401000, b"/usr/bin/python3"), (0x600000, 0x601000, b"/memfd:kiqdoctor-jobs (deleted)"))
    rows = b"".join(struct.pack("<QQQ", start, end, 0) for start, end, _ in mapped)
    names = b"".join(name + b"\0" for _, _, name in mapped)
    notes = b"".join(
        (
            _note(1, bytes(status)),
            _note(3, bytes(owner)),
            _note(0x53494749, struct.pack("<iiiiQ", 11, 0, 1, 0, 16) + bytes(104)),
            _note(6, struct.pack("<QQQQ", 9, 0x400010, 0, 0)),
            _note(0x46494C45, struct.pack("<QQ", 2, 4096) + rows + names),
        )
    )
    memory = ((0x400000, b"\x7fELF\x02\x01" + bytes(506)), (0x500000, bytes(512)), (0x600000, bytes(512)))
    at = 64 + 56 * (1 + len(memory))
    programs = struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), 0, 4)
    at += len(notes)
    for address, held in memory:
        programs += struct.pack("<IIQQQQQQ", 1, 6, at, address, 0, len(held), len(held), 4096)
        at += len(held)
    head = struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1 + len(memory), 0, 0, 0)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + head + programs + notes + b"".join(held for _, held in memory)


CORE: Final = _core()
LOGS: Final = (
    (
        b"app/jobs.rb:3: [BUG] Segmentation fault at 0x10\nruby 3.3.1\n\n-- Ruby level backtrace information ----\n"
        b"/a/b.rb:3:in `perform'\n/a/b.rb:9:in 'SendMail#perform'\n\n-- Other runtime information ---\n"
    ),
    b'Fatal Python error: Aborted\n\nCurrent thread 0x01 (most recent call first):\n  File "a.py", line 3 in f\n',
)
EXPORT: Final = (
    b'{"schema":"kiqdoctor.fix-export/1","token":"ab","target":"redis://h:6379/0","namespace":null}\n'
    b'{"check":"PRO002","subject":"x","does":"x","risk":"x","undo":"x","changes":[{"edits":[[["set","processes",'
    b'"h:7:aa","",""],["","",{"base64":"/w=="},"",""]]],"guards":[["absent","h:7:aa","",""]],"final":false}]}\n'
)
REPORT: Final = (
    b'{"schema":"kiqdoctor.report/1","started_at":"2026-01-02T03:04:05.678Z","target":{"redis":null,"namespace":null,'
    b'"path":"/a"},"results":[{"check":"RED003","name":"x","category":"redis","outcome":"fail","reason":null,"evidence":'
    b'[{"label":"a","value":"50","source":"b"}],"findings":[{"severity":"high","title":"x","subject":"redis","evidence":'
    b'[],"fingerprint":"RED003:redis","suppressed":false}]}]}'
)
PAGES: Final = (
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: rack.session=x; path=/sidekiq\r\n\r\n"
        b'<html><head><link href="/sidekiq/stylesheets/a.css" rel="stylesheet"><script src="/sidekiq/javascripts/a.js">'
        b'</script></head><body>Sidekiq <form action="/sidekiq/retries" method="post"></form></body></html>'
    ),
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"sidekiq":{"processed":1,"failed":0},"redis":{}}',
    b"HTTP/1.1 302 Found\r\nLocation: /login\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
)
CLIENTS: Final = (
    (
        b"id=7 addr=10.0.0.1:5000 laddr=10.0.0.9:6379 fd=8 name=Sidekiq-server-PID-7 age=100 idle=0 flags=b db=0 sub=0"
        b" psub=0 multi=-1 qbuf=0 omem=0 events=r cmd=brpop user=default lib-name=redis-client lib-ver=0.22 resp=2\n"
        b"id=8 addr=/tmp/r.sock:0 name= age=1 idle=1 flags=N db=1 cmd=client|list user=worker\n"
    ),
)
SERVER: Final = (
    (
        b"# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\nos:Linux\r\nuptime_in_seconds:100\r\n"
        b"# Clients\r\nconnected_clients:5\r\nmaxclients:100\r\nblocked_clients:1\r\n"
        b"# Memory\r\nused_memory:1000000\r\nmaxmemory:0\r\n"
        b"maxmemory_policy:noeviction\r\nused_memory_rss:2000000\r\n# Persistence\r\nloading:0\r\naof_enabled:0\r\n"
        b"rdb_last_bgsave_status:ok\r\nrdb_last_save_time:1700000000\r\n# Stats\r\nrejected_connections:0\r\n"
        b"evicted_keys:0\r\nexpired_keys:1\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
        b"errorstat_OOM:count=1\r\n# Keyspace\r\ndb0:keys=10,expires=1,avg_ttl=0\r\n"
    ),
)
KERNEL: Final = (
    (
        b"6,1,2500000,-;ruby[7]: segfault at 0 ip 00 sp 00 error 4 in libfoo.so.1[7f+2] on CPU 0\n SUBSYSTEM=x\n\n"
        b"4,2,3,-;traps: python3[9] trap invalid opcode ip:7 sp:7 error:0 in m.so[7+1]\n\n"
        b"4,3,4,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/a/b,task=ruby,pid=44,uid=0\n\n"
        b"3,4,5,-;Memory cgroup out of memory: Killed process 44 (ruby) total-vm:1kB, UID:0\n\n"
    ),
)
COREDUMPS: Final = (
    b'[{"time":1700000000000000,"pid":7,"uid":0,"sig":11,"corefile":"present","exe":"/usr/bin/ruby","size":1}]',
    b"2026-01-02T03:04:05.123Z pid=7 tid=x ERROR: 9\n2026-01-02 03:04:05 [BUG] Segmentation fault at 0x10\n",
)
UNITS: Final = (
    (
        b"Id=sidekiq.service\nMainPID=7\nExecMainPID=7\nNRestarts=3\nResult=success\nExecMainStatus=0\n"
        b"ExecMainStartTimestamp=Fri 2026-11-27 00:56:37 UTC\nTimeoutStopUSec=1min 30s\nKillMode=mixed\nKillSignal=15\n"
        b"LimitCORESoft=infinity\nExecStart={ path=/usr/bin/bundle ; argv[]=bundle exec sidekiq ; }\n\nId=b.service\n"
    ),
)
DUMPS: Final = (
    (
        b"2026-01-02T03:04:05.123Z pid=7 tid=x WARN: Thread TID-abc default/processor\n"
        b"2026-01-02T03:04:05.123Z pid=7 tid=x WARN: /a/b.rb:3:in `sleep'\n/a/b.rb:9:in 'SendMail#perform'\n"
        b'{"ts":"x","lvl":"WARN","msg":"Thread TID-abd scheduler\\n/a/c.rb:1:in `wait\'"}\n'
    ),
    (
        b"#0  0x01 in raise () from /lib/libc.so.6\n#0  0x0000000000000010 in f (x=...) at a.c:3\n"
        b"#1  <signal handler called>\n#2  0x0000000000000020 in std::function<int (int)>::g(char) () from /lib/x.so\n"
        b"TID 7:\n#0  0x10 raise - 1\n"
    ),
)
CRON: Final = (
    b"*/5 0-3,9 * 1,JAN mon#2", b"0 3 * * * Europe/Berlin", b"@daily", b"2026-01-02 03:04:05 +0100", b"0 0 29 2 * UTC",
)  # fmt: skip
ADDRESSES: Final = (
    b"rediss://u:pa%2Fss@[::1]:6379/1?ssl_ca_certs=/a&db=2",
    b"unix:///run/r.sock?db=3",
    b"rediss+sentinel://us%40er:p%2Fw@one:1,[::1]:2/main/3?sentinel_username=s&sentinel_password=q",
    b"SECRET_TOKEN=abc password: x --api-key y ##vso[task.complete] ::error::x section_start:1:a",
)
PROCESSES: Final = (
    b"sidekiq 7.3.2 shop [3 of 5 busy] stopping",
    b"ruby\0/usr/bin/sidekiq\0-c\05\0REDIS_URL=redis://:secret@h:6379/1\0REDIS_PROVIDER=X_URL\0X_URL=redis://h\0",
    b"python3\0-m\0kiqdoctor\0work\0-c\05\0--redis\0redis://h:6379/0\0",
    b"0::/system.slice/sidekiq.service\n",
)
