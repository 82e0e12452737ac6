"""SEC003: the catalogue's examples in all their ways, and payloads that hold objects."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from jobs import job, sampled
from judging import accused, in_python, in_ruby, judged, performing
from rewriting import crossed, python, ruby
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Code, Deserializations
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.queues import Argument, Place, Samples, Trait
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.probes.queues.arguments import told

FAULTS = crossed(
    {
        "P1": "import yaml\n@job\ndef f(arg): yaml.load(arg, Loader=yaml.Loader)\n",
        "P2": (
            "import base64, pickle\nloads = pickle.loads\n"
            "class J(Job):\n  def perform(self, arg):\n    return loads(base64.b64decode(arg))\n"
        ),
        "P3": "import torch\n@job\ndef f(path_from_arg): torch.load(path_from_arg, weights_only=False)\n",
        "kept": (
            "import pickle\nclass J(Job):\n  def perform(self, arg):\n    self.raw = arg.encode()\n"
            "    return self.load()\n"
            "  def load(self): return pickle.loads(self.raw)\n"
        ),
        "a file": "import dill\n@job\ndef f(path):\n  with open(path, 'rb') as file: return dill.load(file)\n",
        "each": "import jsonpickle\n@job\ndef f(rows):\n  for row in rows: jsonpickle.decode(row['x'])\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": "import yaml\nfrom yaml import CSafeLoader\n@job\ndef f(s): yaml.load(s, Loader=CSafeLoader)\n",
        "N1, a descendant": (
            "import yaml\nclass Own(yaml.SafeLoader): pass\n@job\ndef f(s): yaml.load(s, Loader=Own)\n"
        ),
        "N3": "from json import loads\n@job\ndef f(arg): loads(arg)\n",
        "a literal": "import pickle\nDATA = b'x'\n@job\ndef f(arg): pickle.loads(DATA)\n",
        "no job": "import pickle\n@job\ndef f(arg): pass\ndef g(arg): pickle.loads(arg)\n",
        "weights": "import torch\n@job\ndef f(path): torch.load(path, weights_only=True)\n",
    },
    python,
)
RUBY_FAULTS = crossed(
    {
        "YAML": performing("YAML.unsafe_load(x)"),
        "Marshal": performing("raw = Base64.decode64(x)", "Marshal.load(raw)"),
        "Psych": performing("Psych.unsafe_load(x['data'])"),
        "each": performing("x.each { |one| Marshal.load(one) }"),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "safe": performing("YAML.safe_load(x)"),
        "JSON": performing("JSON.parse(x)"),
        "its own file": performing("YAML.load_file(Rails.root.join('config', 'shop.yml'))"),
        "a comment": performing("# Marshal.load(x)", "x"),
    },
    ruby,
)
YAML_TEXT = Argument("args[0]", Trait.OBJECT, "Ruby object in YAML")


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("SEC003", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("SEC003", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("SEC003", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("SEC003", tmp_path, text))


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("import pickle\nfrom app import cache\n@job\ndef f(key): pickle.loads(cache.get(key))\n", "medium"),
        ("import pickle\nfrom app import cache\n@job\ndef f(k): pickle.loads(cache.get(k) if k else b'')\n", "medium"),
        ("import pickle\nfrom app import cache\n@job\ndef f(k): pickle.loads(k and cache.get(k))\n", "medium"),
        ("import pickle\nfrom app import cache\n@job\ndef f(k): pickle.loads(k if k else cache.get(k))\n", "high"),
        ("import pickle\nfrom django.core.cache import cache\n@job\ndef f(key): pickle.loads(cache.get(key))\n", "low"),
        ("import pickle\nfrom app import rows\n@job\ndef f(key): pickle.loads(rows.find(key).blob)\n", "low"),
        ("import yaml\n@job\ndef f(arg): yaml.full_load(arg)\n", "medium"),
    ],
)
def test_what_is_not_the_job_s_own_is_milder(tmp_path: Path, text: str, severity: str) -> None:
    assert [one.severity for one in in_python("SEC003", tmp_path, text).findings] == [severity]


@pytest.mark.parametrize(("version", "severities"), [("3.3.2", ["high"]), ("4.0.3", [])])
def test_psych_4_refuses_objects(tmp_path: Path, version: str, severities: list[str]) -> None:
    tree = application(tmp_path, app__jobs__j_DOT_rb=performing("YAML.load(x)"))
    locked = Packages((Package("ruby", "psych", version, "Gemfile.lock"),))
    result = diagnose("SEC003", looked(tree, HEALTHY).with_(locked))

    assert [one.severity for one in result.findings] == severities


def test_delayed_extensions(tmp_path: Path) -> None:
    files = {"config__initializers__sidekiq_DOT_rb": "Sidekiq::Extensions.enable_delay!\n"}
    [one] = judged("SEC003", tmp_path, app__jobs__j_DOT_rb=performing("x"), **files).findings

    assert (one.severity, one.finding.location and one.finding.location.path) == (
        "high",
        "config/initializers/sidekiq.rb",
    )


def test_a_payload_holds_an_object() -> None:
    [one] = diagnose("SEC003", sampled(Place("queue:a", 1, (job(1, arguments=(YAML_TEXT,)),)))).findings

    assert (one.severity, one.finding.subject) == ("high", "job:SendMail")


def test_a_payload_holds_another_s_text() -> None:
    text = Argument("args[0]", Trait.OBJECT, "Ruby object")

    assert diagnose("SEC003", sampled(Place("queue:a", 1, (job(1, arguments=(text,)),)))).outcome is Outcome.PASS


def test_what_delayed_extensions_write_is_known() -> None:
    assert told(["---\n- !ruby/class 'UserMailer'\n- :welcome\n- - 1\n"]) == (YAML_TEXT,)


@pytest.mark.parametrize("kind", [Samples, Deserializations, Code])
def test_what_was_refused_proves_nothing(kind: type) -> None:
    result = diagnose("SEC003", HEALTHY.without(kind, Refused("NOPERM", "+key")))

    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, "NOPERM (to settle it: +key)")
