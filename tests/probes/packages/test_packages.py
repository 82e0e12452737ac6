"""Packages by every file that names them."""

from pathlib import Path

import pytest

from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.tools import Application
from kiqdoctor.probes.packages.packages import packages
from kiqdoctor.probes.tree.tree import Tree

GEMFILE_LOCK = """\
GIT
  remote: x
  revision: abc
  specs:
    local (0.1.0)

GEM
  remote: y
  specs:
    nokogiri (1.16.0-x86_64-linux)
      racc (~> 1.4)
    sidekiq (7.3.9)
      redis-client (>= 0.23.2)
    racc (1.8.1)

PLATFORMS
  x86_64-linux

DEPENDENCIES
  local!
  sidekiq (~> 7.3)

RUBY VERSION
   ruby 3.2.2p53

BUNDLED WITH
   2.4.10
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


def read(root: Path, **written: str) -> Packages:
    for name, text in written.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".").replace("_DASH_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found: Packages = packages.read(Application(root), Tree(root))
    return found


def versions(found: Packages) -> dict[str, str]:
    return {one.name: one.version for one in found.all}


def test_gemfile_lock(tmp_path: Path) -> None:
    found = read(tmp_path, Gemfile_DOT_lock=GEMFILE_LOCK)

    assert versions(found) == {
        "local": "0.1.0", "nokogiri": "1.16.0", "sidekiq": "7.3.9", "racc": "1.8.1", "ruby": "3.2.2",
    }  # fmt: skip
    [nokogiri] = found.find("ruby", "nokogiri")
    assert (nokogiri.platform, nokogiri.line, nokogiri.direct) == ("x86_64-linux", 10, False)
    assert found.find("ruby", "sidekiq")[0].direct


def test_gemfile_lock_with_other_line_ends(tmp_path: Path) -> None:
    assert versions(read(tmp_path, Gemfile_DOT_lock=GEMFILE_LOCK.replace("\n", "\r\n")))["sidekiq"] == "7.3.9"


@pytest.mark.parametrize("text", ["", "nonsense", GEMFILE_LOCK.replace("    racc (1.8.1)", "<<<<<<< HEAD\n")])
def test_a_lock_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, Gemfile_DOT_lock=text).unreadable[0][0] == "Gemfile.lock"


def test_requirements(tmp_path: Path) -> None:
    text = (
        "# all\nDjango==4.2.1  # web\nrequests[socks]>=2\nnetCDF4==1.6.5 \\\n    --hash=sha256:abc\n-r more.txt\n"
        "--index-url x\npywin32==1; sys_platform == 'win32'\nurl @ https://example.org/a.whl\n-e .\nbroken ==??\n"
    )
    (tmp_path / "more.txt").write_text("boto==2.49.0\n-r requirements.txt\n")

    found = read(tmp_path, requirements_DOT_txt=text)

    assert versions(found) == {"django": "4.2.1", "requests": "", "netcdf4": "1.6.5", "boto": "2.49.0", "url": ""}


def test_uv_lock(tmp_path: Path) -> None:
    text = """
version = 1
[[package]]
name = "shop"
version = "0.1"
source = { editable = "." }
dependencies = [{ name = "netcdf4" }]
[[package]]
name = "netCDF4"
version = "1.7.2"
[[package]]
name = "numpy"
version = "2.0.0"
"""
    found = read(tmp_path, uv_DOT_lock=text, pyproject_DOT_toml="[project]\nname='shop'\ndependencies=['netcdf4']\n")

    assert versions(found) == {"netcdf4": "1.7.2", "numpy": "2.0.0"}
    assert [one.name for one in found.all if one.direct] == ["netcdf4"]


def test_an_installed_environment(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        _DOT_venv__lib__python3_DOT_12__site_DASH_packages__netCDF4_DASH_1_DOT_7_DOT_2_DOT_dist_DASH_info__METADATA="",
    )

    [one] = found.all
    assert (one.name, one.version, one.installed) == ("netcdf4", "1.7.2", True)


def test_a_broken_lock_beside_a_good_file(tmp_path: Path) -> None:
    found = read(tmp_path, uv_DOT_lock="[[", requirements_DOT_txt="a==1\n")

    assert versions(found) == {"a": "1"}
    assert found.unreadable[0][0] == "uv.lock"


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        read(tmp_path)
