"""A recording of code holds each path and each name of a function once a function, however many sites there are."""

from pathlib import Path

from healthy import HEALTHY
from source import application, looked, readers

from kiqdoctor.doctor.facts.code import Calls, Code
from kiqdoctor.doctor.recording import Recording, dump, load
from kiqdoctor.doctor.report import Cost, Target
from kiqdoctor.doctor.snapshot import Snapshot

DEEP = "".join(f"def step{n}(): step{n + 1}()\n" for n in range(30))
LAST = "import os\ndef step30():\n" + "".join(f"  os.putenv('A', {n})\n" for n in range(500))
TEXT = f"from kiqdoctor import job\n@job\ndef begin(): step0()\n{DEEP}{LAST}"
KINDS = [reader.fact for reader in readers()]


def recorded(snapshot: Snapshot) -> bytes:
    return dump(Recording(snapshot, Target(None, None, "shop"), 1.0, "0.1.0", Cost()))


def test_no_site_copies_its_chain_or_its_path(tmp_path: Path) -> None:
    snapshot = looked(application(tmp_path, a_long_path__deep_DOT_py=TEXT), Snapshot())
    code, calls = snapshot.get(Code), snapshot.get(Calls)
    assert isinstance(code, Code)
    assert isinstance(calls, Calls)
    deepest = [site for site in calls.sites if site.name == "os.putenv"]
    raw = recorded(snapshot)

    assert len(deepest) == 500
    assert all(len(code.chain(site)) == 32 for site in deepest)
    assert raw.count(b"a_long_path/deep.py") == len(code.functions)


def test_a_replay_has_the_same_facts(tmp_path: Path) -> None:
    snapshot = looked(application(tmp_path, deep_DOT_py=TEXT, j_DOT_rb="X.go(1)\n"), Snapshot())
    again = load(recorded(snapshot), KINDS).snapshot

    assert {kind: again.get(kind) for kind in KINDS} == {kind: snapshot.get(kind) for kind in KINDS}


def test_the_healthy_facts_are_recorded_too() -> None:
    again = load(recorded(HEALTHY), KINDS).snapshot

    assert all(again.get(kind) == HEALTHY.get(kind) for kind in KINDS)
