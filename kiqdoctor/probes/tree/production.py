"""The one rule of what is not the application's production code, the same at every depth."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

CONTROL: Final = frozenset({".git", ".hg", ".svn", ".bzr"})
"""Version control's own: not what is checked out, and its configuration may hold passwords."""
INSTALLED: Final = frozenset(
    {"node_modules", "bower_components", "site-packages", "dist-packages", ".venv", "venv", ".bundle", ".direnv"}
    | {"vendor", "_vendor", "vendored", "third_party", "thirdparty", ".terraform", ".yarn", ".eggs"}
)
"""Other people's code: its settings are no settings of this application, and nobody here would mend it."""
MADE: Final = frozenset(
    {"__pycache__", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".cache", "tmp"}
)
"""Made by tools and made again. `log`, `build` and `coverage` are not here: those are words of applications too."""
TESTS: Final = frozenset(
    {"tests", "test", "spec", "specs", "__tests__", "e2e", "cypress", "fixtures", "testdata", "test_data"}
)
"""Configures and starts things that never run in production: `shop/tests/settings.py` as much as `tests/`."""
SHOWN: Final = frozenset({"examples", "example", "docs", "doc"})
"""Written to be read or copied; what is really deployed lies elsewhere. `samples` are some laboratory's business."""
SKIPPED: Final = CONTROL | INSTALLED | MADE | TESTS | SHOWN

TEST_FILES: Final = ("conftest.py", "tests.py", "test_*.py", "*_test.py")
"""Python keeps tests beside the code as well; Ruby's lie in `test/` and `spec/`, so `ab_test.rb` is a model."""
ENVIRONMENT: Final = "pyvenv.cfg"
"""Lies on top of every virtual environment, whatever the folder is called."""
DIST_INFO: Final = ".dist-info"
"""What pip leaves beside each package, also in a folder of the application (`pip install --target`)."""
TEMPLATE: Final = "{{"
"""`{{cookiecutter.project}}/` holds what another application will be made of."""
GENERATORS: Final = ("/generators/", "/templates/")
"""Below a generator's `templates/` lies what it writes out elsewhere, with ERB in it."""
OVERRIDES: Final = "/lib/templates/"
"""What an application gives Rails' generators in place of their own."""
CUCUMBER: Final = ("features", "step_definitions")
"""`features/` with step definitions in it is Cucumber's; without them it is an application's own word."""
SORBET: Final = ("sorbet", frozenset({"rbi", "tapioca"}))
"""What Sorbet's tools read and write: they require every gem, those of tests too, and nothing else loads it."""

MANIFESTS: Final = frozenset({"Gemfile", "gems.rb", "pyproject.toml", "setup.cfg", "setup.py", "Pipfile"})
"""Each lies on top of an application."""
REQUIREMENTS: Final = "requirements*.txt"
STARTS: Final = frozenset({"Procfile", "sidekiq.yml"})
"""A root that has one is an application, whatever else lies below it."""
CONFIG: Final = "config/"


def home(paths: Iterable[str]) -> str:
    """The folder of the only application below a root that is none itself, with its slash; else empty."""
    tops = {"" if path == f"{CONFIG}sidekiq.yml" else _top(path) for path in paths if _is_top(path)}
    if "" in tops:
        return ""
    outermost = [top for top in tops if not any(top != other and top.startswith(other) for other in tops)]
    return outermost[0] if len(outermost) == 1 else ""


def _top(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _is_top(path: str) -> bool:
    name = path.rpartition("/")[2]
    if name in STARTS:
        return path in {name, f"{CONFIG}{name}"}
    return name in MANIFESTS or fnmatchcase(name, REQUIREMENTS)


def is_production(file: str) -> bool:
    """Whether a file of this name is part of what runs, in a folder that is."""
    return not any(fnmatchcase(file, pattern) for pattern in TEST_FILES)


def is_template(path: str) -> bool:
    """Whether a generator of Rails' writes this file out, and the application itself never loads it."""
    outer, inner = GENERATORS
    return inner in f"/{path}".partition(outer)[2] or OVERRIDES in f"/{path}"


def is_test(path: str) -> bool:
    """Whether a file below the root is part of the application's own tests."""
    *folders, file = path.split("/")
    return not is_production(file) or not TESTS.isdisjoint(folders)


def is_skipped(folder: str, holds: frozenset[str]) -> bool:
    """Whether a folder of this name that holds these names is left out with all below it."""
    made_later = folder.startswith(TEMPLATE)
    by_tools = (folder == CUCUMBER[0] and CUCUMBER[1] in holds) or (
        folder == SORBET[0] and not SORBET[1].isdisjoint(holds)
    )
    return folder in SKIPPED or made_later or by_tools or _is_installed(holds)


def is_foreign(folder: str, holds: frozenset[str]) -> bool:
    """Whether a folder is left out also by who looks for the application's tests."""
    return folder in SKIPPED - TESTS or _is_installed(holds)


def _is_installed(holds: frozenset[str]) -> bool:
    """Whether what lies there was put there by pip."""
    return ENVIRONMENT in holds or any(name.endswith(DIST_INFO) for name in holds)
