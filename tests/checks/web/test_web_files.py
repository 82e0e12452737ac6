"""WEB001, WEB002 and WEB003 by what files say: mounts, guards, sessions, nginx."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.web import WebAssets, WebDoor, WebFiles, WebPost
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.probes.web.web_files import web_files

ROUTES = "Rails.application.routes.draw do\n  %s\nend\n"
MOUNT = 'mount Sidekiq::Web => "/sidekiq"'


def judged(check: str, root: Path, files: dict[str, str], sidekiq: str = "7.3.9") -> Result:
    facts = HEALTHY.with_(
        web_files.read(tree(root, files)), Packages((Package("ruby", "sidekiq", sidekiq, "Gemfile.lock"),))
    )
    for kind in (WebDoor, WebAssets, WebPost):
        facts = facts.without(kind, Absent("no --web"))
    return diagnose(check, facts)


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"config/routes.rb": ROUTES % MOUNT}, "medium"),
        ({"config/routes.rb": ROUTES % f"namespace :admin do\n {MOUNT}\n end"}, "medium"),
        ({"config/routes.rb": ROUTES % 'mount ::Sidekiq::Web, at: "q"'}, "medium"),
        ({".trial/config/routes.rb": ROUTES % MOUNT}, "low"),
        ({"config.ru": "require 'sidekiq/web'\nrun Sidekiq::Web\n"}, "high"),
        ({"config.ru": "map '/sidekiq' do\n  run Sidekiq::Web\nend\n"}, "high"),
    ],
)
def test_a_mount_that_asks_nobody(tmp_path: Path, files: dict[str, str], severity: str) -> None:
    assert [str(one.severity) for one in judged("WEB001", tmp_path, files).findings] == [severity]


@pytest.mark.parametrize(
    "files",
    [
        {"config/routes.rb": ROUTES % f"authenticate :user, ->(u) {{ u.admin? }} do\n {MOUNT}\n end"},
        {"config/routes.rb": ROUTES % f"constraints Admin.new do\n {MOUNT}\n end"},
        {"config/routes.rb": ROUTES % f"scope constraints: Admin do\n {MOUNT}\n end"},
        {"config/routes.rb": ROUTES % f"{MOUNT} if Rails.env.development?"},
        {"config/routes.rb": ROUTES % f"{MOUNT}, constraints: Admin.new"},
        {
            "config/routes.rb": ROUTES % MOUNT,
            "config/initializers/a.rb": "Sidekiq::Web.use Rack::Auth::Basic do\nend\n",
        },
        {"config.ru": "use Rack::Auth::Basic do |a, b|\nend\nrun Sidekiq::Web\n"},
    ],
)
def test_mounts_that_are_guarded(tmp_path: Path, files: dict[str, str]) -> None:
    result = judged("WEB001", tmp_path, files)

    assert result.outcome is Outcome.PASS, result.findings


API = {"config/application.rb": "config.api_only = true\n", "config/routes.rb": ROUTES % MOUNT}


@pytest.mark.parametrize(
    ("files", "sidekiq", "outcome"),
    [
        (API, "7.3.9", Outcome.FAIL),
        (API, "8.1.7", Outcome.PASS),
        ({**API, "config/initializers/s.rb": "m.use ActionDispatch::Session::CookieStore\n"}, "7.3.9", Outcome.PASS),
        ({"config/routes.rb": ROUTES % MOUNT}, "7.3.9", Outcome.PASS),
        ({"config.ru": "run Sidekiq::Web\n"}, "7.3.9", Outcome.FAIL),
        ({"config.ru": "run Sidekiq::Web\n"}, "6.2.0", Outcome.FAIL),
        ({"config.ru": "run Sidekiq::Web\n"}, "6.1.3", Outcome.PASS),
        (API, "5.1.3", Outcome.PASS),
        ({"config.ru": "use Rack::Session::Cookie, secret: 's'\nrun Sidekiq::Web\n"}, "7.3.9", Outcome.PASS),
    ],
)  # fmt: skip
def test_sessions(tmp_path: Path, files: dict[str, str], sidekiq: str, outcome: Outcome) -> None:
    assert judged("WEB003", tmp_path, files, sidekiq).outcome is outcome


@pytest.mark.parametrize(
    ("location", "outcome"),
    [
        ("location ~* \\.(css|js|png)$ { root /srv; expires max; }", Outcome.FAIL),
        ("location ~* \\.(css|js|png)$ { proxy_pass http://app; }", Outcome.PASS),
        ("location ^~ /sidekiq { proxy_pass http://app; }", Outcome.PASS),
    ],
)
def test_locations_of_nginx(tmp_path: Path, location: str, outcome: Outcome) -> None:
    files = {"config/routes.rb": ROUTES % MOUNT, "config/nginx.conf": f"server {{\n  {location}\n}}\n"}

    assert judged("WEB002", tmp_path, files).outcome is outcome


def test_a_header_of_another_server(tmp_path: Path) -> None:
    line = 'config.action_dispatch.x_sendfile_header = "X-Sendfile"\n'
    files = {"config/routes.rb": ROUTES % MOUNT, "config/environments/production.rb": line}

    assert judged("WEB002", tmp_path, files).findings[0].severity == "low"
    accel = {**files, "config/environments/production.rb": line.replace("X-Sendfile", "X-Accel-Redirect")}
    assert judged("WEB002", tmp_path, accel).outcome is Outcome.PASS


@pytest.mark.parametrize("check", ["WEB001", "WEB002", "WEB003"])
def test_with_neither_half_it_does_not_apply(check: str) -> None:
    facts = HEALTHY
    for kind in (WebDoor, WebAssets, WebPost, WebFiles):
        facts = facts.without(kind, Absent("none"))

    assert diagnose(check, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("line", "sidekiq", "outcome"),
    [
        ('proxy_set_header Sec-Fetch-Site "";', "8.1.7", Outcome.FAIL),
        ('proxy_set_header Sec-Fetch-Site "";', "8.0.10", Outcome.PASS),
        ("proxy_set_header Sec-Fetch-Site $http_sec_fetch_site;", "8.1.7", Outcome.PASS),
    ],
)
def test_a_proxy_that_takes_the_header_away(tmp_path: Path, line: str, sidekiq: str, outcome: Outcome) -> None:
    location = f"location / {{\n    proxy_pass http://app;\n    {line}\n  }}"
    files = {"config/routes.rb": ROUTES % MOUNT, "config/nginx.conf": f"server {{\n  {location}\n}}\n"}

    assert judged("WEB003", tmp_path, files, sidekiq).outcome is outcome
