"""Which check a word names, by its id or its name."""

from collections.abc import Sequence
from difflib import get_close_matches

import click

from kiqdoctor.doctor.check import Check
from kiqdoctor.text import clean


def named(checks: Sequence[Check], word: str) -> Check:
    """That check.

    Raises:
        click.UsageError: there is none of that id or name.
    """
    found = next((check for check in checks if word.upper() == check.id or word == check.name), None)
    if found is None:
        words = [known for check in checks for known in (check.id, check.name)]
        near = get_close_matches(word, words, n=1) or get_close_matches(word.upper(), words, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see `kiqdoctor list`"
        raise click.UsageError(f"no check is called {clean(word)!r}{hint}")
    return found
