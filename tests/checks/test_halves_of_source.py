"""What checks of what lives say of source alone: DBC003, DBC004, CFG003, WEB004, SEC002, THR004; nothing lives."""

from pathlib import Path

import pytest
from judging import read

GEMS = "GEM\n  remote: https://rubygems.org/\n  specs:\n{}\nDEPENDENCIES\n  sidekiq\n"
LOCK = {"Gemfile.lock": GEMS.format("    sidekiq (7.3.2)\n")}
ACTOR = "import dramatiq\n{head}@dramatiq.actor\ndef go(i):\n{body}"


def actor(body: str, head: str = "") -> dict[str, str]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return {"requirements.txt": "dramatiq==1.17.0\n", "app/jobs.py": ACTOR.format(head=head, body=lines)}


def performing(body: str, **files: str) -> dict[str, str]:
    text = f"class HardJob\n  include Sidekiq::Job\n{body}end\n"
    return {**LOCK, "app/jobs/hard_job.rb": text, **files}


MONGO = "from pymongo import MongoClient as MC\nimport functools\nC = MC('x')\n"
SESSION = (
    "from sqlalchemy import orm, create_engine\n"
    "S = orm.scoped_session(orm.sessionmaker(create_engine('postgresql://x')))\n"
)
MODEL = "from django.db import models, close_old_connections\nclass Report(models.Model):\n    pass\n"
DJANGO = {"requirements.txt": "dramatiq==1.17.0\nDjango==5.1.0\n"}
LOGS = "import logging\nlog = logging.getLogger()\ndef login(user, password):\n    log.info({})\n"
TAGGED = "  sidekiq_options tags: ['critical']\n  def perform(id)\n  end\n"
SERVER = "Sidekiq.configure_server {{ |c| c.redis = {{ url: 'redis://jobs:6379/0' }} }}\n{}\n"
UI = "Sidekiq.configure_client {{ |c| c.redis = {{ url: 'redis://{}:6379/0' }} }}\nrun Sidekiq::Web\n"
FORK = "import multiprocessing\n"

PAIRS = {
    "DBC004, in the job": ("DBC004", actor("MC('x').d.c.find()", MONGO), actor("C.d.c.find()", MONGO), "high"),
    "DBC004, by a property": (
        "DBC004",
        actor("R().d.c.find()", f"{MONGO}class R:\n    @property\n    def d(self):\n        return MC('x').d\n"),
        actor(
            "R().d.c.find()", f"{MONGO}class R:\n    @functools.cached_property\n    def d(self):\n        return C.d\n"
        ),
        "high",
    ),
    "DBC004, behind a cache": (
        "DBC004",
        actor("c().d.c.find()", f"{MONGO}def c():\n    return MC('x')\n"),
        actor("c().d.c.find()", f"{MONGO}@functools.cache\ndef c():\n    return MC('x')\n"),
        "high",
    ),
    "DBC004, in Ruby": (
        "DBC004",
        performing("  def perform(id)\n    Mongo::Client.new('x')[:a].find\n  end\n"),
        performing("  C = Mongo::Client.new('x')\n  def perform(id)\n    C[:a].find\n  end\n"),
        "high",
    ),
    "DBC004, an old Mongoid": (
        "DBC004",
        performing(TAGGED) | {"Gemfile.lock": GEMS.format("    mongoid (3.1.7)\n    sidekiq (5.2.10)\n")},
        performing(TAGGED) | {"Gemfile.lock": GEMS.format("    mongoid (7.1.7)\n    sidekiq (5.2.10)\n")},
        "high",
    ),
    "DBC003, Django's ORM": (
        "DBC003",
        actor("Report.objects.get(pk=i)", MODEL.replace(", close_old_connections", "")) | DJANGO,
        actor("close_old_connections()\nReport.objects.get(pk=i)", MODEL) | DJANGO,
        "low",
    ),
    "DBC003, a scoped session": (
        "DBC003",
        actor("s = S()\ns.execute('x')", SESSION),
        actor("s = S()\ns.execute('x')\nS.remove()", SESSION),
        "low",
    ),
    "SEC002, a password is logged": (
        "SEC002",
        actor("login(i, i)", LOGS.format("f'{user} {password}'")),
        actor("login(i, i)", LOGS.format("f'{user} {len(password)}'")),
        "medium",
    ),
    "SEC002, a password is handed over": (
        "SEC002",
        actor("print(1)") | {"app/api.py": "from app.jobs import go\ndef start(password):\n    go.send(password)\n"},
        actor("print(1)")
        | {"app/api.py": "from app.jobs import go\ndef start(password_id):\n    go.send(password_id)\n"},
        "medium",
    ),
    "SEC002, all arguments are logged": (
        "SEC002",
        performing('  def perform(*args)\n    logger.info("with #{args}")\n  end\n'),
        performing('  def perform(*args)\n    logger.info("with #{args.size}")\n  end\n'),
        "low",
    ),
    "CFG003, a critical job": (
        "CFG003",
        performing(TAGGED),
        performing(TAGGED)
        | {"config/initializers/s.rb": "Sidekiq.configure_server do |config|\n  config.super_fetch!\nend\n"},
        "low",
    ),
    "WEB004, another address": (
        "WEB004",
        performing(TAGGED) | {"config/initializers/s.rb": SERVER.format(""), "ui/config.ru": UI.format("other")},
        performing(TAGGED) | {"config/initializers/s.rb": SERVER.format(""), "ui/config.ru": UI.format("jobs")},
        "high",
    ),
    "THR004, a fork in a job": (
        "THR004",
        actor("multiprocessing.Pool(2)", FORK),
        actor("multiprocessing.get_context('spawn').Pool(2)", FORK),
        "high",
    ),
}


@pytest.mark.parametrize(("check", "fault", "twin", "severity"), PAIRS.values(), ids=PAIRS)
def test_a_fault_and_its_twin(
    tmp_path: Path, check: str, fault: dict[str, str], twin: dict[str, str], severity: str
) -> None:
    ill = read(check, tmp_path / "ill", fault)

    assert [one.severity for one in ill.findings] == [severity]
    assert read(check, tmp_path / "well", twin).outcome.value in {"pass", "not-applicable"}


def test_a_client_that_each_job_s_own_process_builds_is_no_leak(tmp_path: Path) -> None:
    head = "from rq.decorators import job\nfrom pymongo import MongoClient\n"
    text = f"{head}@job('x')\ndef go(i):\n    MongoClient('x').d\n"

    found = read("DBC004", tmp_path, {"requirements.txt": "rq==1.16.0\npymongo==4.6\n", "app/jobs.py": text})

    assert not found.findings


def test_rails_own_configure_is_no_condition(tmp_path: Path) -> None:
    text = "Rails.application.configure do\n  config.active_job.queue_adapter = :inline\nend\n"

    found = read("CFG004", tmp_path, performing(TAGGED) | {"config/environments/production.rb": text})

    assert [one.severity for one in found.findings] == ["high"]


@pytest.mark.parametrize(
    "files",
    [
        performing("  def perform(id)\n    storage.bucket.objects.each { |one| one.delete }\n  end\n"),
        actor("boto3.resource('s3').Bucket('x').objects.all()", "import boto3\n") | DJANGO,
        actor("User.objects.get(pk=i)", "from mongoengine import Document\nclass User(Document):\n    pass\n"),
    ],
    ids=["a bucket in Ruby", "a bucket in Python", "documents of MongoDB"],
)
def test_not_all_that_has_objects_is_django_s(tmp_path: Path, files: dict[str, str]) -> None:
    assert not read("DBC003", tmp_path, files).findings
