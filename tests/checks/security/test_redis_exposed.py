"""SEC001: what files publish, bind and name."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.redis_addresses import redis_addresses
from kiqdoctor.probes.config.redis_files import redis_files

OPEN = "ports: ['6379:6379']"
APP = "  app: {build: ., command: bundle exec sidekiq}\n"


def compose(redis: str, app: str = APP) -> dict[str, str]:
    return {"compose.yml": f"services:\n{app}  redis: {{image: 'redis:7', {redis}}}\n"}


def judged(root: Path, files: dict[str, str]) -> Result:
    found = tree(root, files)
    return diagnose("SEC001", HEALTHY.with_(redis_files.read(found), redis_addresses.read(found)))


def service(kind: str) -> dict[str, str]:
    return {"k/a.yaml": f"kind: Service\nmetadata: {{name: redis}}\nspec: {{type: {kind}, ports: [{{port: 6379}}]}}\n"}


def pod(kind: str, rest: str = "") -> dict[str, str]:
    """A service and what it leads to."""
    return {
        "k/a.yaml": f"kind: Service\nmetadata: {{name: redis}}\n"
        f"spec: {{type: {kind}, selector: {{app: r}}, ports: [{{port: 6379}}]}}\n",
        "k/b.yaml": "kind: StatefulSet\nmetadata: {name: redis}\nspec:\n  template:\n"
        f"    metadata: {{labels: {{app: r}}}}\n    spec: {{containers: [{{name: r, image: 'redis:7'{rest}}}]}}\n",
    }


def conf(lines: str, protected: str) -> dict[str, str]:
    return {"redis.conf": f"{lines}\nprotected-mode {protected}\n"}


def kamal(rest: str) -> dict[str, str]:
    return {"config/deploy.yml": f"service: a\naccessories:\n  redis: {{image: 'redis:7', host: h, {rest}}}\n"}


@pytest.mark.parametrize(
    ("fault", "severity", "twin"),
    [
        (compose(OPEN), "high", compose("ports: ['127.0.0.1:6379:6379']")),
        (compose("ports: ['0.0.0.0:7000:6379']"), "high", compose("ports: ['10.0.0.3:7000:6379']")),
        (
            compose("ports: [{target: 6379, published: 6379}]"),
            "high",
            compose("ports: [{target: 6379, published: 6379, host_ip: 127.0.0.1}]"),
        ),
        (compose(OPEN), "high", compose("ports: ['6379:6379'], command: redis-server --requirepass x")),
        (compose(OPEN), "high", compose("ports: ['6379']")),
        (compose("ports: ['${P:-6379}:6379']"), "high", compose("ports: ['${P:-127.0.0.1:5502}:6379']")),
        (compose("ports: ['${IP:-0.0.0.0}:6379:6379']"), "high", compose("ports: ['${IP:-127.0.0.1}:6379:6379']")),
        (compose(OPEN), "high", compose("expose: [6379]")),
        (compose(OPEN, ""), "medium", compose("ports: ['127.0.0.1:6379:6379']", "")),
        (
            compose(OPEN, APP.replace("}", ", volumes: ['.:/app']}")),
            "low",
            compose("expose: [6379]", APP.replace("}", ", volumes: ['.:/app']}")),
        ),
        (
            compose("network_mode: host"),
            "high",
            compose("network_mode: host, command: redis-server --bind 127.0.0.1"),
        ),
        (pod("LoadBalancer"), "high", pod("LoadBalancer", ", args: [--requirepass, $(P)]")),
        (pod("NodePort"), "high", pod("ClusterIP")),
        (
            pod("ClusterIP", ", ports: [{containerPort: 6379, hostPort: 6379}]"),
            "high",
            pod("ClusterIP", ", ports: [{containerPort: 6379}]"),
        ),
        (kamal("port: 6379"), "high", kamal("port: '127.0.0.1:6379:6379'")),
        (kamal("port: '0.0.0.0:7000:6379'"), "high", kamal("port: 6379, cmd: redis-server --requirepass x")),
        (kamal("options: {network: host}"), "high", kamal("port: 6379, env: {secret: [REDIS_PASSWORD]}")),
        (conf("bind 0.0.0.0", "no"), "high", conf("bind 127.0.0.1", "no")),
        (conf("bind *", "no"), "high", conf("bind *\nrequirepass x", "no")),
        (conf("", "no"), "high", conf("bind * -::*", "yes")),
        ({".env": "R=redis://u:pw@eu1.upstash.io:6379\n"}, "high", {".env": "R=rediss://u:pw@eu1.upstash.io\n"}),
        ({".env": "R=redis://8.8.8.8:6379/0\n"}, "high", {".env": "R=redis://10.8.8.8:6379/0\n#R=redis://8.8.8.8\n"}),
        ({".env": "R=redis://a.shop.net.co:6379\n"}, "high", {".env": "R=redis://redis.prod.svc.cluster.local\n"}),
    ],
)  # fmt: skip
def test_fault_and_twin(tmp_path: Path, fault: dict[str, str], severity: str, twin: dict[str, str]) -> None:
    ill, well = judged(tmp_path / "ill", fault), judged(tmp_path / "well", twin)

    assert [str(one.severity) for one in ill.findings] == [severity]
    assert "pw" not in str(ill.findings)
    assert well.outcome is Outcome.PASS, (well.reason, well.findings)


def test_what_a_load_balancer_opens_is_not_told_by_its_manifest(tmp_path: Path) -> None:
    assert judged(tmp_path, service("LoadBalancer")).outcome is Outcome.UNKNOWN
    assert judged(tmp_path, service("ClusterIP")).outcome is Outcome.PASS


def test_a_file_of_settings_that_is_not_here(tmp_path: Path) -> None:
    files = compose("ports: ['6379:6379'], command: redis-server /etc/redis.conf")

    assert judged(tmp_path, files).outcome is Outcome.UNKNOWN


def test_what_is_for_trials_by_its_path_is_passed_over(tmp_path: Path) -> None:
    [text] = compose("ports: ['6379:6379']").values()

    assert (
        judged(tmp_path, {"docker-compose.dev.yml": text, ".env.test": "R=redis://8.8.8.8\n"}).outcome is Outcome.PASS
    )


NAMES = "redis://r.acme.io:6379/0"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("k/w.yaml", "kind: ConfigMap\ndata:\n  REDIS_URL: URL\n"),
        ("k/w.yaml", "kind: Deployment\nspec:\n  env:\n  - {name: REDIS_URL, value: 'URL'}\n"),
        ("chart/values.yaml", "env:\n  REDIS_URL: URL  # theirs\n"),
        ("render.yaml", "services:\n- envVars:\n  - key: REDIS_URL\n    value: URL\n"),
        ("app.json", '{"env": {"REDIS_URL": {"value": "URL"}}}'),
        ("Dockerfile", "FROM ruby:3.3\nENV REDIS_URL=URL\n"),
        (".github/workflows/deploy.yml", "env:\n  REDIS_URL: URL\n"),
        ("bin/worker", "export REDIS_URL=URL\nexec bundle exec sidekiq\n"),
        ("shop/queue.py", "import redis\nclient = redis.from_url('URL')\n"),
        ("lib/queue.rb", "REDIS = Redis.new(url: ENV.fetch('REDIS_URL', 'URL'))\n"),
    ],
)
def test_an_address_is_found_where_it_may_stand(tmp_path: Path, path: str, text: str) -> None:
    [finding] = judged(tmp_path / "ill", {path: spelt(text)}).findings
    well = judged(tmp_path / "well", {path: spelt(text).replace("redis://", "rediss://")})

    assert (str(finding.severity), finding.finding.location is not None) == ("high", True)
    assert well.outcome is Outcome.PASS, (well.reason, well.findings)


HOSTED = "from redis import ConnectionPool, Redis\nimport os\nclient = {}\n"


@pytest.mark.parametrize(
    ("called", "twin"),
    [
        (
            "Redis(host='r.acme.io', port=6379, password=os.environ['P'])",
            "Redis(host='r.acme.io', port=6379, ssl=True)",
        ),
        ("Redis('r.acme.io', ssl=False)", "Redis('r.acme.io', ssl=os.environ['TLS'])"),
        ("Redis(host='r.acme.io')", "Redis(host='r.acme.io', **options)"),
        ("Redis(host='8.8.8.8')", "Redis(host='10.8.8.8')"),
        ("Redis(host='r.acme.io')", "Redis(host='redis')"),
        ("Redis(host='r.acme.io')", "Redis(host=os.environ.get('HOST', 'r.acme.io'))"),
        ("Redis(host='r.acme.io')", "Redis(host='r.acme.io', connection_pool=None)"),
        ("Redis(host='r.acme.io')", "Redis(host='r.queues.svc')"),
        ("ConnectionPool(host='r.acme.io')", "ConnectionPool(host='r.acme.io', connection_class=SSLConnection)"),
    ],
)
def test_a_host_that_a_client_in_python_is_handed(tmp_path: Path, called: str, twin: str) -> None:
    [finding] = judged(tmp_path / "ill", {"shop/queue.py": HOSTED.format(called)}).findings

    assert (str(finding.severity), finding.finding.location is not None) == ("high", True)
    assert judged(tmp_path / "well", {"shop/queue.py": HOSTED.format(twin)}).outcome is Outcome.PASS


def test_a_host_of_another_kind_of_pool(tmp_path: Path) -> None:
    text = "from urllib3 import ConnectionPool\nredis_docs = ConnectionPool(host='docs.acme.io')\n"

    assert judged(tmp_path, {"shop/queue.py": text}).outcome is Outcome.PASS


def spelt(text: str) -> str:
    """With the address, and the variable's name as it is."""
    return text.replace("_URL", "_U#L").replace("URL", NAMES).replace("_U#L", "_URL")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/queue.py", f'"""Opens one, as {NAMES}."""\n# {NAMES}\nHELP = "such as {NAMES}"\n'),
        ("shop/queue.py", f'"""{NAMES}"""\n'),
        ("lib/queue.rb", f"# {NAMES}\nputs 'e.g. {NAMES} or so'\n"),
        ("openapi.yml", f"description: an address as {NAMES} of a server\n"),
        (".env.example", f"REDIS_URL={NAMES}\n"),
        ("Dockerfile.dev", f"ENV REDIS_URL={NAMES}\n"),
        ("k/w.yaml", "kind: ConfigMap\ndata:\n  REDIS_URL: redis://redis.queues:6379/0\n"),
        ("chart/values.yaml", "env:\n  REDIS_URL: redis://redis.my-queues:6379/0\n"),
    ],
)
def test_prose_and_trials_name_nobody(tmp_path: Path, path: str, text: str) -> None:
    assert judged(tmp_path, {path: text}).outcome is Outcome.PASS
