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


CONDA = """\
name: shop
channels: [conda-forge]
dependencies:
  - python=3.11
  - netCDF4=1.6.5
  - conda-forge::lxml==5.2.1
  - h5py=3.11.0=nompi_py311hab
  - numpy=1.26
  - pandas>=2
  - redis-py
  - pip:
      - dramatiq==1.17.0
      - --extra-index-url x
"""


def test_conda(tmp_path: Path) -> None:
    found = read(tmp_path, environment_DOT_yml=CONDA)

    assert versions(found) == {
        "netcdf4": "1.6.5", "lxml": "5.2.1", "h5py": "3.11.0", "numpy": "", "pandas": "", "redis": "",
        "dramatiq": "1.17.0",
    }  # fmt: skip
    assert found.find("python", "netcdf4")[0].line == 5


def test_a_lock_of_conda_speaks_instead_of_what_was_asked_for(tmp_path: Path) -> None:
    locked = (("netcdf4", "1.7.1", "main"), ("pytest", "8.0.0", "dev"), ("python", "3.11", "main"))
    lock = "package:\n" + "".join(
        f"- {{name: {name}, version: {version}, manager: conda, platform: {platform}, category: {group}}}\n"
        for name, version, group in locked
        for platform in ("linux-64", "osx-arm64")
    )

    found = read(tmp_path, environment_DOT_yml=CONDA, conda_DASH_lock_DOT_yml=lock)

    assert versions(found) == {"netcdf4": "1.7.1", "pytest": "8.0.0"}
    assert [one.name for one in found.all if one.production] == ["netcdf4"]


POETRY = """\
[tool.poetry.dependencies]
python = "^3.11"
boto = "2.49.0"
lxml = "^5"
[tool.poetry.group.dev.dependencies]
pytest = {version = "8.0.0", extras = ["a"]}
"""
SETUP = """\
[options]
install_requires =
    boto==2.49.0
    lxml>=5
[options.extras_require]
dev =
    pytest==8.0.0
"""
PIPFILE = '[packages]\nboto = "==2.49.0"\nlxml = "*"\n[dev-packages]\npytest = "==8.0.0"\n'


@pytest.mark.parametrize(
    ("name", "text"), [("pyproject_DOT_toml", POETRY), ("setup_DOT_cfg", SETUP), ("Pipfile", PIPFILE)]
)
def test_what_is_asked_for_where_nothing_is_locked(tmp_path: Path, name: str, text: str) -> None:
    found = read(tmp_path, **{name: text})

    assert versions(found) == {"boto": "2.49.0", "lxml": "", "pytest": "8.0.0"}
    assert {one.name for one in found.all if one.production} == {"boto", "lxml"}


def test_a_setup_cfg_that_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, setup_DOT_cfg="install_requires").unreadable == (("setup.cfg", "it is not INI"),)
    with pytest.raises(AbsenceError):
        read(tmp_path / "other", setup_DOT_cfg="[flake8]\nmax-line-length = 120\n")


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        read(tmp_path)
