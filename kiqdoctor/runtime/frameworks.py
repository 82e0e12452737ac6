"""What knows other people's frameworks: each lies above the runtime, and is loaded by its name where one is in use."""

from importlib import import_module
from typing import Any, Final

DJANGO: Final = "django"
SQLALCHEMY: Final = "sqlalchemy"
OPENTELEMETRY: Final = "opentelemetry"

_HOMES: Final = "kiqdoctor.integrations"


def integration(framework: str) -> Any:
    """The module that knows the framework.

    Raises:
        ImportError: the framework is not installed, or lacks what is used of it.
    """
    return import_module(f"{_HOMES}.{framework}")
