"""Where jobs are enqueued, in every library's words, and what only looks like it."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import Argument, Enqueue, Enqueues, Shape, When

HEADS = {
    "kiqdoctor": "from kiqdoctor import job\n@job\ndef mail(id): pass\n",
    "celery": "from celery import shared_task\n@shared_task\ndef mail(id): pass\n",
    "dramatiq": "import dramatiq\n@dramatiq.actor\ndef mail(id): pass\n",
    "huey": "from huey import RedisHuey\nhuey = RedisHuey()\n@huey.task()\ndef mail(id): pass\n",
    "taskiq": "from taskiq import InMemoryBroker\nbroker = InMemoryBroker()\n@broker.task\nasync def mail(id): pass\n",
    "rq": "from rq import Queue\nq = Queue()\ndef mail(id): pass\n",
    "procrastinate": "import procrastinate\napp = procrastinate.App()\n@app.task\ndef mail(id): pass\n",
    "django_q": "from django_q.tasks import async_task\ndef mail(id): pass\n",
}


def enqueued(root: Path, **written: str) -> list[Enqueue]:
    return [site for site, *_ in lines(application(root, **written), Enqueues)]


@pytest.mark.parametrize(
    ("library", "call", "when"),
    [
        ("kiqdoctor", "mail.perform_async(1)", When.NOW),
        ("kiqdoctor", "mail.perform_in(5, 1)", When.LATER),
        ("kiqdoctor", "mail.perform_at(when, 1)", When.LATER),
        ("kiqdoctor", "mail.perform_bulk([[1]])", When.BULK),
        ("celery", "mail.delay(1)", When.NOW),
        ("celery", "mail.apply_async((1,))", When.NOW),
        ("celery", "mail.apply_async((1,), countdown=5)", When.LATER),
        ("celery", "mail.s(1).apply_async(eta=when)", When.LATER),
        ("celery", "mail.si(1).delay()", When.NOW),
        ("dramatiq", "mail.send(1)", When.NOW),
        ("dramatiq", "mail.send_with_options(args=(1,), delay=5)", When.LATER),
        ("huey", "mail(1)", When.NOW),
        ("huey", "mail.schedule(args=(1,), delay=5)", When.LATER),
        ("taskiq", "await mail.kiq(1)", When.NOW),
        ("taskiq", "await mail.kicker().with_labels(a=1).kiq(1)", When.NOW),
        ("rq", "q.enqueue(mail, 1)", When.NOW),
        ("rq", "q.enqueue_call(func=mail)", When.NOW),
        ("rq", "q.enqueue_in(5, mail, 1)", When.LATER),
        ("procrastinate", "mail.defer(id=1)", When.NOW),
        ("procrastinate", "await mail.configure(lock='x').defer_async(id=1)", When.NOW),
        ("django_q", "async_task(mail, 1)", When.NOW),
        ("django_q", "async_task('shop.mail', 1)", When.NOW),
        ("kiqdoctor", "again = mail\n  again.perform_async(1)", When.NOW),
    ],
)
def test_python(tmp_path: Path, library: str, call: str, when: When) -> None:
    [site] = enqueued(tmp_path, shop_DOT_py=HEADS[library] + f"async def web(when):\n  {call}\n")

    assert (site.job, site.when, site.after_commit) == ("shop.mail", when, False)


@pytest.mark.parametrize(
    "text",
    [
        "from huey.contrib.djhuey import on_commit_task\n@on_commit_task()\ndef mail(id): pass\ndef web(): mail(1)\n",
        "from procrastinate.contrib.django import app\n@app.task\ndef mail(id): pass\ndef web(): mail.defer(id=1)\n",
    ],
)
def test_what_waits_for_the_commit_by_itself(tmp_path: Path, text: str) -> None:
    [site] = enqueued(tmp_path, shop_DOT_py=text)

    assert (site.job, site.after_commit) == ("shop.mail", True)


@pytest.mark.parametrize("imported", ["from jobs import mail", "from jobs import mail as m", "import jobs as j"])
def test_from_another_module(tmp_path: Path, imported: str) -> None:
    name = imported.rpartition(" ")[2] + (".mail" if imported.startswith("import") else "")
    web = f"{imported}\ndef web(): {name}.perform_async(1)\n"

    assert [one.job for one in enqueued(tmp_path, jobs_DOT_py=HEADS["kiqdoctor"], web_DOT_py=web)] == ["jobs.mail"]


def test_by_name_and_by_class(tmp_path: Path) -> None:
    named = enqueued(tmp_path / "a", a_DOT_py="def web(app): app.send_task('shop.mail', args=[1])\n")
    text = "from celery import Task\nclass Mail(Task):\n  def run(self): pass\ndef web(): Mail().delay(1)\n"

    assert [one.job for one in named] == ["shop.mail"]
    assert [one.job for one in enqueued(tmp_path / "b", shop_DOT_py=text)] == ["shop.Mail"]


@pytest.mark.parametrize(
    "call",
    [
        "resp.send(b'x')",
        "event.delay = 3",
        "mail(1)",
        "mail.perform_async",
        "mail.other(1)",
        "'mail.perform_async(1)'",
        "queue.enqueue(mail)",
    ],
)
def test_what_only_looks_like_it(tmp_path: Path, call: str) -> None:
    assert enqueued(tmp_path, shop_DOT_py=HEADS["kiqdoctor"] + f"def web(resp, event, queue):\n  {call}\n") == []


@pytest.mark.parametrize(
    "call",
    [
        "transaction.on_commit(lambda: mail.perform_async(1))",
        "transaction.on_commit(functools.partial(mail.perform_async, 1))",
        "transaction.on_commit(mail.perform_async)",
        "enqueue_on_commit(mail, 1)",
    ],
)
def test_after_the_commit(tmp_path: Path, call: str) -> None:
    head = "import functools\nfrom django.db import transaction\nfrom kiqdoctor import enqueue_on_commit\n"
    [site] = enqueued(tmp_path, shop_DOT_py=head + HEADS["kiqdoctor"] + f"def web():\n  {call}\n")

    assert (site.job, site.after_commit) == ("shop.mail", True)


def test_celery_s_own_words_for_it(tmp_path: Path) -> None:
    text = "def web():\n  mail.delay_on_commit(1)\n"

    assert [one.after_commit for one in enqueued(tmp_path, shop_DOT_py=HEADS["celery"] + text)] == [True]


def test_what_a_hook_s_argument_calls_is_called_at_once(tmp_path: Path) -> None:
    text = (
        HEADS["kiqdoctor"]
        + "from django.db import transaction\ndef web():\n  transaction.on_commit(mail.perform_async(1))\n"
    )

    assert [one.after_commit for one in enqueued(tmp_path, shop_DOT_py=HEADS["kiqdoctor"] + text)] == [False]


JOB = "class Mail\n  include Sidekiq::Job\n  def perform(id); end\n"


@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("Mail.perform_async(1)", When.NOW),
        ("::Mail.perform_async 1", When.NOW),
        ("Mail.perform_in(5, 1)", When.LATER),
        ("Mail.perform_at(t, 1)", When.LATER),
        ("Mail.perform_bulk([[1]])", When.BULK),
        ("Mail.perform_later(user)", When.NOW),
        ("Mail.set(queue: 'low').perform_async(1)", When.NOW),
        ("Mail.set(wait: 5).perform_later(user)", When.LATER),
    ],
)
def test_ruby(tmp_path: Path, call: str, when: When) -> None:
    [site] = enqueued(tmp_path, mail_DOT_rb=JOB + "end\n", web_DOT_rb=f"def web\n  {call}\nend\n")

    assert (site.job, site.when, site.after_commit) == ("Mail", when, False)


@pytest.mark.parametrize(
    ("call", "job", "verb", "when"),
    [
        ("Resque.enqueue(Mail, 1)", "Mail", "enqueue", When.NOW),
        ("Resque.enqueue_to(:low, Mail, 1)", "Mail", "enqueue_to", When.NOW),
        ("Resque.enqueue(kind, 1)", "", "enqueue", When.NOW),
        ("Resque.enqueue_in(5, Mail, 1)", "Mail", "enqueue_in", When.LATER),
        ("Mail.delay.deliver", "Mail.deliver", "delay", When.NOW),
        ("Mail.delay_for(5).deliver", "Mail.deliver", "delay_for", When.LATER),
    ],
)
def test_ruby_that_is_handed_over(tmp_path: Path, call: str, job: str, verb: str, when: When) -> None:
    mail = "class Mail\n  def self.perform(x); end\n  def self.deliver; end\nend\n"
    [site] = enqueued(tmp_path, mail_DOT_rb=mail, web_DOT_rb=f"def web(kind)\n  {call}\nend\n")

    assert (site.job, site.verb, site.when) == (job, verb, when)


def test_a_row_of_delayed_job_is_the_transaction_s_own(tmp_path: Path) -> None:
    mail = "class Mail\n  def self.deliver; end\n  handle_asynchronously :other\n  def other; end\nend\n"

    assert enqueued(tmp_path, mail_DOT_rb=mail, web_DOT_rb="def web\n  Mail.delay.deliver\nend\n") == []


def test_ruby_s_own_class_and_its_client(tmp_path: Path) -> None:
    again = enqueued(tmp_path / "a", a_DOT_rb=JOB + "  def again; self.class.perform_async(1); end\nend\n")
    pushed = enqueued(tmp_path / "b", a_DOT_rb="Sidekiq::Client.push('class' => 'Mail', 'args' => [])\n")

    any_job = enqueued(tmp_path / "c", a_DOT_rb="def web(kind)\n  kind.perform_async(1)\nend\n")

    assert [one.job for one in any_job] == [""]
    assert [one.job for one in again] == ["Mail"]
    assert [(one.job, one.verb) for one in pushed] == [("Mail", "push")]


@pytest.mark.parametrize(
    "call", ["# Mail.perform_async(1)", "'Mail.perform_async(1)'", "%q(Mail.perform_async(1))", "list.push(1)"]
)
def test_ruby_that_only_looks_like_it(tmp_path: Path, call: str) -> None:
    assert enqueued(tmp_path, web_DOT_rb=f"def web\n  {call}\nend\n") == []


@pytest.mark.parametrize("hook", ["after_commit", "AfterCommitEverywhere.after_commit", "run_after_commit"])
def test_ruby_s_commit_hooks(tmp_path: Path, hook: str) -> None:
    text = f"def web\n  {hook} {{ Mail.perform_async(1) }}\n  Mail.perform_async(2)\nend\n"

    assert [one.after_commit for one in enqueued(tmp_path, web_DOT_rb=text)] == [True, False]


def test_arguments_are_told_by_their_shape(tmp_path: Path) -> None:
    text = HEADS["kiqdoctor"] + "import uuid\ndef web():\n  mail.perform_async(*[uuid.uuid4(), 'secret'], {1})\n"
    [site] = enqueued(tmp_path, shop_DOT_py=text)

    assert site.arguments == (
        Argument("", Shape.CALL, "uuid.uuid4"),
        Argument("", Shape.TEXT),
        Argument("", Shape.SET),
    )


def test_rq_is_handed_a_function_by_its_dotted_name(tmp_path: Path) -> None:
    text = "import rq\ndef f(): pass\ndef web(): rq.Queue().enqueue('shop.f', 1)\n"
    found = [site for site, *_ in lines(application(tmp_path, shop_DOT_py=text), Enqueues)]

    assert [(one.job, one.verb) for one in found] == [("shop.f", "enqueue")]
