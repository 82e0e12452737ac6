"""COD001: the catalogue's examples, each as written, re-indented, renamed, aliased and moved one call away."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from healthy import HEALTHY
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome, Result


@dataclass(frozen=True)
class Spelling:
    """One way to write the same: the job's name, what is in front, how it is enqueued, how deep lines stand."""

    name: str
    job: str = "WelcomeJob"
    tx: str = "transaction"
    head: str = ""
    call: str = "WelcomeJob.perform_async({0})"
    tail: str = ""
    indent: str = "  "

    def write(self, example: str) -> str:
        lines = example.replace("TX", self.tx).split("\n")
        spelt = "\n".join(self._line(line) for line in lines)
        return f"{self.head}\n{spelt}\n{self.tail}\n"

    def _line(self, line: str) -> str:
        bare = line.lstrip(" ")
        before, found, after = bare.partition("ENQUEUE(")
        if found:
            argument, _, rest = after.partition(")ENQUEUED")
            bare = before + self.call.format(argument) + rest
        depth = (len(line) - len(line.lstrip(" "))) // 2
        return self.indent * depth + bare.replace("JOB", self.job)


DJANGO = "from django.db import transaction\n"
DEFINED = "from kiqdoctor import job\n@job\ndef {0}(id): pass\n"
PYTHON = [
    Spelling("as written", head=DJANGO + DEFINED.format("WelcomeJob")),
    Spelling("re-indented", head=DJANGO + DEFINED.format("WelcomeJob"), indent="\t"),
    Spelling("renamed", job="x1", call="x1.perform_async({0})", head=DJANGO + DEFINED.format("x1")),
    Spelling(
        "aliased",
        job="W",
        tx="db_tx",
        head="from django.db import transaction as db_tx\nfrom jobs import WelcomeJob as W\n",
        call="W.perform_async({0})",
    ),
    Spelling(
        "moved",
        head=DJANGO + DEFINED.format("WelcomeJob"),
        call="away({0})",
        tail="def away(x): WelcomeJob.perform_async(x)\n",
    ),
]
SQL = "from sqlalchemy.orm import sessionmaker\nSession = sessionmaker()\n"
SIGNAL = "from django.dispatch import receiver\nfrom django.db.models.signals import post_save\n"
FAULTS = {
    "P1": "@TX.atomic\ndef create(r):\n  u = User.objects.create(); notify(u)\ndef notify(u): ENQUEUE(u.pk)ENQUEUED",
    "P2": f"{SQL}def web(o):\n  with Session.begin() as s:\n    s.add(o); s.flush()\n    ENQUEUE(o.id)ENQUEUED",
    "P3": f"{SIGNAL}@receiver(post_save, sender=User)\ndef h(sender, instance, **k): ENQUEUE(instance.pk)ENQUEUED",
    "N2, whose caller is atomic": (
        "@TX.atomic\ndef outer(u): inner(u)\ndef inner(u):\n  with TX.atomic():\n    u.save()\n  ENQUEUE(u.pk)ENQUEUED"
    ),
}
TWINS = {
    "N1": (
        "import functools\ndef web(u):\n  with TX.atomic():\n    u.save()\n"
        "    TX.on_commit(functools.partial(JOB.perform_async, u.pk))"
    ),
    "N1, a lambda": "def web(u):\n  with TX.atomic():\n    TX.on_commit(lambda: ENQUEUE(u.pk)ENQUEUED)",
    "N2": "def web(u):\n  with TX.atomic():\n    u.save()\n  ENQUEUE(u.pk)ENQUEUED",
    "N3": 'def web(resp, event):\n  with TX.atomic():\n    resp.send(b"x"); event.delay = 3',
}


def crossed(examples: dict[str, str], spellings: list[Spelling]) -> dict[str, str]:
    return {f"{name}, {how.name}": how.write(one) for name, one in examples.items() for how in spellings}


F, T = crossed(FAULTS, PYTHON), crossed(TWINS, PYTHON)


def examined(root: Path, packages: Packages | None = None, **written: str) -> Result:
    return diagnose("COD001", looked(application(root, **written), HEALTHY.with_(packages or Packages())))


def python(root: Path, text: str) -> Result:
    return examined(root, shop_DOT_py=text, jobs_DOT_py=DEFINED.format("WelcomeJob"))


@pytest.mark.parametrize("text", F.values(), ids=F)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    result = python(tmp_path, text)

    [one] = result.findings
    assert result.outcome is Outcome.FAIL
    assert one.severity == ("low" if "post_save" in text else "high")
    assert one.finding.location is not None
    assert "perform_async" in text.splitlines()[one.finding.location.line - 1]


@pytest.mark.parametrize("text", T.values(), ids=T)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert python(tmp_path, text).outcome is Outcome.PASS


REQUESTS = {
    "settings_DOT_py": "DATABASES = {'default': {'ATOMIC_REQUESTS': True}}\n",
    "urls_DOT_py": (
        "from django.urls import path\nfrom shop import create, Make\n"
        "urlpatterns = [path('x/', create), path('y/', Make.as_view())]\n"
    ),
    "jobs_DOT_py": DEFINED.format("WelcomeJob"),
}
VIEW = "from jobs import WelcomeJob\nclass Make: pass\ndef create(request):\n  {0}\n  WelcomeJob.perform_async(1)\n"
AWAY = "def kept(request): request.user.save()\ndef asked(request): return request.user.name\n"
WRITTEN = {
    "a row": "Order.objects.create(n=1)",
    "a query": "Order.objects.filter(n=1).update(n=2)",
    "a relation": "request.user.groups.add(1)",
    "a call away": "kept(request)",
    "without waiting": "Order.objects.acreate(n=1)",
}
ONLY_READ = {
    "a row": "Order.objects.get(n=1)",
    "a dict": "seen = {}; seen.update(n=1)",
    "a call away": "asked(request)",
}
MAKE = (
    "from jobs import WelcomeJob\ndef create(request): pass\nclass Make(CreateAPIView):\n"
    "  def perform_create(self, serializer):\n    {0}\n    WelcomeJob.perform_async(1)\n"
)


def requested(root: Path, text: str) -> list[str]:
    return [str(one.severity) for one in examined(root, None, shop_DOT_py=text, **REQUESTS).findings]


@pytest.mark.parametrize("line", WRITTEN.values(), ids=WRITTEN)
def test_a_request_that_writes(tmp_path: Path, line: str) -> None:
    assert requested(tmp_path, VIEW.format(line) + AWAY) == ["high"]


@pytest.mark.parametrize("line", ONLY_READ.values(), ids=ONLY_READ)
def test_a_request_in_which_nothing_is_seen_to_be_written(tmp_path: Path, line: str) -> None:
    assert requested(tmp_path, VIEW.format(line) + AWAY) == ["low"]


def test_a_view_that_its_framework_lets_write(tmp_path: Path) -> None:
    assert requested(tmp_path / "a", MAKE.format("super().perform_create(serializer)")) == ["high"]
    assert requested(tmp_path / "b", MAKE.format("serializer.is_valid()")) == ["low"]


def test_what_a_job_writes_that_is_called_plainly_is_no_write_of_the_request(tmp_path: Path) -> None:
    task = "from huey.contrib.djhuey import db_task\n@db_task()\ndef sync(pk): Order.objects.get(pk=pk).save()\n"
    view = "from django.urls import path\ndef create(request):\n  {0}\n  sync(1)\nurlpatterns = [path('x/', create)]\n"
    asked = requested(tmp_path / "a", task + view.format("pass"))
    written = requested(tmp_path / "b", task + view.format("Order.objects.create(n=1)"))

    assert (asked, written) == (["low"], ["high"])


RAILS = "class GreetJob\n  include Sidekiq::Job\n  def perform(id); end\nend\n"
RUBY = [
    Spelling("as written", call="GreetJob.perform_async({0})"),
    Spelling("re-indented", call="GreetJob.perform_async({0})", indent="\t\t"),
    Spelling("renamed", call="Zed.perform_async({0})"),
    Spelling("aliased", call="::GreetJob.set(queue: 'low').perform_async({0})"),
    Spelling("moved", call="Away.go({0})", tail="class Away\n  def self.go(x) = GreetJob.perform_async(x)\nend"),
]
RUBY_FAULTS = {
    "P1": "class User < ApplicationRecord\n  after_save { ENQUEUE(id)ENQUEUED }\nend",
    "P2": (
        "def web(u)\n  ApplicationRecord.transaction do\n    u.save!\n    Notifier.call(u)\n  end\nend\n"
        "class Notifier\n  def self.call(u)\n    ENQUEUE(u.id)ENQUEUED\n  end\nend"
    ),
    "P3": "class User < ApplicationRecord\n  after_create :greet\n  def greet = ENQUEUE(id)ENQUEUED\nend",
}
RUBY_TWINS = {
    "N1": "class User < ApplicationRecord\n  after_commit :greet, on: :create\n  def greet = ENQUEUE(id)ENQUEUED\nend",
    "N1, in one": "class User < ApplicationRecord\n  after_create_commit { ENQUEUE(id)ENQUEUED }\nend",
    "N2": "# after_save { ENQUEUE(id)ENQUEUED }\nX = %q(after_save ENQUEUE(1)ENQUEUED)\nY = <<~Z\n  after_save :x\nZ",
}
RF, RT = crossed(RUBY_FAULTS, RUBY), crossed(RUBY_TWINS, RUBY)


def ruby(root: Path, text: str, **written: str) -> Result:
    zed = RAILS.replace("GreetJob", "Zed")
    return examined(root, None, user_DOT_rb=text, greet_job_DOT_rb=RAILS, zed_DOT_rb=zed, **written)


@pytest.mark.parametrize("text", RF.values(), ids=RF)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = ruby(tmp_path, text).findings

    assert one.severity == "high"
    assert one.finding.location is not None
    assert "perform_async" in text.splitlines()[one.finding.location.line - 1]


@pytest.mark.parametrize("text", RT.values(), ids=RT)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert ruby(tmp_path, text).outcome is Outcome.PASS


DELETED = {
    "Active Record": (
        "low",
        "class User < ApplicationRecord\n  after_destroy :bye\n  def bye = GreetJob.perform_async(id)\nend",
    ),
    "saved too": (
        "high",
        (
            "class User < ApplicationRecord\n  before_destroy :bye\n  after_save :bye\n"
            "  def bye = GreetJob.perform_async(id)\nend"
        ),
    ),
}


@pytest.mark.parametrize(("severity", "text"), DELETED.values(), ids=DELETED)
def test_after_a_deletion_no_job_finds_the_row(tmp_path: Path, severity: str, text: str) -> None:
    assert [one.severity for one in ruby(tmp_path, text).findings] == [severity]


def test_after_a_deletion_in_django(tmp_path: Path) -> None:
    signal = FAULTS["P3"].replace("post_save", "post_delete")

    assert [one.severity for one in python(tmp_path, PYTHON[0].write(signal)).findings] == ["low"]


def test_of_two_transactions_the_one_that_writes_is_told(tmp_path: Path) -> None:
    block = "def other(u):\n  with transaction.atomic():\n    u.save()\n    create(u)\n"

    assert requested(tmp_path, DJANGO + VIEW.format("pass") + block) == ["high"]


BLOCK = "def web(u)\n  User.transaction do\n    GreetJob.{0}\n  end\nend\n"


def test_a_push_that_waits_for_the_commit_n3(tmp_path: Path) -> None:
    initializer = {"config__initializers__sidekiq_DOT_rb": "Sidekiq.transactional_push!\n"}
    one = ruby(tmp_path / "a", BLOCK.format("perform_async(1)"), **initializer)
    bulk = ruby(tmp_path / "b", BLOCK.format("perform_bulk([[1]])"), **initializer)

    assert one.outcome is Outcome.PASS
    assert [found.severity for found in bulk.findings] == ["high"]


@pytest.mark.parametrize("version", ["7.2.0", "8.0.1", "7.1.5", ""])
def test_active_job_may_wait_by_itself(tmp_path: Path, version: str) -> None:
    rails = Packages((Package("ruby", "activejob", version, "Gemfile.lock"),))
    result = examined(tmp_path, rails, user_DOT_rb=BLOCK.format("perform_later(1)"), job_DOT_rb=RAILS)

    assert [one.severity for one in result.findings] == ["info" if version > "7.2" else "high"]


@pytest.mark.parametrize(
    ("queues", "outcome"),
    [
        (("good_job",), Outcome.PASS),
        (("delayed_job",), Outcome.PASS),
        (("good_job", "sidekiq"), Outcome.FAIL),
        (("solid_queue",), Outcome.FAIL),
        ((), Outcome.FAIL),
    ],
)
def test_a_row_of_the_same_database_is_the_transaction_s_own(
    tmp_path: Path, queues: tuple[str, ...], outcome: Outcome
) -> None:
    locked = Packages(tuple(Package("ruby", name, "4.1.0", "Gemfile.lock") for name in queues))
    result = examined(tmp_path, locked, user_DOT_rb=BLOCK.format("perform_later(1)"), job_DOT_rb=RAILS)

    assert result.outcome is outcome


def test_active_job_that_is_told_to_wait(tmp_path: Path) -> None:
    told = {"config__application_DOT_rb": "config.active_job.enqueue_after_transaction_commit = %s\n"}
    severities = {
        value: [one.severity for one in ruby(tmp_path, BLOCK.format("perform_later(1)"), **given).findings]
        for value in (":always", "false", "wait?")
        for given in [{name: text % value for name, text in told.items()}]
    }

    assert severities == {":always": [], "false": ["high"], "wait?": ["info"]}


def test_a_delay_is_no_guarantee(tmp_path: Path) -> None:
    [one] = ruby(tmp_path, BLOCK.format("perform_in(5, 1)")).findings

    assert one.severity == "info"
    assert "no guarantee" in one.finding.title


def test_the_way_there_is_told(tmp_path: Path) -> None:
    [one] = python(tmp_path, PYTHON[0].write(FAULTS["P1"])).findings

    assert [(two.label, two.value, two.source) for two in one.finding.evidence] == [
        ("transaction", "django.db.transaction.atomic", "shop.py:6"),
        ("leads to", "shop.notify", "shop.py:9"),
        ("enqueue", "shop.WelcomeJob.perform_async", "shop.py:9"),
    ]
    assert one.finding.remedy == "Write transaction.on_commit(lambda: WelcomeJob.perform_async(...))."


def test_a_library_without_a_job_is_unknown(tmp_path: Path) -> None:
    celery = Packages((Package("python", "celery", "5.4", "uv.lock"),))
    result = examined(tmp_path / "a", celery, a_DOT_py="x = 1\n")

    assert result.outcome is Outcome.UNKNOWN
    assert "celery is locked, and no job was recognised" in (result.reason or "")
    assert examined(tmp_path / "b", Packages(), a_DOT_py="x = 1\n").outcome is Outcome.NOT_APPLICABLE


def test_a_file_that_could_not_be_parsed_limits_only_silence(tmp_path: Path) -> None:
    broken = "def f(:\n"

    silent = examined(tmp_path / "a", jobs_DOT_py=DEFINED.format("WelcomeJob"), broken_DOT_py=broken)
    loud = examined(tmp_path / "b", shop_DOT_py=PYTHON[0].write(FAULTS["P1"]), broken_DOT_py=broken)

    assert silent.outcome is Outcome.UNKNOWN
    assert str(silent.reason).startswith("a file could not be parsed, the first broken.py: SyntaxError")
    assert [one.severity for one in loud.findings] == ["high"]
    assert loud.outcome is Outcome.FAIL
