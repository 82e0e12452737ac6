"""Configuration as teams write it: which role gets which Redis, and how many processes and threads run."""

from pathlib import Path

import pytest

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.deployment import Deployment
from kiqdoctor.doctor.facts.keyspace import Keyspace
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Snapshot
from kiqdoctor.probes.deployment.deployment import deployment
from kiqdoctor.probes.settings.redis_settings import redis_settings
from kiqdoctor.probes.tree.tree import Tree

BLOCKS = (
    "Sidekiq.configure_server do |config|\n  config.redis = {server}\nend\n"
    "Sidekiq.configure_client do |config|\n  config.redis = {client}\nend\n"
)


def tree(root: Path, **written: str) -> Path:
    for name, text in written.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def settings(root: Path) -> RedisSettings:
    found: RedisSettings = redis_settings.read(Tree(root))
    return found


def initializer(root: Path, text: str, **others: str) -> RedisSettings:
    return settings(tree(root, config__initializers__sidekiq_DOT_rb=text, **others))


def deployed(root: Path, **written: str) -> Deployment:
    found: Deployment = deployment.read(Tree(tree(root, **written)))
    return found


def split(found: RedisSettings) -> Outcome:
    snapshot = Snapshot.of(found).without(Keyspace, Absent("--static"))
    return diagnose("NSP001", snapshot).outcome


SAME = [
    ('{ url: ENV["REDIS_URL"] }', '{ url: ENV.fetch("REDIS_URL") }'),
    ('{ url: ENV["A"], namespace: "x" }', '{ :url => ENV["A"], :namespace => "x" }'),
    ('{ url: "redis://h:6379/2" }', '{ host: "h", port: 6379, db: 2 }'),
    ('{ url: "redis://u:p@h:6379/0" }', '{ url: "redis://h:6379" }'),
    ('{ namespace: "x" }', '{ namespace: "x", size: 9 }'),
    ('{ url: ENV["REDIS_URL"], size: 20 }', "{ size: 2 }"),
]
DIFFERENT = [
    ('{ namespace: "x" }', "{ }"),
    ('{ url: ENV["A"] }', '{ url: ENV["B"] }'),
    ('{ url: "redis://h/1" }', '{ url: "redis://h/2" }'),
    ('{ namespace: "x" }', '{ namespace: "y" }'),
    ('{ url: ENV["A"] }', '{ url: ENV["A"], db: 3 }'),
]


@pytest.mark.parametrize(("server", "client"), SAME)
def test_equal_however_it_is_written(tmp_path: Path, server: str, client: str) -> None:
    assert split(initializer(tmp_path, BLOCKS.format(server=server, client=client))) is Outcome.PASS


@pytest.mark.parametrize(("server", "client"), DIFFERENT)
def test_different(tmp_path: Path, server: str, client: str) -> None:
    assert split(initializer(tmp_path, BLOCKS.format(server=server, client=client))) is Outcome.FAIL


def test_one_constant_for_both(tmp_path: Path) -> None:
    text = 'REDIS = { url: ENV["X"], namespace: "x" }.freeze\n' + BLOCKS.format(server="REDIS", client="REDIS")

    assert split(initializer(tmp_path, text)) is Outcome.PASS


def test_a_constant_of_another_file(tmp_path: Path) -> None:
    found = initializer(
        tmp_path,
        BLOCKS.format(server="Conf::REDIS", client='{ url: ENV["X"] }'),
        lib__conf_DOT_rb='module Conf\n  REDIS = { url: ENV["X"] }\nend\n',
    )

    assert split(found) is Outcome.PASS


def test_one_method_for_both(tmp_path: Path) -> None:
    text = 'def redis_opts\n  { url: ENV["X"], db: 1 }\nend\n' + BLOCKS.format(server="redis_opts", client="redis_opts")

    assert split(initializer(tmp_path, text)) is Outcome.PASS
    assert settings(tmp_path).all[0].database == "1"


def test_a_hash_that_changes_between_the_blocks(tmp_path: Path) -> None:
    server, client = BLOCKS.format(server="cfg", client="cfg").split("Sidekiq.configure_client")
    text = f'cfg = {{ url: ENV["X"] }}\n{server}cfg[:db] = 1\nSidekiq.configure_client{client}'

    assert split(initializer(tmp_path, text)) is Outcome.FAIL
    assert split(initializer(tmp_path, text.replace("cfg[:db] = 1\n", ""))) is Outcome.PASS


def test_merge_and_splat(tmp_path: Path) -> None:
    text = 'BASE = { url: ENV["X"] }\n' + BLOCKS.format(server='BASE.merge(namespace: "x")', client="{ **BASE }")

    assert split(initializer(tmp_path, text)) is Outcome.FAIL


def test_a_pool_with_a_namespaced_client(tmp_path: Path) -> None:
    pool = 'ConnectionPool.new(size: 9) { Redis::Namespace.new("shop", redis: Redis.new(url: ENV["X"])) }'

    found = initializer(tmp_path, BLOCKS.format(server=pool, client='{ url: ENV["X"], namespace: "shop" }'))

    assert split(found) is Outcome.PASS
    assert found.all[0].pool_size == 9


def test_env_files_say_what_two_names_hold(tmp_path: Path) -> None:
    text = BLOCKS.format(server='{ url: ENV["A"] }', client='{ url: ENV["B"] }')

    same = initializer(tmp_path, text, _DOT_env="A=redis://:secret@h/1\nB=redis://h/1\n")

    assert split(same) is Outcome.PASS
    assert "secret" not in repr(same)


def test_branches_of_a_condition_belong_together(tmp_path: Path) -> None:
    one = BLOCKS.format(server='{ url: ENV["A"] }', client='{ url: ENV["A"] }')
    other = BLOCKS.format(server='{ url: "redis://localhost/5" }', client='{ url: "redis://localhost/5" }')

    assert split(initializer(tmp_path, f"if Rails.env.production?\n{one}else\n{other}end\n")) is Outcome.PASS


def test_only_one_block(tmp_path: Path) -> None:
    server = BLOCKS.format(server='{ namespace: "x" }', client="").split("Sidekiq.configure_client")[0]

    assert split(initializer(tmp_path, server)) is Outcome.FAIL


def test_words_in_comments_and_strings_are_nothing(tmp_path: Path) -> None:
    text = '# Sidekiq.configure_server { |c| c.redis = { namespace: "x" } }\nputs "Sidekiq.configure_client"\n'

    with pytest.raises(AbsenceError):
        initializer(tmp_path, text)


def test_python_settings_of_both_roles(tmp_path: Path) -> None:
    web = 'from kiqdoctor import configure\nconfigure(redis="redis://h/0", namespace="shop")\n'
    found = settings(tree(tmp_path, web_DOT_py=web))
    assert split(found) is Outcome.PASS

    worker = 'import kiqdoctor as kd\nkd.configure(redis="redis://h/0")\n'
    assert split(settings(tree(tmp_path, worker_DOT_py=worker))) is Outcome.FAIL


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        settings(tmp_path)
    with pytest.raises(AbsenceError):
        deployed(tmp_path)


@pytest.mark.parametrize("text", ["def (((", "\x00\x00", "x = [" * 3000, "\xff\xfe Sidekiq.configure_server"])
def test_broken_ruby_is_no_crash(tmp_path: Path, text: str) -> None:
    try:
        found = initializer(tmp_path, text + "\nSidekiq.configure_server { |c| c.redis = x.y(1) { 2 } }\n")
    except AbsenceError:
        return
    assert all(isinstance(one, RedisSetting) for one in found.all)


def test_sidekiq_yml_with_symbols_and_embedded_ruby(tmp_path: Path) -> None:
    yml = ":concurrency: 7\n:queues:\n  - [mail, 2]\n  - default\n<% if x %>\n:timeout: <%= 25 %>\n<% end %>\n"

    [worker] = deployed(tmp_path, config__sidekiq_DOT_yml=yml, Procfile="worker: bundle exec sidekiq\n").workers

    assert (worker.path, worker.concurrency, worker.queues, worker.processes) == (
        "Procfile",
        7,
        ("mail", "default"),
        None,
    )


def test_a_command_s_own_concurrency_wins(tmp_path: Path) -> None:
    found = deployed(
        tmp_path,
        config__sidekiq_DOT_yml="concurrency: 7\n",
        Procfile="web: bundle exec puma -w 2 -t 5:5\nworker: bundle exec sidekiq -c 3\nslow: sidekiq -c4\n",
        app_DOT_json='{"formation": {"worker": {"quantity": 4}, "slow": {"quantity": 1}}}',
    )

    assert [(one.concurrency, one.processes) for one in found.workers] == [(3, 4), (4, 1)]
    assert [(one.processes, one.threads) for one in found.webs] == [(2, 5)]


def test_kubernetes_replicas_and_surge(tmp_path: Path) -> None:
    text = """
apiVersion: apps/v1
kind: Deployment
spec:
  replicas: 6
  strategy: {rollingUpdate: {maxSurge: 1}}
  template: {spec: {containers: [{command: [bundle, exec], args: [sidekiq, -c, "12"]}]}}
"""
    found = deployed(tmp_path, deploy__worker_DOT_yaml=text)

    assert [(one.concurrency, one.processes) for one in found.workers] == [(12, 6)]
    assert found.surge


def test_compose_and_puma(tmp_path: Path) -> None:
    compose = 'services:\n  jobs:\n    command: sh -c "bundle exec sidekiq -c 8"\n    deploy: {replicas: 3}\n'
    puma = 'n = ENV.fetch("RAILS_MAX_THREADS") { 4 }\nthreads n, n\nworkers ENV.fetch("WEB_CONCURRENCY", 2)\n'

    found = deployed(tmp_path, docker_compose_DOT_yml="", config__puma_DOT_rb=puma)
    (tmp_path / "docker-compose.yml").write_text(compose)
    found = deployment.read(Tree(tmp_path))

    assert [(one.concurrency, one.processes) for one in found.workers] == [(8, 3)]
    assert [(one.processes, one.threads) for one in found.webs] == [(2, 4)]


def test_our_own_worker(tmp_path: Path) -> None:
    [worker] = deployed(tmp_path, Procfile="worker: kiqdoctor work shop.jobs -c 9\n").workers

    assert (worker.language, worker.concurrency) == ("python", 9)


def test_capsules_and_concurrency_in_code(tmp_path: Path) -> None:
    code = 'Sidekiq.configure_server do |config|\n  config.concurrency = 11\n  config.capsule("single") do |cap|\n'
    code += "    cap.concurrency = 1\n  end\nend\n"

    [worker] = deployed(tmp_path, config__initializers__s_DOT_rb=code, Procfile="w: sidekiq\n").workers

    assert (worker.concurrency, worker.capsules) == (11, (("single", 1),))


def test_broken_yaml_is_told(tmp_path: Path) -> None:
    found = deployed(tmp_path, config__sidekiq_DOT_yml="a: [1\n")

    assert found.unreadable[0][0] == "config/sidekiq.yml"
