"""COD006: the catalogue's examples in all their ways, and what each encoding carries."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from healthy.code import CODE
from judging import accused, in_python, in_ruby, performing, read
from rewriting import crossed, python, ruby

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Encoding, Enqueue, Enqueues, Given, Value
from kiqdoctor.doctor.report import Outcome

HEAD = "import uuid, datetime\nfrom uuid import uuid4\nfrom django.utils import timezone\n@job\ndef j(*x): pass\n"
FAULTS = crossed(
    {
        "P1": HEAD + "from models import User\n@job\ndef f():\n  u = User.objects.get(pk=1)\n  j.perform_async(u)\n",
        "P2": HEAD + "from django.utils.timezone import now\n@job\ndef f(): j.perform_async(*[uuid4(), now()])\n",
        "P3": HEAD + "@job\ndef f():\n  args = {1: 'a'}\n  j.perform_async(args)\n",
        "a lambda": HEAD + "@job\ndef f(): j.perform_async(lambda: 1)\n",
        "later": HEAD + "@job\ndef f(): j.perform_in(5, {'at': [datetime.date.today()]})\n",
        "an object": HEAD + "class Order: pass\n@job\ndef f(): j.perform_async(Order())\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": HEAD + "@job\ndef f(): j.perform_async(str(uuid4()), timezone.now().isoformat())\n",
        "N2": HEAD + "@job\ndef f(u): j.perform_async(u.pk)\n",
        "N2, a query": HEAD + "@job\ndef f(qs): j.perform_async(list(qs.values_list('id', flat=True)))\n",
        "N3": HEAD + "@job\ndef f(payload): j.perform_async(payload.model_dump(mode='json'))\n",
        "when, not what": HEAD + "@job\ndef f(): j.perform_at(timezone.now(), 1)\n",
        "turned before": HEAD + "@job\ndef f():\n  d = timezone.now()\n  d = d.isoformat()\n  j.perform_async(d)\n",
        "a kind of text": HEAD + "class Name(str): pass\n@job\ndef f(): j.perform_async(Name('x'))\n",
    },
    python,
)
OTHER = "class K\n  include Sidekiq::Job\n  def perform(*x); end\nend\n"
OTHER += "class A < ApplicationJob\n  def perform(x); end\nend\n"
RUBY_FAULTS = crossed(
    {
        "P1": performing("u = User.find(x)", "K.perform_async(u)", head=OTHER),
        "P2": performing("K.perform_async(x, notify: true)", head=OTHER),
        "P3": performing("K.perform_async(*[Date.today, :x])", head=OTHER),
        "a scope": performing("K.perform_in(5.minutes, User.where(a: 1).first)", head=OTHER),
        "a relation": performing("K.perform_async(User.where(a: 1))", head=OTHER),
        "a relation of several words": performing("K.perform_async(User.order(:a).where(a: 1))", head=OTHER),
        "what a client pushes": performing('Sidekiq::Client.push("class" => K, "args" => [:a])', head=OTHER),
        "what a client pushes at once": performing(
            'Sidekiq::Client.push_bulk("class" => "K", "args" => [[Date.today]])', head=OTHER
        ),
        "symbols for keys": performing("K.perform_async({ a: 1 })", head=OTHER),
        "a moment": performing('K.perform_async("at" => 2.days.ago)', head=OTHER),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "N1": performing("K.perform_async(x.id, Time.now.to_i)", head=OTHER),
        "N2": performing("u = User.find(x)", "A.perform_later(u)", head=OTHER),
        "N3": performing('K.perform_async({"a" => 1})', head=OTHER),
        "N3, made strings": performing("K.perform_async({ a: 1 }.stringify_keys)", head=OTHER),
        "what a client pushes": performing('Sidekiq::Client.push("class" => K, "args" => ["a"])', head=OTHER),
        "options of what a client pushes": performing(
            'Sidekiq::Client.push("class" => K, "queue" => :low, "args" => [1])', head=OTHER
        ),
        "a relation's ids": performing("K.perform_async(User.where(a: 1).ids)", head=OTHER),
        "when, not what": performing("K.perform_at(2.days.from_now, x)", head=OTHER),
        "ids": performing("K.perform_async(User.where(a: 1).pluck(:id).first)", head=OTHER),
        "counted": performing("K.perform_async(User.count)", head=OTHER),
        "in memory": performing(
            "S.perform_async(User.find(x))",
            head=OTHER + "class S\n  include SuckerPunch::Job\n  def perform(u); end\nend\n",
        ),
        "of a list": performing("K.perform_async(Shop::KINDS.find { |k| k })", head=OTHER),
        "set afterwards": performing("d = x.to_s", "K.perform_async(d)", "d = Date.parse(d)", head=OTHER),
        "options": performing("K.perform_bulk(x, batch_size: 100)", head=OTHER),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD006", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD006", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD006", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD006", tmp_path, text))


CELERY = "import uuid, datetime, decimal\nfrom celery import shared_task\n@shared_task\ndef f(x): pass\n"


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("datetime.datetime.now()", False),
        ("decimal.Decimal(1)", False),
        ("uuid.uuid4()", False),
        ("b'x'", False),
        ("{1, 2}", True),
        ("datetime.timedelta(1)", True),
    ],
)
def test_celery_s_json_has_more(tmp_path: Path, value: str, *, refused: bool) -> None:
    assert accused(in_python("COD006", tmp_path / "a", f"{CELERY}def w(): f.delay({value})\n")) is refused
    assert accused(in_python("COD006", tmp_path / "b", f"{CELERY}def w(): f.apply_async(({value},))\n")) is refused
    assert accused(in_python("COD006", tmp_path / "c", f"{CELERY}def w(): f.s({value}).delay()\n")) is refused


@pytest.mark.parametrize(
    "told",
    [
        "task_serializer = 'pickle'",
        "app.conf.task_serializer = 'pickle'",
        "app.conf['task_serializer'] = 'pickle'",
    ],
)
def test_a_serializer_of_its_own(tmp_path: Path, told: str) -> None:
    text = f"{CELERY}from celery import Celery\napp = Celery()\n{told}\ndef w(): f.delay({{1, 2}})\n"

    assert not accused(in_python("COD006", tmp_path, text))


@pytest.mark.parametrize(("folder", "refused"), [("third_party", False), ("others", True)])
def test_settings_in_a_folder_that_is_not_read_may_say_anything(tmp_path: Path, folder: str, *, refused: bool) -> None:
    settings = tmp_path / "shop" / "settings"
    (settings / folder).mkdir(parents=True)
    (settings.parent / "__init__.py").touch()
    (settings / folder / "__init__.py").touch()
    (settings / folder / "celery.py").write_text("CELERY_TIMEZONE = 'UTC'\n")
    (settings / "__init__.py").write_text(f"from .{folder}.celery import *\n")

    assert accused(in_python("COD006", tmp_path, f"{CELERY}def w(): f.delay({{1, 2}})\n")) is refused


@pytest.mark.parametrize(("value", "refused"), [("{1, 2}", False), ("lambda: 1", True)])
def test_rq_pickles(tmp_path: Path, value: str, *, refused: bool) -> None:
    text = f"from rq import Queue\nq = Queue()\ndef mail(x): pass\ndef w(): q.enqueue(mail, {value})\n"

    assert accused(in_python("COD006", tmp_path, text)) is refused


RQ = """from rq import Queue
from rq.serializers import JSONSerializer
q = Queue("a", serializer=JSONSerializer)
def mail(x): pass
"""


@pytest.mark.parametrize(
    ("changed", "value", "refused"),
    [
        ({}, "{1, 2}", True),
        ({}, "[1, 2]", False),
        ({"serializer=JSONSerializer": "serializer='rq.serializers.JSONSerializer'"}, "{1, 2}", True),
        ({", serializer=JSONSerializer": ""}, "{1, 2}", False),
        ({"serializer=JSONSerializer": "serializer=Ours"}, "{1, 2}", False),
        ({"serializer=JSONSerializer": "**options"}, "{1, 2}", False),
    ],
)
def test_rq_s_queue_says_how_it_writes(tmp_path: Path, changed: dict[str, str], value: str, *, refused: bool) -> None:
    text = f"{RQ}def w(): q.enqueue(mail, {value})\n"
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)

    assert accused(in_python("COD006", tmp_path, text)) is refused


@pytest.mark.parametrize(("queue", "refused"), [("q", True), ("p", False), ("Queue('x')", False)])
def test_each_queue_of_rq_by_itself(tmp_path: Path, queue: str, *, refused: bool) -> None:
    text = f"{RQ}p = Queue('b')\ndef w(): {queue}.enqueue(mail, {{1, 2}})\n"

    assert accused(in_python("COD006", tmp_path, text)) is refused


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ("{'default': {'SERIALIZER': 'rq.serializers.JSONSerializer'}}", True),
        ("{'default': {'SERIALIZER': 'rq.serializers.JSONSerializer'}, 'other': {'HOST': 'x'}}", False),
        ("{'default': {'HOST': 'x'}}", False),
    ],
)
def test_django_rq_is_told_by_its_settings(tmp_path: Path, settings: str, *, refused: bool) -> None:
    text = "import django_rq\ndef mail(x): pass\ndef w(): django_rq.get_queue('default').enqueue(mail, {1, 2})\n"

    result = in_python("COD006", tmp_path, text, settings_DOT_py=f"RQ_QUEUES = {settings}\n")

    assert accused(result) is refused


def test_on_plain_facts() -> None:
    site = Enqueue(
        1, 5, 5, "SendMail", "perform_async", given=(Given(Value.RECORD, "User.find"),), encoding=Encoding.JSON
    )
    [one] = diagnose("COD006", HEALTHY.with_(CODE).with_(Enqueues((site,)))).findings

    assert one.finding.title == "SendMail is handed a database record, which JSON cannot carry"
    assert one.finding.subject == "code:Orders#create"


def test_a_file_that_could_not_be_parsed_limits_silence(tmp_path: Path) -> None:
    assert in_python("COD006", tmp_path, HEAD, broken_DOT_py="def f(:\n").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("version", "line", "severity"),
    [
        ("6.5.12", "K.perform_async(:x)", "low"),
        ("7.3.2", "K.perform_async(:x)", "high"),
        ("6.5.12", "K.perform_async(Date.today)", "high"),
        ("6.5.12", "R.perform_async(1, Date.today)", "low"),
        ("6.5.12", "R.perform_async(Date.today, 1)", "high"),
        ("7.3.2", "R.perform_async(1, Date.today)", "high"),
        ("6.5.12", "R.perform_async(1, a: 2)", "low"),
        ("6.5.12", "N.perform_async(1, a: 2)", "high"),
    ],
    ids=[
        *("it arrives as text", "it is refused", "it arrives as something else"),
        *("its job reads it", "its job reads another", "it is refused anyhow", "a hash", "its job asks for keywords"),
    ],
)
def test_a_symbol_is_a_text_to_older_sidekiqs(tmp_path: Path, version: str, line: str, severity: str) -> None:
    files = {
        "app/jobs/j.rb": performing(line, head=OTHER),
        "app/jobs/r.rb": (
            "class R\n  include Sidekiq::Job\n  def perform(id, at)\n    Time.zone.parse(at.to_s)\n  end\nend\n"
            "class N\n  include Sidekiq::Job\n  def perform(id, a:); end\nend\n"
        ),
        "Gemfile": "gem 'sidekiq'\n",
        "Gemfile.lock": f"GEM\n  remote: https://rubygems.org/\n  specs:\n    sidekiq ({version})\n",
    }

    assert [one.severity for one in read("COD006", tmp_path, files).findings] == [severity]
