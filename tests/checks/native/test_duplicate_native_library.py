"""NAT002: what is a second copy, and what only has a similar name."""

import pytest
from healthy import HEALTHY

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import Libraries, LocalProcesses, Mapped
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def mapped(*paths: str) -> Snapshot:
    files = tuple(Mapped(path, str(number)) for number, path in enumerate(paths))
    return HEALTHY.with_(Libraries(((4711, files),)))


SITE = "/venv/lib/python3.12/site-packages"


@pytest.mark.parametrize(
    ("paths", "severity"),
    [
        (("/usr/lib/libssl.so.3", f"{SITE}/psycopg2_binary.libs/libssl-2e1a9f0c.so.3"), "info"),
        (("/usr/lib/libssl.so.3", "/usr/lib/libssl.so.1.1"), "medium"),
        (("/usr/lib/libssl.so.3", "/opt/lib/libssl.so.3"), "info"),
        (("/usr/lib/libgomp.so.1.0.0", f"{SITE}/torch/lib/libiomp5.so"), "medium"),
        ((f"{SITE}/faiss.libs/libgomp-a34b3233.so.1.0.0", "/usr/lib/libgomp.so.1.0.0"), "medium"),
        (("/usr/lib/libkrb5.so.3", "/usr/lib/libkrb5support.so.0"), ""),
        ((f"{SITE}/a/etree.cpython-312.so", f"{SITE}/b/etree.cpython-312.so"), ""),
        (("/usr/lib/libruby-3.1.so.3.1", "/usr/lib/libc.so.6"), ""),
    ],
)
def test_copies(paths: tuple[str, ...], severity: str) -> None:
    found = diagnose("NAT002", mapped(*paths))

    assert [str(one.severity) for one in found.findings] == ([severity] if severity else [])


def test_one_file_under_two_names_is_one() -> None:
    same = (Mapped("/usr/lib/libssl.so.3", "9"), Mapped("/lib/libssl.so.3.0.9", "9"))

    assert diagnose("NAT002", HEALTHY.with_(Libraries(((4711, same),)))).outcome is Outcome.PASS


def test_a_map_that_may_not_be_read_is_unknown() -> None:
    assert diagnose("NAT002", HEALTHY.with_(Libraries((), (4711,)))).outcome is Outcome.UNKNOWN
    assert diagnose("NAT002", HEALTHY.with_(LocalProcesses("web-9"))).outcome is Outcome.UNKNOWN
