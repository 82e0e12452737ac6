"""Transactions, what opens them, and the enqueues that happen inside, calls away."""

from pathlib import Path

import pytest
from source import application, looked, read

from kiqdoctor.doctor.facts.code import Code, Enqueues, Transactions
from kiqdoctor.doctor.snapshot import Snapshot

HEAD = (
    "from django.db import transaction\nfrom kiqdoctor import job\n@job\ndef mail(id): pass\n"
    "def notify(id): mail.perform_async(id)\n"
)


def inside(root: Path, **written: str) -> set[tuple[str, int, tuple[str, ...]]]:
    """What opens each transaction with an enqueue in it, the enqueue's line, and the functions between."""
    snapshot = looked(application(root, **written), Snapshot())
    code, enqueues, found = snapshot.get(Code), snapshot.get(Enqueues), snapshot.get(Transactions)
    assert isinstance(code, Code)
    assert isinstance(enqueues, Enqueues)
    assert isinstance(found, Transactions)
    return {
        (
            found.sites[one.transaction].opens.rpartition(".")[2],
            enqueues.sites[one.enqueue].line,
            tuple(code.functions[step].name for step in one.through),
        )
        for one in found.inside
    }


OPENED = {
    "a block": ("atomic", "def web():\n  with transaction.atomic():\n    mail.perform_async(1)\n"),
    "a block without parentheses' arguments": (
        "atomic",
        "def web():\n  with transaction.atomic(using='x'), other():\n    mail.perform_async(1)\n",
    ),
    "a decorator": ("atomic", "@transaction.atomic\ndef web():\n  mail.perform_async(1)\n"),
    "a decorator that is called": ("atomic", "@transaction.atomic()\ndef web():\n  mail.perform_async(1)\n"),
    "under another name": (
        "atomic",
        "from django.db.transaction import atomic as whole\ndef web():\n  with whole():\n    mail.perform_async(1)\n",
    ),
    "a method's decorator": (
        "atomic",
        (
            "from django.utils.decorators import method_decorator\nclass View:\n"
            "  @method_decorator(transaction.atomic)\n  def post(self):\n    mail.perform_async(1)\n"
        ),
    ),
    "a session": (
        "begin",
        (
            "from sqlalchemy.orm import sessionmaker\nSession = sessionmaker()\ndef web():\n"
            "  with Session.begin() as s:\n    mail.perform_async(1)\n"
        ),
    ),
    "an engine": (
        "begin",
        (
            "from sqlalchemy import create_engine\nengine = create_engine('')\nasync def web():\n"
            "  async with engine.begin():\n    mail.perform_async(1)\n"
        ),
    ),
    "a session that was handed in": (
        "begin",
        "import sqlalchemy\ndef web(session):\n  with session.begin():\n    mail.perform_async(1)\n",
    ),
    "a signal": (
        "post_save",
        (
            "from django.dispatch import receiver\nfrom django.db.models.signals import post_save\n"
            "@receiver(post_save, sender=None)\ndef web(**k):\n  mail.perform_async(1)\n"
        ),
    ),
    "several signals": (
        "post_delete",
        (
            "from django.dispatch import receiver\nfrom django.db.models import signals\n"
            "@receiver([signals.post_delete])\ndef web(**k):\n  mail.perform_async(1)\n"
        ),
    ),
    "a model's save": (
        "save",
        "from django.db import models as m\nclass User(m.Model):\n  def save(self, **k):\n    mail.perform_async(1)\n",
    ),
    "an event": (
        "after_insert",
        "from sqlalchemy import event\n@event.listens_for(User, 'after_insert')\ndef h(*a):\n  mail.perform_async(1)\n",
    ),
}


@pytest.mark.parametrize(("opens", "text"), OPENED.values(), ids=OPENED)
def test_what_opens_one(tmp_path: Path, opens: str, text: str) -> None:
    [(opened, line, through)] = inside(tmp_path, shop_DOT_py=HEAD + text)

    assert (opened, through) == (opens, ())
    assert line == len((HEAD + text).splitlines())


def test_a_handler_that_is_connected(tmp_path: Path) -> None:
    text = (
        "from django.db.models.signals import post_save\ndef h(**k):\n  mail.perform_async(1)\npost_save.connect(h)\n"
    )

    assert inside(tmp_path, shop_DOT_py=HEAD + text) == {("post_save", 8, ("shop.h",))}


def test_the_functions_between_and_how_far_they_are_followed(tmp_path: Path) -> None:
    text = (
        "def a(id): notify(id)\ndef b(id): a(id)\ndef c(id): b(id)\n"
        "def far():\n  with transaction.atomic(): c(1)\n"
        "def near():\n  with transaction.atomic(): b(1)\n"
    )

    assert inside(tmp_path, shop_DOT_py=HEAD + text) == {("atomic", 5, ("shop.b", "shop.a", "shop.notify"))}


OUTSIDE = {
    "after the block": "def web():\n  with transaction.atomic(): pass\n  mail.perform_async(1)\n",
    "before the block": "def web():\n  mail.perform_async(1)\n  with transaction.atomic(): pass\n",
    "a lambda for the commit": "def web():\n  with transaction.atomic(): transaction.on_commit(lambda: notify(1))\n",
    "a reference for the commit": (
        "import functools\ndef web():\n  with transaction.atomic():\n"
        "    transaction.on_commit(functools.partial(mail.perform_async, 1))\n"
    ),
    "a function for the commit": (
        "def web():\n  with transaction.atomic():\n    def later(): notify(1)\n    transaction.on_commit(later)\n"
    ),
    "after the commit": (
        "from sqlalchemy import event\n@event.listens_for(object, 'after_commit')\ndef web(*a): mail.perform_async(1)\n"
    ),
    "an own word": "from own import transaction as t\ndef web():\n  with t.atomic(): mail.perform_async(1)\n",
    "no transaction": "def web(f):\n  with f.begin(): mail.perform_async(1)\n",
    "another's save": "class User:\n  def save(self): mail.perform_async(1)\n",
}


@pytest.mark.parametrize("text", OUTSIDE.values(), ids=OUTSIDE)
def test_what_is_not_inside(tmp_path: Path, text: str) -> None:
    own = "class transaction:\n  def atomic(): pass\n"

    assert inside(tmp_path, shop_DOT_py=HEAD + text, own_DOT_py=own) == set()


NOTIFIER = (
    "class Notifier\n  def self.call(id) = new(id).deliver\n  def deliver; Mail.perform_async(1); end\nend\n"
    "class Mail\n  include Sidekiq::Job\n  def perform(id); end\nend\n"
)
RUBY = {
    "a block": ("transaction", "def web\n  User.transaction do\n    Mail.perform_async(1)\n  end\nend\n", ()),
    "a bare block": ("transaction", "class U\n  def web\n    transaction { Mail.perform_async(1) }\n  end\nend\n", ()),
    "a lock": ("with_lock", "def web(u)\n  u.with_lock { Mail.perform_async(1) }\nend\n", ()),
    "a lock that a record changes": (
        "with_lock",
        (
            "class U < ApplicationRecord\n  def with_lock(...)\n    super\n  end\nend\n"
            "def web(u)\n  u.with_lock { Mail.perform_async(1) }\nend\n"
        ),
        (),
    ),
    "two calls away": (
        "transaction",
        "def web\n  ApplicationRecord.transaction do\n    Notifier.call(1)\n  end\nend\n",
        ("Notifier.call", "Notifier#deliver"),
    ),
    "a callback's block": (
        "after_save",
        "class U < ApplicationRecord\n  after_save { Mail.perform_later(id) }\nend\n",
        (),
    ),
    "a callback's lambda": (
        "after_create",
        "class U < ActiveRecord::Base\n  after_create -> { Mail.perform_async(id) }, if: :x\nend\n",
        (),
    ),
    "a callback's method": (
        "after_create",
        "class U < ApplicationRecord\n  after_create :greet\n  def greet = Mail.perform_async(id)\nend\n",
        ("U#greet",),
    ),
    "an inherited model": (
        "after_create",
        "class B < ApplicationRecord\nend\nclass U < B\n  after_create :g\n  def g = Mail.perform_async(1)\nend\n",
        ("U#g",),
    ),
    "a concern": (
        "before_save",
        (
            "module G\n  extend ActiveSupport::Concern\n  included do\n    before_save :greet\n  end\n"
            "  def greet; Mail.perform_async(id); end\nend\n"
        ),
        ("G#greet",),
    ),
}


@pytest.mark.parametrize(("opens", "text", "through"), RUBY.values(), ids=RUBY)
def test_ruby(tmp_path: Path, opens: str, text: str, through: tuple[str, ...]) -> None:
    found = inside(tmp_path, app_DOT_rb=text, notifier_DOT_rb=NOTIFIER)

    assert {(opened, way) for opened, _, way in found} == {(opens, through)}


RUBY_OUTSIDE = {
    "after the block": "def web\n  User.transaction { x }\n  Mail.perform_async(1)\nend\n",
    "after the commit": "class U < ApplicationRecord\n  after_commit :g\n  def g = Mail.perform_async(1)\nend\n",
    "after creation's commit": "class U < ApplicationRecord\n  after_create_commit { Mail.perform_async(1) }\nend\n",
    "a commit hook in a block": "def web\n  User.transaction { after_commit { Mail.perform_async(1) } }\nend\n",
    "a word": "# after_save Mail.perform_async\nX = %q(after_save { Mail.perform_async(1) })\n",
    "no model": "class U\n  after_save { Mail.perform_async(1) }\nend\n",
    "a document": "class U\n  include Mongoid::Document\n  after_save { Mail.perform_async(1) }\nend\n",
    "no block": "def web(log)\n  log.transaction(1)\n  Mail.perform_async(1)\nend\n",
    "a lock of its own": (
        "class Index\n  def with_lock\n    yield\n  end\nend\n"
        "def web(i)\n  i.with_lock { Mail.perform_async(1) }\nend\n"
    ),
    "a class that locks": "def web\n  Redlock.with_lock('x') { Mail.perform_async(1) }\nend\n",
}


@pytest.mark.parametrize("text", RUBY_OUTSIDE.values(), ids=RUBY_OUTSIDE)
def test_ruby_that_is_not_inside(tmp_path: Path, text: str) -> None:
    assert inside(tmp_path, app_DOT_rb=text, notifier_DOT_rb=NOTIFIER) == set()


def test_hooks_are_told_from_blocks(tmp_path: Path) -> None:
    text = HEAD + OPENED["a signal"][1] + OPENED["a block"][1]
    found = read(application(tmp_path, shop_DOT_py=text), Transactions)

    assert {(one.opens.rpartition(".")[2], one.hook) for one in found.sites} == {("post_save", True), ("atomic", False)}
