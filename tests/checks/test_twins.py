"""Faults and their twins, one fact apart, as whole applications: what examining each by the command line says."""

import json
from pathlib import Path

import pytest
from trees import tree

from kiqdoctor.cli import run

RUBY = """--- Gemfile.lock
GEM
  remote: https://rubygems.org/
  specs:
    sidekiq (7.3.9)

DEPENDENCIES
  sidekiq
--- app/jobs/greet.rb
class Greet
  include Sidekiq::Job
  def perform(id); end
end
"""
DRAMATIQ = "--- requirements.txt\ndramatiq==1.17\n"
NETCDF = "--- jobs.py\nimport dramatiq, netCDF4\n@dramatiq.actor\ndef work(a): netCDF4.Dataset(a)\n"
MOUNT = RUBY + "--- config/routes.rb\nRails.application.routes.draw do\n%s\nend\n"
CAPSULES = """--- config/initializers/sidekiq.rb
Sidekiq.configure_server do |config|
  config.capsule("slow") { |cap| cap.queues = %w[slow QUEUE] }
end
"""
PIPFILE = '{"_meta": {"sha256": "a"}, "default": {"dramatiq": {"version": "==1.17"}NETCDF}, "develop": {DEVELOP}}\n'
LOCKED = '"netcdf4": {"version": "==1.7.2"}'
EXTENDING = """--- compose.yml
services:
  w:
    extends: {file: common.yml, service: base}
    command: bundle exec sidekiq
"""
ECS = """--- ecs/task.json
{"family": "w", "containerDefinitions": [
  {"name": "w", "command": ["bundle", "exec", "sidekiq", "-t", "60"], "stopTimeout": %s}
]}
"""
REDIS = """--- config/initializers/sidekiq.rb
def redis_opts = { url: ENV['A'] }
Sidekiq.configure_server { |c| c.redis = ONE }
Sidekiq.configure_client { |c| c.redis = OTHER }
"""
RECORD = """--- app/models/user.rb
class User < ApplicationRecord
  def go
    transaction { %s }
  end
end
"""
WAITING = """--- app/jobs/mail_job.rb
class MailJob < ActiveJob::Base
  self.enqueue_after_transaction_commit = WAITS
  def perform(id); end
end
"""
CELERY = """--- requirements.txt
celery==5.4
Django==5.0
--- tasks.py
from celery import shared_task
@shared_task
def greet(pk): pass
"""
MIXIN = """--- models.py
from django.db import models
from tasks import greet
class Greeting:
    def save(self):
        super().save()
        greet.delay(self.pk)
class User(Greeting, BASE): pass
"""
PREVIEW = {"COD001"}


def in_job(head: str, decorator: str, lock: str, tail: str = "") -> tuple[str, str]:
    """A job that asks a server, without a time-out and with one."""
    text = f"--- requirements.txt\n{lock}\n--- a.py\nimport requests\n{head}\n{decorator}def work(u): CALL\n{tail}"
    return text.replace("CALL", "requests.get(u)"), text.replace("CALL", "requests.get(u, timeout=3)")


def in_actor(head: str, fault: str, twin: str) -> tuple[str, str]:
    """An actor that does one or the other; where the twin does the same, its time-out is the fact."""
    text = f"{DRAMATIQ}--- a.py\nimport dramatiq\n{head}\n@dramatiq.actor\ndef work(a):\n    "
    return text.replace("TIME", "timeout=None") + fault, text.replace("TIME", "timeout=3") + (twin or fault)


def in_class(head: str, mixes: str, does: str = "OVER") -> tuple[str, str]:
    """A job's class that interrupts itself, and one that does not."""
    text = f"{RUBY}--- a.rb\n{head}class J\n  {mixes}\n  def perform(i)\n    {does}\n  end\nend\n"
    fault = text.replace("OVER", "Timeout.timeout(3) { i }").replace("LISTED", "Exception")
    return fault, text.replace("OVER", "[3].each { i }").replace("LISTED", "ArgumentError")


PAIRS = {
    "seeds leave in production": (
        "NSP006",
        "high",
        RUBY + "--- db/seeds.rb\nreturn if Rails.env.development?\nREDIS.flushall\n",
        RUBY + "--- db/seeds.rb\nreturn if Rails.env.production?\nREDIS.flushall\n",
    ),
    "a script leaves in production": (
        "NSP006",
        "high",
        RUBY + '--- bin/deploy\n[ "$RAILS_ENV" = test ] && exit 1\nredis-cli flushall\n',
        RUBY + '--- bin/deploy\n[ "$RAILS_ENV" = production ] && exit 1\nredis-cli flushall\n',
    ),
    "the else of a condition": (
        "NSP006",
        "low",
        RUBY + "--- shop/a.py\nif settings.DEBUG:\n    pass\nelse:\n    redis.flushdb()\n",
        RUBY + "--- shop/a.py\nif not settings.DEBUG:\n    raise SystemExit\nredis.flushdb()\n",
    ),
    "a method handed as a block": (
        "NSP006",
        "low",
        RUBY + "--- lib/tasks/a.rake\ntask(:a) { Sidekiq.redis(&:flushdb) }\n",
        RUBY + "--- lib/tasks/a.rake\ntask(:a) { Sidekiq.redis(&:ping) }\n",
    ),
    "compose extends another file": (
        "PRO010",
        "high",
        RUBY + "--- common.yml\nservices:\n  base: {build: ., stop_grace_period: 5s}\n" + EXTENDING,
        RUBY + "--- common.yml\nservices:\n  base: {build: ., stop_grace_period: 50s}\n" + EXTENDING,
    ),
    "a prefix of nginx before its patterns": (
        "WEB002",
        "medium",
        MOUNT % "mount Sidekiq::Web => '/sidekiq'"
        + "--- ops/nginx.conf\nlocation /sidekiq { proxy_pass http://a; }\nlocation ~* \\.(css|js)$ { root /x; }\n",
        MOUNT % "mount Sidekiq::Web => '/sidekiq'"
        + "--- ops/nginx.conf\nlocation ^~ /sidekiq { proxy_pass http://a; }\nlocation ~* \\.(css|js)$ { root /x; }\n",
    ),
    "production is nobody who asks": (
        "WEB001",
        "medium",
        MOUNT % "mount Sidekiq::Web => '/s' if Rails.env.production?",
        MOUNT % "mount Sidekiq::Web => '/s' if Rails.env.development?",
    ),
    "a global that stands for the environment": (
        "COD007",
        "high",
        DRAMATIQ + "--- a.py\nimport dramatiq, os\nenv = os.environ\n@dramatiq.actor\ndef work(tz): env['TZ'] = tz\n",
        DRAMATIQ + "--- a.py\nimport dramatiq, os\nenv = {}\n@dramatiq.actor\ndef work(tz): env['TZ'] = tz\n",
    ),
    "Python that asks a server for processes": (
        "COD008",
        "high",
        DRAMATIQ + "--- .python-version\n3.13.1\n--- a.py\nimport dramatiq\nimport multiprocessing as mp\n"
        "@dramatiq.actor\ndef work(a): mp.Pool(2)\n",
        DRAMATIQ + "--- .python-version\n3.14.0\n--- a.py\nimport dramatiq\nimport multiprocessing as mp\n"
        "@dramatiq.actor\ndef work(a): mp.Pool(2)\n",
    ),
    "two capsules of an initializer": (
        "PKG002",
        "high",
        RUBY.replace("7.3.9", "8.1.2") + CAPSULES.replace("QUEUE", "default"),
        RUBY.replace("7.3.9", "8.1.6") + CAPSULES.replace("QUEUE", "default"),
    ),
    "a release before the first": (
        "PKG002",
        "high",
        RUBY.replace("7.3.9", "7.0.0.beta1"),
        RUBY,
    ),
    "what Active Resource keeps": (
        "PKG001",
        "high",
        RUBY.replace("    sidekiq", "    activeresource (4.0.0)\n    sidekiq")
        + "--- a.rb\nclass Api < ActiveResource::Base; end\nclass J\n  include Sidekiq::Job\n"
        "  def perform(i) = Api.site = i\nend\n",
        RUBY.replace("    sidekiq", "    activeresource (4.1.0)\n    sidekiq")
        + "--- a.rb\nclass Api < ActiveResource::Base; end\nclass J\n  include Sidekiq::Job\n"
        "  def perform(i) = Api.site = i\nend\n",
    ),
    "Pipfile.lock": (
        "PKG001",
        "critical",
        NETCDF + "--- Pipfile.lock\n" + PIPFILE.replace("NETCDF", f", {LOCKED}").replace("DEVELOP", ""),
        NETCDF + "--- Pipfile.lock\n" + PIPFILE.replace("NETCDF", "").replace("DEVELOP", LOCKED),
    ),
    "pylock.toml": (
        "PKG001",
        "critical",
        NETCDF + '--- pylock.toml\nlock-version = "1.0"\n[[packages]]\nname = "netcdf4"\nversion = "1.6.1"\n',
        NETCDF + '--- pylock.toml\nlock-version = "1.0"\n[[packages]]\nname = "netcdf4"\nversion = "1.6.0"\n',
    ),
    "packages of a folder below": (
        "PKG001",
        "critical",
        NETCDF + "--- services/worker/requirements.txt\ndramatiq==1.17\nnetCDF4==1.6.1\n",
        NETCDF + "--- services/worker/requirements.txt\ndramatiq==1.17\nnetCDF4==1.6.0\n",
    ),
    "a condition that only names a device": (
        "NSP006",
        "medium",
        RUBY + "--- bin/wipe\nx=$(ls 2>/dev/null) || exit 1\nif ls 2>/dev/null; then\n  redis-cli flushdb\nfi\n",
        RUBY + '--- bin/wipe\nif [ "$RAILS_ENV" != production ]; then\n  redis-cli flushdb\nfi\n',
    ),
    "a flag in a script": (
        "CFG002",
        "medium",
        RUBY + "--- bin/start\nbundle exec sidekiq -e production -d\n",
        RUBY + "--- bin/start\nbundle exec sidekiq -e production\n",
    ),
    "Capistrano's symbols": (
        "CFG002",
        "medium",
        RUBY + "--- config/deploy.rb\ntask(:quiet) { execute :bundle, :exec, :sidekiqctl, 'quiet' }\n",
        RUBY + "--- config/deploy.rb\ntask(:quiet) { execute :systemctl, 'reload', 'sidekiq' }\n",
    ),
    "a task of ECS": (
        "PRO010",
        "high",
        RUBY + ECS % 30,
        RUBY + ECS % 90,
    ),
    "options of an endless method": (
        "NSP001",
        "critical",
        RUBY + REDIS.replace("ONE", "redis_opts").replace("OTHER", "{ url: ENV['A'], db: 1 }"),
        RUBY + REDIS.replace("ONE", "redis_opts").replace("OTHER", "redis_opts"),
    ),
    "a resource of boto3": (
        "COD005",
        "high",
        DRAMATIQ
        + "--- a.py\nimport boto3, dramatiq\nS3 = boto3.resource('s3')\n@dramatiq.actor\ndef work(a): S3.Bucket(a)\n",
        DRAMATIQ
        + "--- a.py\nimport boto3, dramatiq\nS3 = boto3.client('s3')\n@dramatiq.actor\ndef work(a): S3.get(a)\n",
    ),
    "what a context suppresses": (
        "COD009",
        "high",
        *in_actor(
            "from contextlib import suppress", "with suppress(BaseException): a()", "with suppress(OSError): a()"
        ),
    ),
    "a constant that is rescued": (
        "COD009",
        "high",
        *in_class("ALL = [LISTED, IOError].freeze\n", "include Sidekiq::Job", "begin; i.call; rescue *ALL; nil; end"),
    ),
    "a partial of a request": (
        "COD010",
        "medium",
        *in_actor("import requests\nfrom functools import partial\nask = partial(requests.get, TIME)", "ask(a)", ""),
    ),
    "a client that waits for ever": (
        "COD010",
        "medium",
        *in_actor("import redis\nR = redis.Redis(socket_TIME)", "R.get(a)", ""),
    ),
    "a pool of Redis": (
        "COD012",
        "high",
        *in_actor(
            "import redis\nP = redis.ConnectionPool()", "P.disconnect()", "redis.Redis(connection_pool=P).get(a)"
        ),
    ),
    "eager where nothing is debugged": (
        "CFG004",
        "critical",
        CELERY + "--- settings.py\nDEBUG = False\nCELERY_TASK_ALWAYS_EAGER = not DEBUG\n",
        CELERY + "--- settings.py\nDEBUG = False\nCELERY_TASK_ALWAYS_EAGER = DEBUG\n",
    ),
    "a pool that the address asks for": (
        "DBC001",
        "high",
        RUBY + "--- config/sidekiq.yml\n:concurrency: 10\n"
        "--- config/database.yml\nproduction:\n  url: postgres://h/x?pool=5\n",
        RUBY + "--- config/sidekiq.yml\n:concurrency: 10\n"
        "--- config/database.yml\nproduction:\n  url: postgres://h/x?pool=15\n",
    ),
    "the Ruby of a lock": (
        "PKG003",
        "medium",
        RUBY + "--- gems.locked\nGEM\n  specs:\n\nRUBY VERSION\n   ruby 2.6.10p210\n",
        RUBY + "--- gems.locked\nGEM\n  specs:\n\nRUBY VERSION\n   ruby 3.4.2p100\n",
    ),
    "a list of what a gem requires": (
        "CFG004",
        "critical",
        RUBY + "--- Gemfile\ngem 'a', require: ['sidekiq/testing']\n",
        RUBY + "--- Gemfile\ngem 'a', require: ['sidekiq/testing'], group: :test\n",
    ),
    "Django's tasks": ("COD010", "medium", *in_job("from django.tasks import task", "@task()\n", "Django==6.0")),
    "arq's settings": (
        "COD010",
        "medium",
        *in_job("", "", "arq==0.26", "class WorkerSettings:\n    functions = [work]\n"),
    ),
    "an actor of the same name": (
        "COD010",
        "medium",
        *in_job("import dramatiq", "", "dramatiq==1.17", "work = dramatiq.actor(work)\n"),
    ),
    "what is prepended": (
        "COD004",
        "high",
        *in_class("module A\n  def perform(i)\n    OVER\n  end\nend\n", "include Sidekiq::Job; prepend A", "i"),
    ),
    "a delay of nothing": (
        "COD001",
        "high",
        RUBY + RECORD % "Greet.perform_in(0, id)",
        RUBY + RECORD % "after_commit { Greet.perform_in(0, id) }",
    ),
    "mail in a transaction": (
        "COD001",
        "high",
        RUBY + RECORD % "HelloMailer.hi(self).deliver_later",
        RUBY + RECORD % "HelloMailer.hi(self).deliver_now",
    ),
    "jobs that wait for the commit": (
        "COD001",
        "high",
        RUBY + WAITING.replace("WAITS", "false") + RECORD % "MailJob.perform_later(id)",
        RUBY + WAITING.replace("WAITS", "true") + RECORD % "MailJob.perform_later(id)",
    ),
    "what models mix in": (
        "COD001",
        "low",
        CELERY + MIXIN.replace("BASE", "models.Model"),
        CELERY + MIXIN.replace("BASE", "object"),
    ),
    "what a module's hook includes": (
        "COD004",
        "high",
        *in_class(
            "module Jobby\n  def self.included(base)\n    base.include Sidekiq::Job\n  end\nend\n", "include Jobby"
        ),
    ),
    "packages of developers": (
        "PKG001",
        "critical",
        NETCDF + DRAMATIQ + "--- requirements-prod.txt\nnetCDF4==1.7.2\n",
        NETCDF + DRAMATIQ + "--- requirements-dev.txt\nnetCDF4==1.7.2\n",
    ),
}


def examined(folder: Path, text: str, rule: str) -> tuple[int, str, list[str]]:
    """The exit status, the rule's outcome and the severities of what it found."""
    files = dict(part.split("\n", 1) for part in text.split("--- ")[1:])
    tree(folder / "app", files)
    words = ["check", str(folder / "app"), "--static", "--isolated", "--select", rule, "--format", "json"]
    status = run([*words, "--output", str(folder / "report.json")])
    [result] = json.loads((folder / "report.json").read_text())["results"]
    return status, result["outcome"], [one["severity"] for one in result["findings"]]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_fault_is_told_and_its_twin_is_not(tmp_path: Path, pair: tuple[str, str, str, str]) -> None:
    rule, severity, fault, twin = pair

    status, outcome, severities = examined(tmp_path / "fault", fault, rule)

    assert (outcome, severity in severities) == ("fail", True)
    assert status == (severity in {"critical", "high"} and rule not in PREVIEW)
    assert examined(tmp_path / "twin", twin, rule) == (0, "pass", [])
