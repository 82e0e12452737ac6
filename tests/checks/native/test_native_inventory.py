"""NAT001: an inventory is a pass; what cannot load is a finding."""

from dataclasses import replace

from healthy import HEALTHY

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.native import Extension, NativeCode, NativePackage
from kiqdoctor.doctor.report import Outcome

ONE = Extension("a/_a.cpython-311-x86_64-linux-gnu.so", "a", "1.0", ("libz.so.1", "libc.so.6"), machine="x86_64")
CODE = NativeCode((NativePackage("python", "a", "1.0", "/venv"),), (ONE,), ("/venv",), "cpython-311")


def test_an_inventory_is_the_evidence_of_a_pass() -> None:
    result = diagnose("NAT001", HEALTHY.with_(CODE))

    assert result.outcome is Outcome.PASS
    assert any(one.label == "a 1.0" and "libz.so.1" in one.value for one in result.evidence)


def test_a_missing_library() -> None:
    broken = replace(CODE, extensions=(replace(ONE, missing=("libz.so.1",)),))

    [finding] = diagnose("NAT001", HEALTHY.with_(broken)).findings

    assert finding.severity == "high"
    assert "needs libz.so.1" in finding.finding.title


def test_another_interpreter_s_build() -> None:
    broken = replace(CODE, extensions=(replace(ONE, problem="built for cpython-310, the environment is cpython-311"),))

    assert diagnose("NAT001", HEALTHY.with_(broken)).outcome is Outcome.FAIL


def test_without_the_gil() -> None:
    netcdf = replace(CODE.packages[0], name="netCDF4")

    assert diagnose("NAT001", HEALTHY.with_(replace(CODE, gil=False))).findings[0].severity == "medium"
    assert (
        diagnose("NAT001", HEALTHY.with_(replace(CODE, gil=False, packages=(netcdf,)))).findings[0].severity == "high"
    )
    declared = replace(CODE.packages[0], free_threading=True)
    assert diagnose("NAT001", HEALTHY.with_(replace(CODE, gil=False, packages=(declared,)))).outcome is Outcome.PASS


def test_a_lock_file_alone_says_nothing_of_what_is_linked() -> None:
    result = diagnose("NAT001", HEALTHY.with_(replace(CODE, lock_only=("nokogiri 1.16.0",))))

    assert result.outcome is Outcome.UNKNOWN
    assert "nokogiri" in (result.reason or "")
