"""Comments that ask to be spared: which lines they speak of, in each kind of file."""

from pathlib import Path

import pytest
from trees import tree

from kiqdoctor.doctor.facts.code import Ignores
from kiqdoctor.probes.code.ignores import ignores

PYTHON = """import os

# kiqdoctor: ignore[COD007] one process, one tenant

os.environ["A"] = "1"
call(
    1,  # kiqdoctor: ignore[COD010,COD009] spans the statement
    2,
)
text = "# kiqdoctor: ignore[COD001] in a string"
x = 1  # kiqdoctor: ignore[COD002]
"""
RUBY = """class Mail
  # kiqdoctor: ignore[COD002] counted at boot
  # more words
  @@seen = 0
  def perform
    HTTP.get(
      1) # kiqdoctor: ignore[network-without-timeout] bounded by the proxy
  end
end
TEXT = "# kiqdoctor: ignore[COD001] in a string"
"""
YAML = """:queues:
  # kiqdoctor: ignore[CFG001] twice on purpose
  - mail
  - mail # kiqdoctor: ignore[CFG001] here
"""


def found(root: Path, name: str, text: str) -> list[tuple[int, tuple[str, ...], str, tuple[int, ...]]]:
    fact: Ignores = ignores.read(tree(root, {name: text}))
    return [(one.line, one.checks, one.reason, one.lines) for one in fact.all]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (
            "a.py",
            PYTHON,
            [
                (3, ("COD007",), "one process, one tenant", (3, 5)),
                (7, ("COD010", "COD009"), "spans the statement", (6, 7, 8, 9)),
                (11, ("COD002",), "", (11,)),
            ],
        ),
        (
            "app/mail.rb",
            RUBY,
            [
                (2, ("COD002",), "counted at boot", (2, 4)),
                (7, ("network-without-timeout",), "bounded by the proxy", (6, 7)),
            ],
        ),
        (
            "config/sidekiq.yml",
            YAML,
            [(2, ("CFG001",), "twice on purpose", (2, 3)), (4, ("CFG001",), "here", (4,))],
        ),
        ("b.py", "# kiqdoctor: ignore because of me\nx = (\n", [(1, (), "because of me", (1, 2))]),
        ("c.py", "x = 1  # kiqdoctor is a doctor; kiqdoctor: no\n", []),
    ],
)
def test_it_speaks_of_its_statement_or_of_the_next(tmp_path: Path, name: str, text: str, wanted: list[object]) -> None:
    assert found(tmp_path, name, text) == wanted
