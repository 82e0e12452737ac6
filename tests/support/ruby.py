"""The real Ruby Sidekiq for tests: a worker process with an application of the test's own, and one-off scripts."""

import functools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import redis as redis_py
from servers import eventually

SCRIPT_TIMEOUT: Final = 60.0  # seconds until a Ruby that hangs is a failure

# Both the worker and one-off scripts start with this: the namespace is the application's business up to Sidekiq 6.
_PREAMBLE: Final = """\
require 'json'
require 'sidekiq'
if ENV['TEST_NAMESPACE']
  require 'redis-namespace'
  options = { url: ENV['REDIS_URL'], namespace: ENV['TEST_NAMESPACE'] }
  Sidekiq.configure_server { |config| config.redis = options }
  Sidekiq.configure_client { |config| config.redis = options }
end
"""


@functools.cache
def missing() -> str:
    """Why the real Sidekiq cannot be used here; empty where it can."""
    if shutil.which("sidekiq") is None or shutil.which("ruby") is None:
        return "no `sidekiq` and `ruby` on PATH (Debian: ruby-sidekiq)"
    ran = subprocess.run(["ruby", "-e", "require 'sidekiq'"], capture_output=True, text=True, check=False)
    return f"ruby cannot load Sidekiq: {ran.stderr.strip()[-200:]}" if ran.returncode else ""


def require() -> None:
    """Skip with the reason; in CI an absent Sidekiq is a failure, for a skipped proof is none."""
    if not (reason := missing()):
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_ruby(code: str, url: str, *, namespace: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a Ruby script printed, with Sidekiq loaded and REDIS_URL set."""
    require()
    ran = subprocess.run(
        ["ruby", "-e", _PREAMBLE + code],
        check=False,
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT,
        env=_environment(url, namespace, env),
    )
    assert ran.returncode == 0, f"ruby: {ran.stderr}"
    return ran.stdout


def ask_ruby(expression: str, url: str, *, namespace: str | None = None) -> Any:
    """The value of a Ruby expression, by way of JSON."""
    return json.loads(run_ruby(f"puts JSON.generate([({expression})])", url, namespace=namespace))[0]


def _environment(url: str, namespace: str | None, env: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"REDIS_PROVIDER", "RUBYOPT"}}
    spaced = {"TEST_NAMESPACE": namespace} if namespace else {}
    return {**inherited, "REDIS_URL": url, **spaced, **(env or {})}


@dataclass
class RubySidekiq:
    """One Sidekiq process; ``app`` is the Ruby text that defines its jobs."""

    app: str
    url: str
    concurrency: int = 5
    queues: Sequence[str] = ("default",)
    namespace: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="test-sidekiq-")))
    process: subprocess.Popen[bytes] | None = None
    identity: str = ""

    @classmethod
    @contextmanager
    def start(cls, app: str, url: str, **options: Any) -> "Iterator[RubySidekiq]":
        """A worker whose heartbeat has been seen; stopped at the end however the test ends."""
        require()
        worker = cls(app, url, **options)
        try:
            worker.up()
            yield worker
        finally:
            worker.kill()
            shutil.rmtree(worker.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def up(self) -> None:
        """Start it and wait for its first heartbeat."""
        (self.folder / "app.rb").write_text(_PREAMBLE + self.app)
        command = ["sidekiq", "-r", "./app.rb", "-c", str(self.concurrency), *self._queue_flags(), *self.arguments]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=_environment(self.url, self.namespace, self.env),
            )
        self.identity = eventually(self._seen, "Sidekiq's first heartbeat", seconds=60)

    def stop(self) -> int:
        """TERM, and the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory ends."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it to the process."""
        os.kill(self.pid, number)

    def log(self) -> str:
        """What it printed."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _queue_flags(self) -> list[str]:
        return [word for name in self.queues for word in ("-q", name)]

    def _seen(self) -> str:
        assert self.process is not None
        assert self.process.poll() is None, f"Sidekiq ended: {self.log()}"
        prefix = f"{self.namespace}:" if self.namespace else ""
        with redis_py.Redis.from_url(self.url, decode_responses=True) as client:
            found = [name for name in client.smembers(f"{prefix}processes") if f":{self.pid}:" in name]
            return found[0] if found and client.exists(prefix + found[0]) else ""


# A line of JSON in, a line of JSON out; Sidekiq logs to standard output, which is therefore kept for the answers alone.
_CONSOLE: Final = """\
require 'sidekiq/api'
$answers = $stdout.dup
$stdout.reopen($stderr)
[$stdin, $answers].each { |stream| stream.set_encoding('UTF-8') }
$answers.sync = true
def fresh_binding
  binding
end
$stdin.each_line do |line|
  question = JSON.parse(line)
  place = fresh_binding
  question['values'].each { |name, value| place.local_variable_set(name, value) }
  begin
    answer = JSON.generate('value' => place.eval(question['code']))
  rescue Exception => error
    answer = JSON.generate('error' => "#{error.class}: #{error.message}")
  end
  $answers.puts answer
end
"""


@dataclass
class RubyConsole:
    """One Ruby that answers many questions: loading Sidekiq costs half a second, a question a millisecond."""

    process: subprocess.Popen[bytes]
    log: Path
    heard: bytes = b""

    @classmethod
    @contextmanager
    def start(cls, url: str, *, namespace: str | None = None) -> "Iterator[RubyConsole]":
        """A console with Sidekiq's API loaded; gone at the end."""
        require()
        folder = Path(tempfile.mkdtemp(prefix="test-console-"))
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                ["ruby", "-e", _PREAMBLE + _CONSOLE],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(url, namespace, None),
            )
        with process:  # closes both pipes, whereupon Ruby ends by itself
            try:
                yield cls(process, folder / "log")
            finally:
                process.kill()
                shutil.rmtree(folder, ignore_errors=True)

    def ask(self, code: str, **values: Any) -> Any:
        """What Ruby code evaluates to; ``values`` are its local variables. Both travel as JSON."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"code": code, "values": values}).encode() + b"\n")
        answer = json.loads(self._line())
        assert "error" not in answer, f"ruby: {answer['error']}\n{code}"
        return answer["value"]

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.heard:
            ready, _, _ = select.select([pipe], [], [], SCRIPT_TIMEOUT)
            heard = os.read(pipe, 1 << 16) if ready else b""
            assert heard, f"ruby does not answer: {self.log.read_text(errors='replace')[-500:]}"
            self.heard += heard
        line, _, self.heard = self.heard.partition(b"\n")
        return line
