"""COD014: the catalogue's examples in all their ways; which tests run commit hooks."""

from pathlib import Path

import pytest
from judging import IN_PYTHON, accused, judged, performing, read
from rewriting import crossed, python

from kiqdoctor.doctor.report import Outcome, Result

APPLICATION = {
    "shop_DOT_py": IN_PYTHON + "class J(Job):\n  def perform(self): pass\n",
    "views_DOT_py": (
        "from django.db import transaction\nfrom shop import J\n"
        "def order(request): transaction.on_commit(lambda: J.perform_async())\n"
    ),
}
DOES = "    self.client.post('/')\n    assert len(J.jobs) == 1\n"
FAULTS = crossed(
    {
        "P1": f"from django.test import TestCase\nfrom shop import J\nclass T(TestCase):\n  def test(self):\n{DOES}",
        "P2": (
            "import pytest\nfrom shop import J\n@pytest.mark.django_db\ndef test_it(client):\n"
            "  client.post('/')\n  assert len(J.jobs) == 1\n"
        ),
        "P3": (
            "from django.test import TestCase\nfrom shop import J\nclass Mixin(TestCase):\n  pass\n"
            f"class T(Mixin):\n  def test(self):\n{DOES}"
        ),
        "marked as a whole": (
            "import pytest\nfrom views import order\npytestmark = pytest.mark.django_db\n"
            "def test_it(rf): order(rf.post('/'))\n"
        ),
        "a fixture": "from views import order\ndef test_it(rf, db): order(rf.post('/'))\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": (
            "from django.test import TestCase\nfrom shop import J\nclass T(TestCase):\n  def test(self):\n"
            "    with self.captureOnCommitCallbacks(execute=True):\n      self.client.post('/')\n"
            "    assert len(J.jobs) == 1\n"
        ),
        "N2": (
            "import pytest\nfrom shop import J\n@pytest.mark.django_db(transaction=True)\ndef test_it(client):\n"
            "  client.post('/')\n  assert len(J.jobs) == 1\n"
        ),
        "N3": f"from django.test import SimpleTestCase\nfrom shop import J\nclass T(SimpleTestCase):\n  def test(self):\n{DOES}",  # noqa: E501
        "committed": f"from django.test import TransactionTestCase\nfrom shop import J\nclass T(TransactionTestCase):\n  def test(self):\n{DOES}",  # noqa: E501
    },
    python,
)


def _with(root: Path, text: str, **beside: str) -> Result:
    return judged("COD014", root, tests__test_shop_DOT_py=text, **APPLICATION, **beside)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_no_hook_runs(tmp_path: Path, text: str) -> None:
    [one] = _with(tmp_path, text).findings

    assert one.severity == "low"
    assert "shop.J" in one.finding.title


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_hooks_run(tmp_path: Path, text: str) -> None:
    assert not accused(_with(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from shop import Other\n", "names shop.J or what enqueues it"),
        (f"from base import Base\nfrom shop import J\nclass T(Base):\n  def test(self):\n{DOES}", "not known"),
        ("from shop import J\ndef test_it(queue): J.jobs\n", "not known"),
    ],
    ids=["nobody names it", "a base", "a fixture"],
)
def test_what_cannot_be_told(tmp_path: Path, text: str, said: str) -> None:
    result = _with(tmp_path, text)

    assert result.outcome is Outcome.UNKNOWN
    assert said in (result.reason or "")


def test_a_base_in_another_file_and_one_test_that_runs_hooks(tmp_path: Path) -> None:
    base = "from django.test import TestCase\nclass Base(TestCase): pass\n"
    text = f"from tests.base import Base\nfrom shop import J\nclass T(Base):\n  def test(self):\n{DOES}"

    assert accused(_with(tmp_path, text, tests__base_DOT_py=base))
    assert not accused(_with(tmp_path, text, tests__base_DOT_py=base, tests__test_x_DOT_py=TWINS["N1, as written"]))


def test_a_test_without_a_transaction_runs_no_hook_for_others(tmp_path: Path) -> None:
    assert accused(_with(tmp_path, FAULTS["P2, as written"] + "def test_name(): assert J.__name__ == 'J'\n"))


def test_a_fixture_of_all_tests_that_runs_hooks(tmp_path: Path) -> None:
    conftest = "import pytest\n@pytest.fixture(autouse=True)\ndef hooks(django_capture_on_commit_callbacks): yield\n"

    assert not accused(_with(tmp_path, FAULTS["P1, as written"], tests__conftest_DOT_py=conftest))


def test_who_enqueues_at_once_has_no_hook(tmp_path: Path) -> None:
    application = APPLICATION | {"views_DOT_py": "from shop import J\ndef order(r): J.perform_async()\n"}

    assert judged("COD014", tmp_path, **application).outcome is Outcome.PASS


def test_a_rails_that_is_not_known(tmp_path: Path) -> None:
    model = "class A < ApplicationRecord\n  def go\n    run_after_commit { J.perform_async(1) }\n  end\nend\n"
    result = judged("COD014", tmp_path, j_DOT_rb=performing("x"), a_DOT_rb=model)

    assert result.outcome is Outcome.UNKNOWN


OLD = "class U < ActiveRecord::Base\n  after_commit { J.perform_async(id) }\nend\n"


@pytest.mark.parametrize(
    ("gems", "spec", "outcome"),
    [
        ("rails (4.2.11)", "it('x') { U.create! }\n", Outcome.FAIL),
        ("rails (4.2.11)", "it('x') { DatabaseCleaner.clean }\n", Outcome.UNKNOWN),
        ("rails (4.2.11)", "", Outcome.UNKNOWN),
        ("rails (4.2.11)\n    test_after_commit (1.2.2)", "it('x') { U.create! }\n", Outcome.PASS),
        ("rails (7.1.0)", "it('x') { U.create! }\n", Outcome.PASS),
    ],
    ids=["rolled back", "cleaned", "no tests", "the gem", "newer Rails"],
)
def test_rails(tmp_path: Path, gems: str, spec: str, outcome: Outcome) -> None:
    files = {
        "Gemfile.lock": f"GEM\n  remote: https://rubygems.org/\n  specs:\n    sidekiq (4.2.10)\n    {gems}\n",
        "app/models/u.rb": OLD,
        "app/jobs/j.rb": performing("puts x"),
        **({"spec/u_spec.rb": spec} if spec else {}),
    }

    assert read("COD014", tmp_path, files).outcome is outcome


ASKS = "from django.test import TestCase\nclass T(TestCase):\n  def test(self):\n    self.client.post({})\n"
ROUTES = (
    "from django.urls import path\nimport views\nurlpatterns = [path('orders/<int:pk>/', views.order, name='order')]\n"
)


@pytest.mark.parametrize(
    ("routes", "text", "outcome"),
    [
        ("", ASKS.format("'/any/'"), Outcome.FAIL),
        (ROUTES, ASKS.format("'/shop/orders/3/'"), Outcome.FAIL),
        (ROUTES, ASKS.format("f'/orders/{1}/'"), Outcome.FAIL),
        (ROUTES, "from django.urls import reverse\n" + ASKS.format("reverse('shop:order', args=[1])"), Outcome.FAIL),
        (ROUTES, ASKS.format("'/users/3/'"), Outcome.UNKNOWN),
        (ROUTES, ASKS.format("'/orders/'"), Outcome.UNKNOWN),
        (ROUTES, ASKS.format("'/orders/3/'").replace("self.client", "self.queue"), Outcome.UNKNOWN),
        (ROUTES, ASKS.format("'/orders/3/'").replace("TestCase", "TransactionTestCase"), Outcome.PASS),
        (ROUTES, ASKS.format("'/x/', 'shop.J.perform_async'"), Outcome.FAIL),
    ],
    ids=[
        "no routes",
        "a path",
        "an f-string",
        "a name",
        "another path",
        "less of it",
        "a queue",
        "committed",
        "a text",
    ],
)
def test_a_view_is_asked_through_the_client(tmp_path: Path, routes: str, text: str, outcome: Outcome) -> None:
    beside = {"urls_DOT_py": routes} if routes else {}

    assert _with(tmp_path, text, **beside).outcome is outcome
