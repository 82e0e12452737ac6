"""The real Sidekiq web UI under puma, behind a real nginx where a test says so; on loopback, stopped by pid."""

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import roots
from ruby import Sidekiq, _environment
from servers import eventually, free_port

STUBBED: Final = ("javascripts/application.js", "javascripts/dashboard.js", "stylesheets/application.css")
"""What Debian's packages leave out: whole() puts something in their place."""

_CONFIG: Final = """\
require 'sidekiq/web'
require 'rack'
require 'rack/session' if Rack.release.to_i > 2
require 'rack/sendfile'
if ENV['TEST_ASSETS']
  if Sidekiq::VERSION.to_i < 8
    Sidekiq::Web.send(:remove_const, :ASSETS)
    Sidekiq::Web.const_set(:ASSETS, ENV['TEST_ASSETS'])
  else
    Sidekiq::Web.configure { |config| config.assets_path = ENV['TEST_ASSETS'] }
  end
end
use Rack::Sendfile, ENV['TEST_SENDFILE'] if ENV['TEST_SENDFILE']
use Rack::Session::Cookie, secret: 'x' * 64, secure: !!ENV['TEST_SECURE'] unless ENV['TEST_NO_SESSION']
if ENV['TEST_LOGIN']
  use(Rack::Auth::Basic) { |user, password| "#{user}:#{password}" == ENV['TEST_LOGIN'] }
end
map(ENV.fetch('TEST_MOUNT', '/')) { run Sidekiq::Web }
"""


@contextmanager
def puma(sidekiq: Sidekiq, url: str, *, whole: bool = True, **settings: str) -> Iterator[str]:
    """The UI's own address; ``whole``: with all its files. ``settings`` are TEST_ variables of the configuration."""
    folder = sidekiq.place.folder("test-web-")
    (folder / "config.ru").write_text(_CONFIG)
    variables = {f"TEST_{name.upper()}": value for name, value in settings.items()}
    inside = getattr(sidekiq.place, "inside", str)
    if whole:
        _complete(sidekiq, folder / "assets")
        variables["TEST_ASSETS"] = inside(folder / "assets")
    port = free_port()
    words = ["env", "-u", "PWD", "puma", "-b", f"tcp://127.0.0.1:{port}", "-t", "1:4", "-e", "production", "config.ru"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            sidekiq.place.command(words, folder),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, env=_environment(url, None, variables),
        )  # fmt: skip
    try:
        eventually(lambda: _answers(process, port, folder / "log"), "puma")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _complete(sidekiq: Sidekiq, folder: Path) -> None:
    """Its files, and something in place of those that Debian leaves out."""
    root = getattr(sidekiq.place, "path", Path("/"))
    [own] = root.glob(f"usr/share/rubygems-integration/all/gems/sidekiq-{sidekiq.version}/web/assets")
    shutil.copytree(own, folder)
    for name in STUBBED:
        file = folder / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("/* here */\n")
    for found in folder.rglob("*"):
        if found.is_symlink() and not found.exists():
            found.unlink()
            found.write_text("/* here */\n")


def _answers(process: "subprocess.Popen[bytes]", port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")[-2000:]
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return True


_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  include /etc/nginx/mime.types;
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/public;
    {locations}
  }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    url: str
    folder: Path

    def asked(self) -> list[str]:
        """Each request that it saw: method and path."""
        return re.findall(r'"(\w+ \S+) HTTP', (self.folder / "access.log").read_text())


@contextmanager
def nginx(locations: str) -> Iterator[Proxy]:
    """An nginx with these locations; its own root holds a page, and `users` knows ops:pw."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        roots.absent("nginx is not installed (Debian: nginx)")
    folder = Path(tempfile.mkdtemp(prefix="test-nginx-"))
    folder.chmod(0o755)
    (folder / "public").mkdir()
    (folder / "public/index.html").write_text("here")
    (folder / "users").write_text("ops:{PLAIN}pw\n")
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, locations=locations))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf"], stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(process, port, folder / "log"), "nginx")
        yield Proxy(f"http://127.0.0.1:{port}", folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
