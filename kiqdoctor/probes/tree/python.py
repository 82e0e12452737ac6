"""Python's syntax trees."""

import ast
import warnings
from typing import Final

from kiqdoctor.probes.tree.file import UnparsedError

NAME: Final = "<the application>"


def parse(content: bytes) -> ast.Module:
    """The module of these bytes; raises `UnparsedError`."""
    warnings.filterwarnings("ignore", module=NAME)  # what the compiler thinks of "\d" is no finding of ours
    try:
        return ast.parse(content, NAME)
    except SyntaxError as error:
        raise UnparsedError(f"SyntaxError: {error.msg}", error.lineno or 0) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnparsedError(f"{type(error).__name__}: {' '.join(str(error).split())}") from None
