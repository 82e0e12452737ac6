"""What packages are there for: by files, groups and what asks for what."""

from pathlib import Path

import pytest
from trees import tree

from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.tools import Application
from kiqdoctor.probes.packages.groups import as_locked, of_file
from kiqdoctor.probes.packages.packages import packages


def read(root: Path, files: dict[str, str]) -> Packages:
    found: Packages = packages.read(Application(root), tree(root, files))
    return found


def production(found: Packages) -> dict[str, bool]:
    return {one.name: one.production for one in found.all}


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("requirements.txt", "default"),
        ("requirements/production.txt", "default"),
        ("requirements/docs.txt", "docs"),
        ("requirements-dev.txt", "dev"),
        ("requirements_test.txt", "test"),
        ("dev-requirements.txt", "dev"),
        ("tests/requirements.txt", "default"),
        ("requirements/contest.txt", "default"),
    ],
)
def test_files_say_what_they_are_for(path: str, group: str) -> None:
    assert of_file(path) == group


def test_what_a_file_includes_is_for_what_its_own_file_is_for(tmp_path: Path) -> None:
    files = {
        "requirements/base.txt": "celery==5.4\n",
        "requirements/docs.txt": "-r base.txt\nnumpy==2.0\ncelery==5.4\n",
        "requirements/deploy.txt": "-r base.txt\n-c pins.txt\ngunicorn\n",
        "requirements/pins.txt": "gunicorn==23.0\nunused==1.0\n",
    }
    found = read(tmp_path, files)

    assert [(one.name, one.source, one.production) for one in found.all][:2] == [
        ("celery", "requirements/base.txt", True),
        ("gunicorn", "requirements/deploy.txt", True),
    ]
    assert ("numpy", False) in production(found).items()
    assert found.version_of("python", "gunicorn") == "23.0"


GEMS = """GEM
  specs:
    sidekiq (7.3.2)
      redis-client (>= 0.22)
    redis-client (0.22.2)
    rspec (3.13)
      rspec-core (3.13)
    rspec-core (3.13)
    sassc (2.4)
    pry (0.14)
    loose (1.0)

DEPENDENCIES
  sidekiq
  rspec
  sassc
  pry
"""


def test_gems_are_for_what_the_gemfile_says(tmp_path: Path) -> None:
    gemfile = (
        'gem "sidekiq"\ngroup :development, :test do\n  gem "rspec"\nend\n'
        'gem "sassc", group: :assets\ngem "pry", groups: [:development, :test], require: false\n'
    )

    assert production(read(tmp_path, {"Gemfile.lock": GEMS, "Gemfile": gemfile})) == {
        **dict.fromkeys(("sidekiq", "redis-client", "loose"), True),
        **dict.fromkeys(("rspec", "rspec-core", "sassc", "pry"), False),
    }
    alone = tmp_path / "alone"
    assert all(production(read(alone, {"Gemfile.lock": GEMS})).values())


UV = """[[package]]
name = "shop"
source = { editable = "." }
dependencies = [{ name = "celery" }]
[package.optional-dependencies]
postgres = [{ name = "psycopg" }]
[package.dev-dependencies]
dev = [{ name = "playwright" }]
[[package]]
name = "celery"
version = "5.4"
dependencies = [{ name = "kombu" }]
[[package]]
name = "kombu"
version = "5.4"
[[package]]
name = "psycopg"
version = "3.2"
[[package]]
name = "playwright"
version = "1.50"
dependencies = [{ name = "greenlet" }, { name = "kombu" }]
[[package]]
name = "greenlet"
version = "3.1"
"""


def test_uvs_groups_reach_what_they_lead_to(tmp_path: Path) -> None:
    assert production(read(tmp_path, {"uv.lock": UV})) == {
        **dict.fromkeys(("celery", "kombu", "psycopg"), True),
        **dict.fromkeys(("playwright", "greenlet"), False),
    }


def test_what_is_installed_is_for_what_the_files_say() -> None:
    installed = [Package("python", name, "1", "site", installed=True) for name in ("numpy", "celery", "other")]
    locked = [Package("python", "numpy", "1", "docs.txt", groups=("docs",)), Package("python", "celery", "1", "x.txt")]

    assert [one.production for one in as_locked(installed, locked)] == [False, True, True]
