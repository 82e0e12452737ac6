"""Which lines of a source may be shown letter for letter, as a patch must: no secret in them, nothing that restyles."""

import io
import tokenize
from typing import Final

from kiqdoctor.regex import regex
from kiqdoctor.text import LONG, MASK, clean, disarmed, redact

_HELD: Final = regex(r"\{[^{}\n]{0,200}\}")  # of an f-string: code, whose names tell nothing
_TEXTS: Final = frozenset({"STRING", "COMMENT", "FSTRING_MIDDLE", "TSTRING_MIDDLE"})


def hidden(source: str) -> frozenset[str]:
    """The lines that may not be shown, without what ends them.

    What only names a secret (``token=token``) may be; a literal, a comment or a URL that holds one may not.
    """
    lines = [line.rstrip("\r\n") for line in io.StringIO(source, newline="\n")]
    found = {line for line in lines if not _plain(line) or _quoted(line)}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source, newline="\n").readline):
            said = _HELD.sub("nil", token.string)
            if tokenize.tok_name[token.type] in _TEXTS and redact(said) != said:
                found.update(lines[token.start[0] - 1 : token.end[0]])
    except (tokenize.TokenError, SyntaxError):  # what parses may yet not end as the tokenizer wants
        return frozenset(lines)
    return frozenset(found)


def _plain(line: str) -> bool:
    """Whether no letter of it moves a cursor, and no CI system reads a command there."""
    bare = "".join(line.split("\t"))
    return len(bare) <= LONG and clean(redact(bare), LONG) == redact(bare) and disarmed(f" {line}") == f" {line}"


def _quoted(line: str) -> bool:
    """Whether a literal stands there that a name says is a secret."""
    masked = redact(line)
    return any(masked.count(mark) > line.count(mark) for mark in (f'"{MASK}', f"'{MASK}"))
