"""SARIF: the OASIS schema, the spec's rules that no schema can hold, and what GitHub refuses a file for."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from formats import Told, counts, schema
from jsonschema import Draft7Validator

from kiqdoctor.doctor.report import Evidence, Finding, Report, Severity
from kiqdoctor.render.formats import sarif
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.view import Profile, View

Build = Callable[..., Report]

VALIDATOR = Draft7Validator(schema("sarif-2.1.0.schema.json"))
profiles = pytest.mark.parametrize("profile", Profile)


def run(report: Report, profile: Profile = Profile.FINDINGS, ground: Ground | None = None) -> dict[str, Any]:
    [found] = json.loads(sarif.render(report, View(ground=ground or Ground(), profile=profile)))["runs"]
    return dict(found)


def valid(text: str) -> None:
    VALIDATOR.validate(json.loads(text))


def told(text: str) -> Iterator[Told]:
    [found] = json.loads(text)["runs"]
    yield "status", found["invocations"][0]["exitCode"]
    yield "summary", found["properties"]["summary"]
    yield "counts", counts(one["properties"]["severity"] for one in found["results"] if not one["suppressions"])
    yield "complete", found["invocations"][0]["executionSuccessful"]


def broken_rules(run: dict[str, Any]) -> Iterator[str]:
    """The rules of the specification that its schema cannot see."""
    rules = run["tool"]["driver"]["rules"]
    if len({rule["id"] for rule in rules}) < len(rules):
        yield "3.19.23: rules are not unique"
    suppressions = {"suppressions" in result for result in run["results"]}
    if len(suppressions) > 1:
        yield "3.27.23: suppressions in some results and not in others"
    for result in run["results"]:
        if result.get("kind", "fail") != "fail" and result.get("level") != "none":
            yield "3.27.9: a level without a failure"
        if rules[result["ruleIndex"]]["id"] != result["ruleId"]:
            yield "3.27.6: ruleIndex is another rule's"
        for location in result["locations"]:
            if "physicalLocation" not in location and not location.get("logicalLocations"):
                yield "3.28.4: a location that is nowhere"
    [invocation] = run["invocations"]
    errors = [one for one in invocation["toolExecutionNotifications"] if one["level"] == "error"]
    if bool(errors) == invocation["executionSuccessful"]:
        yield "3.20.21: an error among notifications means that the run failed"


def what_github_refuses(run: dict[str, Any]) -> Iterator[str]:
    for rule in run["tool"]["driver"]["rules"]:
        texts = [rule[key]["text"] for key in ("shortDescription", "fullDescription", "help")]
        if not all(texts) or max(map(len, texts[:2])) > 1024:
            yield "a rule without its texts, or a description above 1,024 characters"
        if len(rule["name"]) > 255 or len(rule["properties"]["tags"]) > 20:
            yield "a name or tags above the limit"
    for result in run["results"]:
        if not result["message"]["text"]:
            yield "no message"
        if "primaryLocationLineHash" not in result["partialFingerprints"] and result["kind"] == "fail":
            yield "no fingerprint that GitHub knows"
        yield from what_is_no_place(result["locations"])


def what_is_no_place(locations: list[dict[str, Any]]) -> Iterator[str]:
    if not locations:
        yield "no location"
    for location in locations:
        region = location["physicalLocation"]["region"]
        if min(region[key] for key in ("startLine", "startColumn", "endLine", "endColumn")) < 1:
            yield "a region that does not exist"
        uri = urlsplit(location["physicalLocation"]["artifactLocation"]["uri"])
        if any((uri.scheme, uri.netloc, uri.query, uri.fragment)) or not uri.path or uri.path.startswith(("/", "./")):
            yield "a path that is not one of the repository"


@profiles
@pytest.mark.parametrize("suppressed", [False, True])
@pytest.mark.parametrize("status", [0, 1, 3])
def test_every_profile_is_valid(report: Build, profile: Profile, suppressed: bool, status: int) -> None:
    text = sarif.render(report(suppressed=suppressed, status=status), View(profile=profile))
    [found] = json.loads(text)["runs"]

    valid(text)
    assert list(broken_rules(found)) == []
    assert list(what_github_refuses(found)) == []
    assert text.isascii()


@profiles
def test_a_megabyte_in_every_field_is_valid_and_small(hostile: Report, profile: Profile) -> None:
    text = sarif.render(hostile, View(profile=profile))

    valid(text)
    assert len(text) < 200_000


def test_a_finding_stands_where_it_is_and_else_where_its_evidence_is_and_else_at_the_anchor(report: Build) -> None:
    located, bare = run(report("jobs/a b.py"), ground=Ground(anchor="Gemfile"))["results"]

    assert places(located) == ("jobs/a b.py", {"startLine": 3, "startColumn": 4, "endLine": 3, "endColumn": 5})
    assert places(bare) == ("Gemfile", {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2})
    assert bare["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "queue:jobs/a b.py"


def places(result: dict[str, Any]) -> tuple[str, dict[str, int]]:
    [location] = result["locations"]
    physical = location["physicalLocation"]
    return unquote(physical["artifactLocation"]["uri"]), physical["region"]


@pytest.mark.parametrize(
    ("source", "path", "line"),
    [
        ("config/puma.rb:7", "config/puma.rb", 7),
        ("Procfile", "Procfile", 1),
        ("INFO clients", "kiqdoctor.toml", 1),
        ("/proc/4711/cmdline", "kiqdoctor.toml", 1),
        ("../../etc/cron.yml", "kiqdoctor.toml", 1),
        ("lib/a.rb; lib/b.rb", "kiqdoctor.toml", 1),
    ],
)
def test_only_what_is_a_file_is_taken_for_one(report: Build, source: str, path: str, line: int) -> None:
    whole = report("x")
    first = whole.results[0]
    bare = replace(first.findings[0], finding=Finding("redis", "ill", "", (Evidence("a", "b", source),)))
    one = replace(whole, results=(replace(first, findings=(bare,)),))

    [result] = run(one)["results"]

    assert places(result)[0] == path
    assert places(result)[1]["startLine"] == line


def test_paths_are_those_of_the_repository_where_the_application_is_a_folder_in_it(report: Build) -> None:
    located, bare = run(report("jobs.py"), ground=Ground("services/mail/", "Procfile"))["results"]

    assert places(located)[0] == "services/mail/jobs.py"
    assert places(bare)[0] == "services/mail/Procfile"


def test_suppressed_findings_say_so_and_why_and_github_never_sees_them(report: Build) -> None:
    known = report("known since May", suppressed=True)

    assert run(known)["results"][0]["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "known since May"}
    ]
    assert run(report("x"))["results"][0]["suppressions"] == []
    assert run(known, Profile.GITHUB)["results"] == []
    assert "suppressions" not in run(report("x"), Profile.GITHUB)["results"][0]


def test_github_keeps_the_worst_where_there_are_too_many(report: Build) -> None:
    whole = report("x", severity=Severity.LOW)
    first = whole.results[0]
    critical = replace(first.findings[0], severity=Severity.CRITICAL)
    many = replace(whole, results=(replace(first, findings=(*[first.findings[0]] * 6000, critical)),))

    results = run(many, Profile.GITHUB)["results"]

    assert len(results) == 5000
    assert results[0]["properties"]["severity"] == "critical"


def test_equal_fingerprints_are_told_apart(report: Build) -> None:
    whole = report("x")
    first = whole.results[0]
    twice = replace(whole, results=(replace(first, findings=(first.findings[0],) * 2),))

    one, other = (result["partialFingerprints"]["primaryLocationLineHash"] for result in run(twice)["results"])

    assert one != other
    assert one.split(":")[0] == other.split(":")[0]


def test_the_complete_profile_has_every_outcome(report: Build) -> None:
    kinds = [result["kind"] for result in run(report("x"), Profile.COMPLETE)["results"]]

    assert sorted(kinds) == ["fail", "fail", "notApplicable", "open", "pass"]


def test_rules_carry_their_pages(report: Build) -> None:
    rule = run(report("x"))["tool"]["driver"]["rules"][0]

    assert rule["shortDescription"]["text"] == "Something is ill."
    assert rule["fullDescription"]["text"] == "Jobs wait."
    assert "## How to fix\nMend it." in rule["help"]["markdown"]
    assert rule["defaultConfiguration"] == {"level": "error"}


def test_what_could_not_be_judged_is_a_notification(report: Build) -> None:
    [invocation] = run(report("NOPERM"))["invocations"]
    [blind] = invocation["toolExecutionNotifications"]

    assert blind["associatedRule"] == {"id": "TST002", "index": 1}
    assert "NOPERM" in blind["message"]["text"]


def test_no_text_becomes_a_link_or_a_placeholder(report: Build) -> None:
    text = run(report("see [here](http://evil) and {0}"))["results"][0]["message"]["text"]

    assert "](" not in text
    assert "{0}" not in text
