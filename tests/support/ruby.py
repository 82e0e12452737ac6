"""The real Ruby Sidekiq for tests, in three versions: workers with an application of the test's own, and scripts."""

import functools
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis as redis_py
import roots
from roots import HERE, SID, TRIXIE, Place, Root, Suite
from servers import SEEN, eventually

SCRIPT_TIMEOUT: Final = 60.0  # seconds until a Ruby that hangs is a failure
SUITES: Final[Mapping[int, Suite]] = {7: TRIXIE, 8: SID}  # Debian's own suites of these versions; 6 is this host's
VERSIONS: Final = (6, 7, 8)
NOTHING: Final[Mapping[str, str]] = {}

# Both the worker and one-off scripts start with this. Up to Sidekiq 6 a namespace is the application's business; from 7
# on its option is refused.
_PREAMBLE: Final = """\
require 'json'
require 'sidekiq'
if ENV['TEST_NAMESPACE']
  require 'redis-namespace' if Sidekiq::VERSION.to_i < 7
  options = { url: ENV['REDIS_URL'], namespace: ENV['TEST_NAMESPACE'] }
  Sidekiq.configure_server { |config| config.redis = options }
  Sidekiq.configure_client { |config| config.redis = options }
end
"""


# From 7 on Sidekiq tells standard output which Redis it opens; in a script it is kept for answers.
_QUIET: Final = "Sidekiq.logger.level = Logger::WARN\n"


@dataclass(frozen=True, slots=True)
class Sidekiq:
    """One version of it, on this host or under another root."""

    version: str
    place: Place

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def namespaced(self) -> bool:
        """Whether it takes redis-namespace; from 7 on it refuses to start."""
        return self.major < 7

    @property
    def work(self) -> str:
        """The last word of the key of what a process runs now."""
        return "workers" if self.version == "6.4.1" else "work"

    @property
    def stamp(self) -> type:
        """What it writes the points in time of a payload as: float seconds, from 8 on integer milliseconds."""
        return float if self.major < 8 else int

    def run(self, code: str, url: str, *, namespace: str | None = None, env: Mapping[str, str] = NOTHING) -> str:
        """What a script printed, with Sidekiq loaded and REDIS_URL set."""
        ran = _ruby(self.place, code, _environment(url, namespace, env))
        assert ran.returncode == 0, f"ruby: {ran.stderr}"
        return ran.stdout

    def ask(self, expression: str, url: str, *, namespace: str | None = None) -> Any:
        """The value of a Ruby expression, by way of JSON."""
        return json.loads(self.run(f"puts JSON.generate([({expression})])", url, namespace=namespace))[0]

    @contextmanager
    def start(self, app: str, url: str, **options: Any) -> "Iterator[RubySidekiq]":
        """A worker whose heartbeat has been seen; stopped at the end however the test ends."""
        worker = RubySidekiq(self.place, app, url, **options)
        try:
            worker.up()
            yield worker
        finally:
            worker.kill()
            shutil.rmtree(worker.folder, ignore_errors=True)

    @contextmanager
    def console(self, url: str, *, namespace: str | None = None) -> "Iterator[RubyConsole]":
        """A console with Sidekiq's API loaded; gone at the end."""
        folder = self.place.folder("test-console-")
        words = self.place.command(["ruby", "-e", _PREAMBLE + _QUIET + _CONSOLE], folder)
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                words,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(url, namespace, NOTHING),
                cwd=folder,
            )
        with process:  # closes both pipes, whereupon Ruby ends by itself
            try:
                yield RubyConsole(process, folder / "log")
            finally:
                process.kill()
                shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def sidekiq(major: int) -> Sidekiq | str:
    """The one of this major version: 6 is this host's, the others are of other suites; else why there is none."""
    suite = SUITES.get(major)
    if suite is not None and (reason := roots.missing(suite)):
        return reason
    place = HERE if suite is None else Root(suite.path)
    try:
        ran = _ruby(place, "puts Sidekiq::VERSION", _environment("", None, NOTHING))
    except OSError as error:
        return f"ruby cannot run here (Debian: ruby-sidekiq): {error}"
    if ran.returncode:
        return f"ruby cannot load Sidekiq: {ran.stderr.strip()[-200:]}"
    found = Sidekiq(ran.stdout.strip(), place)
    return found if found.major == major else f"Sidekiq {major} is wanted, and here is {found.version}"


def require(major: int = 6) -> Sidekiq:
    """It; else a skip with the reason, and in CI a failure, for a skipped proof is none."""
    found = sidekiq(major)
    if isinstance(found, str):
        roots.absent(found)
    SEEN.add(f"Sidekiq {found.version}")
    return found


def _ruby(place: Place, code: str, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """One script that has ended."""
    folder = place.folder("test-script-")
    words = place.command(["ruby", "-e", _PREAMBLE + _QUIET + code], folder)
    try:
        return subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=SCRIPT_TIMEOUT, env=environ, cwd=folder
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(url: str, namespace: str | None, env: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"REDIS_PROVIDER", "RUBYOPT"}}
    spaced = {"TEST_NAMESPACE": namespace} if namespace else {}
    return {**inherited, "REDIS_URL": url, **spaced, **env}


@dataclass
class RubySidekiq:
    """One Sidekiq process; ``app`` is the Ruby text that defines its jobs."""

    place: Place
    app: str
    url: str
    concurrency: int = 5
    queues: Sequence[str] = ("default",)
    namespace: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    folder: Path = Path()
    process: subprocess.Popen[bytes] | None = None
    identity: str = ""

    def __post_init__(self) -> None:
        if self.folder == Path():
            self.folder = self.place.folder("test-sidekiq-")

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
                self.place.command(command, self.folder),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=_environment(self.url, self.namespace, self.env),
            )
        self.identity = eventually(self._seen, "Sidekiq's first heartbeat")

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


# The web UI as a Rack application that is asked without a socket.
WEB: Final = """\
require 'sidekiq/web'
require 'rack'
require 'rack/session' if Rack.release.to_i > 2
Sidekiq::Web.use(Rack::Session::Cookie, secret: 'x' * 64)
$web = Rack::MockRequest.new(Sidekiq::Web)
"""

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
