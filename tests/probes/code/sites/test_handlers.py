"""Clauses that catch: what, and whether they raise again."""

import textwrap
from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import Ending, Handlers

RAISES, SOMETIMES, SWALLOWS = Ending.RAISES, Ending.SOMETIMES, Ending.SWALLOWS


def handled(root: Path, **written: str) -> list[tuple[tuple[str, ...], Ending, bool]]:
    found = lines(application(root, **written), Handlers)
    return [(site.catches, site.ending, site.final) for site, *_ in found]


@pytest.mark.parametrize(
    ("clause", "catches", "ending"),
    [
        ("except:\n  log()", (), SWALLOWS),
        ("except BaseException:\n  rollback(); raise", ("BaseException",), RAISES),
        ("except BaseException as e:\n  raise Other() from e", ("BaseException",), RAISES),
        ("except BaseException as e:\n  if ok(e): return\n  raise", ("BaseException",), SOMETIMES),
        ("except (KeyError, err.Mine):\n  pass", ("KeyError", "lib.err.Mine"), SWALLOWS),
        ("except Exception:\n  if a: raise\n  elif b: raise\n  else: raise", ("Exception",), RAISES),
        ("except Exception:\n  if a: raise\n  elif b: raise", ("Exception",), SOMETIMES),
        ("except Exception:\n  with x: raise", ("Exception",), RAISES),
        ("except Exception:\n  for x in y: raise", ("Exception",), SOMETIMES),
        ("except Exception:\n  try: raise\n  except Exception: pass", ("Exception",), SWALLOWS),
        ("except Exception:\n  try: undo()\n  finally: raise", ("Exception",), RAISES),
        ("except Exception:\n  sys.exit(1)", ("Exception",), RAISES),
        ("except Exception:\n  match a:\n    case 1: raise", ("Exception",), SOMETIMES),
        ("except made():\n  pass", ("?",), SWALLOWS),
    ],
)
def test_python(tmp_path: Path, clause: str, catches: tuple[str, ...], ending: Ending) -> None:
    body = textwrap.indent(f"try: work()\n{clause}\n", "  ")
    found = handled(tmp_path, shop_DOT_py=f"import sys\nfrom lib import err\ndef f(a, b, y):\n{body}")

    assert found[0] == (catches if catches != ("?",) else ("shop.made()",), ending, False)


@pytest.mark.parametrize(
    ("final", "leaves"),
    [("continue", True), ("return", True), ("close()", False), ("for a in b: continue", False)],
)
def test_a_finally_that_leaves(tmp_path: Path, final: str, leaves: bool) -> None:
    text = f"def f(xs):\n  for x in xs:\n    try: work(x)\n    finally:\n      {final}\n"

    assert handled(tmp_path, shop_DOT_py=text) == ([((), SWALLOWS, True)] if leaves else [])


@pytest.mark.parametrize(
    ("clause", "catches", "ending"),
    [
        ("rescue\n  log", ("StandardError",), SWALLOWS),
        ("rescue Exception => e\n  log e", ("Exception",), SWALLOWS),
        ("rescue Exception\n  cleanup\n  raise", ("Exception",), RAISES),
        ("rescue Exception => e\n  raise Other, e.message", ("Exception",), RAISES),
        ("rescue Exception => e\n  raise unless ok?(e)", ("Exception",), SOMETIMES),
        ("rescue *[Exception, A::B]\n  log", ("Exception", "A::B"), SWALLOWS),
        ("rescue A, ::B\n  if x\n    raise\n  else\n    raise\n  end", ("A", "B"), RAISES),
        ("rescue A\n  case x\n  when 1 then raise\n  end", ("A",), SOMETIMES),
        ("rescue A\n  job.raise", ("A",), SWALLOWS),
        ("rescue A\n  retry", ("A",), SWALLOWS),
    ],
)
def test_ruby(tmp_path: Path, clause: str, catches: tuple[str, ...], ending: Ending) -> None:
    found = handled(tmp_path, a_DOT_rb=f"def f\n  work\n{clause}\nend\n")

    assert found == [(catches, ending, False)]


def test_ruby_s_modifier_and_its_blocks(tmp_path: Path) -> None:
    assert handled(tmp_path, a_DOT_rb="x = work rescue nil\n") == [(("StandardError",), SWALLOWS, False)]
    assert handled(tmp_path / "b", a_DOT_rb="f do\n  work\nrescue Exception\n  raise\nend\n") == [
        (("Exception",), RAISES, False)
    ]


@pytest.mark.parametrize(("final", "leaves"), [("return", True), ("close", False)])
def test_an_ensure_that_leaves(tmp_path: Path, final: str, leaves: bool) -> None:
    text = f"def f\n  work\nensure\n  {final}\nend\n"

    assert handled(tmp_path, a_DOT_rb=text) == ([((), SWALLOWS, True)] if leaves else [])
