"""``x.send(:name, ...)`` with a literal is ``x.name(...)`` to every rule about Ruby."""

from pathlib import Path

import pytest
from judging import accused, in_ruby, performing

K = "class K\n  include Sidekiq::Job\n  def perform(*x); end\nend\n"
PLAIN = {
    "COD004": "Timeout.{}timeout{}5) {{ x.go }}",
    "COD006": "K.{}perform_async{}Date.today)",
    "COD007": "Dir.{}chdir{}x)",
    "COD008": "Process.{}fork{}nil)",
    "COD012": "ActiveRecord::Base.{}establish_connection{}x)",
    "SEC003": "Marshal.{}load{}x)",
}


def _said(check: str, root: Path, before: str, after: str) -> bool:
    return accused(in_ruby(check, root, performing(PLAIN[check].format(before, after), head=K)))


@pytest.mark.parametrize("check", PLAIN)
@pytest.mark.parametrize("send", ["send", "public_send", "__send__"])
def test_a_literal_is_the_method(tmp_path: Path, check: str, send: str) -> None:
    assert _said(check, tmp_path / "plain", "", "(")
    assert _said(check, tmp_path / "symbol", f"{send}(:", ", ")
    assert _said(check, tmp_path / "text", f'{send}("', '", ')


@pytest.mark.parametrize("check", PLAIN)
def test_a_name_that_is_computed_is_nobody_s(tmp_path: Path, check: str) -> None:
    assert not _said(check, tmp_path, "send(x, :", ", ")


def test_what_it_hands_over_begins_after_the_name(tmp_path: Path) -> None:
    assert not accused(in_ruby("COD006", tmp_path, performing("K.send(:perform_async, x.id)", head=K)))
