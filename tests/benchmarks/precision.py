"""What the static half says of real applications, and how much of it is true: ``python tests/benchmarks/precision.py``.

FOLDER holds them, as checkouts or as git directories, each called ``owner+name``; which, and at which commit, is said
by ``applications/applications.tsv``. Every finding is looked up in ``applications/verdicts.tsv``, which was filled by
opening the source of each. Exit status 1 where a finding of medium or above has no verdict there, outside preview, or
precision misses its goal.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "applications"
PAGE: Final = Path(__file__).parents[2] / "docs" / "precision.md"
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
READ: Final = SEVERITIES[:3]  # those of which every finding is read
WORDS: Final = ("true", "false", "debatable", "unread")
GOAL: Final = 0.95
RULE_GOAL: Final = 0.90
MARK: Final = "<!-- figures -->"


@dataclass(frozen=True)
class Application:
    """One application at one commit."""

    name: str
    commit: str
    language: str


@dataclass(frozen=True)
class Rule:
    """A check that reads files."""

    id: str
    name: str
    preview: bool


@dataclass(frozen=True)
class Found:
    """A finding, by what a verdict knows it."""

    application: str
    check: str
    severity: str
    fingerprint: str
    title: str
    place: str


@dataclass(frozen=True)
class Examined:
    """What was said of one application."""

    application: Application
    findings: tuple[Found, ...]
    unknown: tuple[str, ...]
    seconds: float
    seen: str


@dataclass(frozen=True)
class Judged:
    """One rule's figures at medium and above; ``everything`` counts findings by severity."""

    rule: Rule
    everything: Counter[str]
    verdicts: Counter[str]
    unknown: int

    @property
    def precision(self) -> float | None:
        """What part of those that are true or false is true; None where there is none."""
        return share(self.verdicts)


def share(verdicts: Counter[str]) -> float | None:
    """The precision of these verdicts."""
    decided = verdicts["true"] + verdicts["false"]
    return verdicts["true"] / decided if decided else None


Verdicts = dict[tuple[str, str, str], str]


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table with tabs, by the names in its first line."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def rules() -> list[Rule]:
    """Every check with a static half."""
    listed = json.loads(doctor("list", "--format", "json"))
    return [Rule(one["check"], one["name"], one["preview"]) for one in listed if one["static"]]


def doctor(*words: str) -> str:
    """What the command prints."""
    environment = {**os.environ, "KIQDOCTOR_CACHE": "off"}
    command = [sys.executable, "-m", "kiqdoctor", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def laid_out(folder: Path, one: Application, scratch: Path) -> Path | None:
    """The application's files at its commit; None where the folder has them not."""
    here = folder / one.name.replace("/", "+")
    for git in (here, here / ".git", here / "repo"):
        if (git / "HEAD").is_file():
            target = scratch / here.name
            target.mkdir()
            return target if checked_out(git, one.commit, target) else None
    return here if here.is_dir() else None


def checked_out(git: Path, commit: str, target: Path) -> bool:
    """Whether a commit's files could be written out, by git and with nothing of that repository's own run.

    A snapshot may lack very large files; the others are written out all the same.
    """
    environment = {**os.environ, "GIT_INDEX_FILE": f"{target}.index"}
    at = ["git", "-c", "core.hooksPath=", "-c", "core.fsmonitor=false", "--git-dir", str(git)]
    if subprocess.run([*at, "read-tree", commit], capture_output=True, check=False, env=environment).returncode:
        return False
    out = [*at, "--work-tree", str(target), "checkout-index", "--all", "--quiet"]
    subprocess.run(out, capture_output=True, check=False, env=environment)
    return True


def examined(one: Application, path: Path, chosen: Iterable[Rule], keep: Path | None) -> Examined:
    """One application, by every rule, those in preview too; ``keep``: where its report lies, or is to lie."""
    ids = ",".join(rule.id for rule in chosen)
    words = ("--static", "--isolated", "--select", ids, "--fail-on", "never", "--timeout", "300", "--format", "json")
    kept = keep / f"{one.name.replace('/', '+')}.json" if keep else None
    if kept is None or not kept.exists():
        began = time.perf_counter()
        text = doctor("check", str(path), *words)
        seconds = time.perf_counter() - began
        if kept is not None:
            kept.write_text(json.dumps([seconds, text]), encoding="utf-8")
    else:
        seconds, text = json.loads(kept.read_text(encoding="utf-8"))
    report = json.loads(text)
    found = tuple(found_in(one.name, report["results"]))
    unknown = tuple(result["check"] for result in report["results"] if result["outcome"] == "unknown")
    seen = {
        evidence["value"]
        for result in report["results"]
        for evidence in result["evidence"]
        if evidence["label"] == "looked at" and "source files" in evidence["value"]
    }
    return Examined(one, found, unknown, seconds, next(iter(seen), ""))


def found_in(name: str, results: list[dict[str, object]]) -> Iterator[Found]:
    """The findings of a report."""
    for result in results:
        for one in json.loads(json.dumps(result["findings"])):
            place = one["location"] or {"path": "", "line": ""}
            where = f"{place['path']}:{place['line']}"
            yield Found(name, str(result["check"]), one["severity"], one["fingerprint"], one["title"], where)


def judged(rule: Rule, all_: Iterable[Examined], verdicts: Verdicts, commits: dict[str, str]) -> Judged:
    """One rule's figures over all applications."""
    everyone = list(all_)
    mine = [one for examination in everyone for one in examination.findings if one.check == rule.id]
    said = Counter(
        verdicts.get((one.application, commits[one.application], one.fingerprint), "unread")
        for one in mine
        if one.severity in READ
    )
    return Judged(rule, Counter(one.severity for one in mine), said, sum(rule.id in one.unknown for one in everyone))


def figure(value: float | None) -> str:
    """A share as it is shown."""
    return "-" if value is None else f"{value:.2f}"


def table(all_: list[Judged]) -> Iterator[str]:
    """The figures by rule, in Markdown."""
    yield f"| rule | {' | '.join(SEVERITIES)} | unknown in | {' | '.join(WORDS)} | precision |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for one in all_:
        counts = " | ".join(str(one.everything[severity] or "") for severity in SEVERITIES)
        said = " | ".join(str(one.verdicts[word] or "") for word in WORDS)
        name = f"{one.rule.id} {one.rule.name}" + (" (preview)" if one.rule.preview else "")
        yield f"| {name} | {counts} | {one.unknown or ''} | {said} | {figure(one.precision)} |"
    total = sum((one.verdicts for one in all_ if not one.rule.preview), Counter[str]())
    sums = " | ".join(str(sum(one.everything[s] for one in all_ if not one.rule.preview)) for s in SEVERITIES)
    said = " | ".join(str(total[word]) for word in WORDS)
    yield f"| **all outside preview** | {sums} | | {said} | **{figure(share(total))}** |"


def page(all_: list[Judged], everyone: list[Examined]) -> Iterator[str]:
    """The part of the page that this script writes."""
    yield from table(all_)
    yield ""
    silent = [one.rule.id for one in all_ if not one.everything.total()]
    yield f"Found nothing anywhere: {', '.join(silent) or 'none of them'}."
    yield ""
    yield "| application | commit | language | looked at | findings at medium and above | seconds |"
    yield "|---|---|---|---|---|---|"
    for one in everyone:
        graver = sum(finding.severity in READ for finding in one.findings)
        name, commit = one.application.name, one.application.commit[:12]
        yield f"| {name} | {commit} | {one.application.language} | {one.seen} | {graver or ''} | {one.seconds:.0f} |"


def missed(all_: list[Judged]) -> Iterator[str]:
    """What keeps the goal from being met."""
    counted = [one for one in all_ if not one.rule.preview]
    for one in counted:
        if one.precision is not None and one.precision < RULE_GOAL:
            yield f"{one.rule.id} has a precision of {one.precision:.2f}; a rule below {RULE_GOAL} belongs in preview"
    whole = share(sum((one.verdicts for one in counted), Counter[str]()))
    if whole is not None and whole < GOAL:
        yield f"the precision of all together is {whole:.2f}, and must be {GOAL}"
    for one in counted:
        if one.verdicts["unread"]:
            yield f"{one.verdicts['unread']} findings of {one.rule.id} have no verdict"


def written(lines: Iterable[str]) -> None:
    """The page, with these figures below its mark."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0] if PAGE.exists() else ""
    PAGE.write_text("\n".join([above + MARK, *lines]) + "\n", encoding="utf-8")


def told(finding: Found, commit: str) -> str:
    """A line for the table of verdicts, its verdict open."""
    words = (finding.application, commit, finding.severity, finding.fingerprint, "", f"{finding.place} {finding.title}")
    return "\t".join(words)


def main() -> int:
    """Examine, judge, tell; 1 where the goal is missed."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--applications", type=Path, default=DATA / "applications.tsv")
    words.add_argument("--only", default="", help="applications whose name holds this")
    words.add_argument("--select", default="", help="rules by id, with commas; else all that read files")
    words.add_argument("--all", action="store_true", help="show findings of low and info too")
    words.add_argument("--write", action="store_true", help="write the figures into docs/precision.md")
    words.add_argument("--side-by-side", type=int, default=1)
    words.add_argument("--keep", type=Path, help="a folder of reports; what lies there is not examined again")
    asked = words.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    applications = [Application(**row) for row in renamed(rows(asked.applications)) if asked.only in row["name"]]
    chosen = [one for one in rules() if not asked.select or one.id in asked.select.split(",")]
    verdicts = {
        (row["application"], row["commit"], row["fingerprint"]): row["verdict"] for row in rows(DATA / "verdicts.tsv")
    }
    commits = {one.name: one.commit for one in applications}

    def one_of(one: Application) -> Examined | None:
        with tempfile.TemporaryDirectory() as scratch:
            path = laid_out(asked.folder, one, Path(scratch))
            return examined(one, path, chosen, asked.keep) if path else None

    with ThreadPoolExecutor(asked.side_by_side) as pool:
        answers = list(pool.map(one_of, applications))
    everyone = [one for one in answers if one is not None]
    absent = [one.name for one, answer in zip(applications, answers, strict=True) if answer is None]
    for finding in (one for examination in everyone for one in examination.findings):
        known = (finding.application, commits[finding.application], finding.fingerprint) in verdicts
        if not known and (asked.all or finding.severity in READ):
            print(told(finding, commits[finding.application]))
    all_ = [judged(rule, everyone, verdicts, commits) for rule in chosen]
    lines = list(page(all_, everyone))
    print("\n".join(lines))
    if asked.write:
        written(lines)
    wrong = [*missed(all_), *(f"{name} is not in the folder" for name in absent)]
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


def renamed(found: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """The rows of the applications' table, as the record has its fields."""
    for one in found:
        yield {"name": one["application"], "commit": one["commit"], "language": one["language"]}


if __name__ == "__main__":
    sys.exit(main())
