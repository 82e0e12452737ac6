"""DBC001: pools against threads, and all of them against the server."""

from dataclasses import replace
from pathlib import Path

import pytest
from healthy import HEALTHY
from healthy.code import CODE
from healthy.fleet import WORKER
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Argument, Call, Calls, Shape
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.tools import Settings
from kiqdoctor.probes.database.pools import pools

YML = "default: &default\n  adapter: postgresql\n  pool: %s\nproduction:\n  <<: *default\n  database: shop\n"


def judged(root: Path, files: dict[str, str], limit: int | None = None, *facts: object) -> Result:
    found = pools.read(tree(root, files), Settings(db_limit=limit))
    locked = Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"),))
    return diagnose("DBC001", HEALTHY.with_(found, locked, *facts))


@pytest.mark.parametrize(
    ("pool", "command", "outcome"),
    [
        ("5", "sidekiq -c 10", Outcome.FAIL),
        ("10", "sidekiq -c 10", Outcome.PASS),
        ("<%= ENV.fetch('DB_POOL', 5) %>", "sidekiq -c 10", Outcome.FAIL),
        ("<%= ENV.fetch('DB_POOL', 5) %>", "DB_POOL=10 sidekiq -c 10", Outcome.PASS),
        ("<%= ENV.fetch('RAILS_MAX_THREADS') { 5 } %>", "RAILS_MAX_THREADS=9 sidekiq", Outcome.PASS),
        ("<%= ENV.fetch('RAILS_MAX_THREADS') { 5 } %>", "RAILS_MAX_THREADS=9 sidekiq -c 12", Outcome.FAIL),
        ("<%= Config.pool %>", "sidekiq -c 10", Outcome.UNKNOWN),
    ],
)
def test_a_worker_s_pool(tmp_path: Path, pool: str, command: str, outcome: Outcome) -> None:
    result = judged(tmp_path, {"config/database.yml": YML % pool, "Procfile": f"w: {command}"})

    assert result.outcome is outcome, (result.reason, result.findings)
    assert all(one.severity == "high" for one in result.findings)


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ('append :linked_files, "config/database.yml"', Outcome.UNKNOWN),
        ("set :linked_files, %w[\n  config/secrets.yml\n  config/database.yml\n]", Outcome.UNKNOWN),
        ("set :linked_files, %w[config/secrets.yml]\n# config/database.yml is ours", Outcome.FAIL),
        ('# append :linked_files, "config/database.yml"', Outcome.FAIL),
        ('set :linked_dirs, %w[log]\nupload! "config/database.yml"', Outcome.FAIL),
    ],
)
def test_a_file_in_whose_place_the_server_s_own_is_put(tmp_path: Path, line: str, outcome: Outcome) -> None:
    files = {"config/database.yml": YML % 5, "config/deploy.rb": f"{line}\n", "Procfile": "w: sidekiq -c 10\n"}

    assert judged(tmp_path, files).outcome is outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("ENV['DATABASE_URL'] = \"#{url}?pool=25\"", Outcome.UNKNOWN),
        ("c['pool'] = 25", Outcome.UNKNOWN),
        ("ActiveRecord::Base.establish_connection(config)", Outcome.UNKNOWN),
        ("ActiveRecord::Base.establish_connection", Outcome.FAIL),
        ("# c['pool'] = 25", Outcome.FAIL),
        ("config.redis = { url: x }", Outcome.FAIL),
    ],
)
def test_what_a_worker_sets_when_it_boots_is_not_in_the_file(tmp_path: Path, line: str, outcome: Outcome) -> None:
    ruby = f"Sidekiq.configure_server do |config|\n  {line}\nend\n"
    files = {"config/database.yml": YML % 5, "Procfile": "w: sidekiq -c 10", "config/initializers/a.rb": ruby}

    assert judged(tmp_path, files).outcome is outcome


def test_the_address_says_another_pool(tmp_path: Path) -> None:
    compose = (
        "services:\n  w: {image: shop, command: sidekiq -c 10, environment: {DATABASE_URL: 'postgres://d/x?pool=%s'}}\n"
    )
    files = {"config/database.yml": YML % 5}

    assert judged(tmp_path, {**files, "compose.yml": compose % 10}).outcome is Outcome.PASS
    assert judged(tmp_path, {**files, "compose.yml": compose % 6}).outcome is Outcome.FAIL


def test_what_nobody_says_is_five(tmp_path: Path) -> None:
    files = {"config/database.yml": "production: {adapter: mysql2}\n", "Procfile": "w: sidekiq -c 6"}

    [finding] = judged(tmp_path, files).findings

    assert "6 threads of a worker share 5 database connections by default" in finding.finding.title
    assert judged(tmp_path, {**files, "Procfile": "w: sidekiq"}).outcome is Outcome.PASS


def test_capsules_come_to_the_threads(tmp_path: Path) -> None:
    files = {"config/database.yml": YML % 5, "Procfile": "w: sidekiq"}
    capsule = {"config/sidekiq.yml": "concurrency: 5\ncapsules: {bulk: {concurrency: 2, queues: [a]}}\n"}

    assert judged(tmp_path, {**files, **capsule}).outcome is Outcome.FAIL
    assert judged(tmp_path, {**files, "config/sidekiq.yml": "concurrency: 5\n"}).outcome is Outcome.PASS


COMPOSE = """services:
  jobs: {command: sidekiq -c 10, deploy: {replicas: %s}}
  db: {image: 'postgres:16', command: postgres -c max_connections=%s}
"""


@pytest.mark.parametrize(("replicas", "limit", "outcome"), [(3, 30, Outcome.FAIL), (3, 34, Outcome.PASS)])
def test_all_together(tmp_path: Path, replicas: int, limit: int, outcome: Outcome) -> None:
    compose = COMPOSE % (replicas, limit)

    assert judged(tmp_path, {"config/database.yml": YML % 10, "compose.yml": compose}).outcome is outcome


def test_the_limit_that_somebody_names_wins(tmp_path: Path) -> None:
    files = {"config/database.yml": YML % 10, "compose.yml": COMPOSE % (3, 1000)}

    assert judged(tmp_path, files, 20).outcome is Outcome.FAIL
    assert judged(tmp_path, files).outcome is Outcome.PASS


def test_a_plan_orders_the_limit(tmp_path: Path) -> None:
    files = {"config/database.yml": YML % 20, "Procfile": "w: sidekiq -c 20"}
    formation = '{"addons": ["heroku-postgresql:%s"], "formation": {"w": {"quantity": 2}}}'

    assert judged(tmp_path, {**files, "app.json": formation % "essential-0"}).outcome is Outcome.FAIL
    assert judged(tmp_path, {**files, "app.json": formation % "standard-0"}).outcome is Outcome.PASS


def test_a_plan_is_not_of_a_production_that_is_elsewhere(tmp_path: Path) -> None:
    plan = {"app.json": '{"addons": ["heroku-postgresql"]}'}
    services = "services:\n  w: {image: shop, command: celery -A shop worker --pool threads -c 20}\n"

    here = judged(tmp_path / "a", {"Procfile": "w: celery -A shop worker --pool threads -c 20", **plan})
    elsewhere = judged(tmp_path / "b", {"docker-compose.prod.yml": services, **plan})

    assert here.outcome is not Outcome.PASS
    assert elsewhere.outcome is Outcome.PASS, (elsewhere.reason, elsewhere.findings)


def test_how_many_run_is_needed_with_a_limit(tmp_path: Path) -> None:
    files = {"config/database.yml": YML % 10, "Procfile": "w: sidekiq -c 10"}

    assert judged(tmp_path, files, 100).outcome is Outcome.UNKNOWN


def test_a_pooler_has_a_limit_of_its_own(tmp_path: Path) -> None:
    files = {"config/database.yml": YML % 10, "compose.yml": COMPOSE % (30, 100), "pgbouncer.ini": "[pgbouncer]\n"}

    assert judged(tmp_path, files).outcome is Outcome.PASS


def engine(**arguments: str) -> Calls:
    given = tuple(Argument(name, Shape.NUMBER, text) for name, text in arguments.items())
    return Calls((Call(0, 3, 1, "sqlalchemy.create_engine", given),))


@pytest.mark.parametrize(
    ("calls", "limit", "outcome"),
    [
        (engine(), 11, Outcome.FAIL),
        (engine(), 12, Outcome.PASS),
        (engine(pool_size="2", max_overflow="0"), 100, Outcome.FAIL),
        (engine(pool_size="2", max_overflow="8"), 100, Outcome.PASS),
        (engine(pool_size="0"), 100, Outcome.UNKNOWN),
    ],
)
def test_engines_of_sqlalchemy(tmp_path: Path, calls: Calls, limit: int, outcome: Outcome) -> None:
    compose = "services: {jobs: {command: kiqdoctor work shop -c 10}}\n"

    assert judged(tmp_path, {"compose.yml": compose}, limit, CODE, calls).outcome is outcome


def test_django_s_pool(tmp_path: Path) -> None:
    settings = 'DATABASES = {"default": {"OPTIONS": {"pool": {"max_size": %s}}}}\n'
    compose = {"compose.yml": "services: {jobs: {command: kiqdoctor work shop -c 8}}\n"}

    assert judged(tmp_path, {"shop/settings.py": settings % 3, **compose}).outcome is Outcome.FAIL
    assert judged(tmp_path, {"shop/settings.py": settings % 8, **compose}).outcome is Outcome.PASS


def beating(*told: tuple[str, int]) -> Fleet:
    each = [replace(WORKER, identity=f"{tag}-{n}:1:aa", tag=tag, concurrency=n) for tag, n in told]
    return Fleet(tuple(each), len(each))


@pytest.mark.parametrize(
    ("pool", "fleet", "outcome"),
    [
        ("5", beating(("shop", 15)), Outcome.FAIL),
        ("15", beating(("shop", 15)), Outcome.PASS),
        ("5", beating(("shop", 5), ("shop", 15)), Outcome.FAIL),
        ("5", beating(("shop", 5), ("mail", 15)), Outcome.UNKNOWN),  # whose of the two it is
        ("5", beating(("shop", 10), ("mail", 15)), Outcome.FAIL),
        ("<%= ENV.fetch('RAILS_MAX_THREADS') { 5 } %>", beating(("shop", 15)), Outcome.UNKNOWN),
    ],
)
def test_where_no_file_starts_a_worker_live_ones_tell(
    tmp_path: Path, pool: str, fleet: Fleet, outcome: Outcome
) -> None:
    assert judged(tmp_path, {"config/database.yml": YML % pool}, None, fleet).outcome is outcome


def test_a_file_that_starts_a_worker_wins(tmp_path: Path) -> None:
    files = {"config/database.yml": YML % 5, "Procfile": "w: sidekiq -c 5"}

    assert judged(tmp_path, files, None, beating(("shop", 15))).outcome is Outcome.PASS
