"""What arguments look like: objects in place of data, and secrets, by where they stand; no value leaves this file."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.doctor.facts.queues import Argument, Trait
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.wire import codec

MOST_NODES: Final = 2_000  # values of one payload's arguments that are looked at
MOST_DEEP: Final = 20
MOST_TOLD: Final = 10
NAMED: Final = 40  # characters of a key
LOOKED_AT: Final = 4_096  # characters of one string
LEAST: Final = 6  # characters of the shortest form below

_OBJECTS: Final = (
    ("Ruby object", regex(r"#<[A-Z]\w*(?:::\w+)*:0x[0-9a-f]+(?:[ >].*)?", re.DOTALL)),
    ("Python object", regex(r"<[\w.<>]+ object at 0x[0-9a-f]+>")),
    ("Django query set", regex(r"<QuerySet \[.*\]>", re.DOTALL)),
    ("Ruby object in YAML", regex(r"---\s{1,3}(?:- )?!ruby/.*", re.DOTALL)),
)
_PICKLE: Final = regex(r"gA[SW][A-Za-z0-9+/\s]+={0,2}")
_BINARY_PICKLE: Final = ("\x80\x04", "\x80\x05")
_SECRETS: Final = (
    ("Stripe live key", regex(r"\b[sr]k_live_[A-Za-z0-9]{10,255}")),
    ("AWS access key", regex(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("GitHub token", regex(r"\bgh[pousr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255}")),
    ("GitLab token", regex(r"\bglpat-[\w-]{16,255}")),
    ("Slack token", regex(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}")),
    ("Google API key", regex(r"\bAIza[\w-]{35}(?![\w-])")),
    ("SendGrid key", regex(r"(?<![\w.-])SG\.[\w-]{16,60}+\.[\w-]{16,90}")),
    ("npm token", regex(r"\bnpm_[A-Za-z0-9]{30,255}")),
    ("PyPI token", regex(r"\bpypi-AgE[\w-]{40,500}")),
    ("private key", regex(r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----")),
)
_HINTS: Final = ("k_live_", "AKIA", "ASIA", "gh", "glpat-", "xox", "AIza", "SG.", "npm_", "pypi-", "BEGIN ", "eyJ")
_JWT: Final = regex(r"(?<![\w.-])(eyJ[\w-]{8,1000}+)\.eyJ[\w-]{2,2000}+\.[\w-]{16,1000}(?![\w-])")
_EXAMPLE: Final = regex(r"EXAMPLE")
_WORDS: Final = regex(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_TELLING: Final = frozenset(
    {"password", "passwd", "passphrase", "pwd", "secret", "token", "ssn", "credential", "credentials", "confirmation"}
)
_KEYS: Final = frozenset({"api", "private", "access", "secret", "encryption", "master", "signing"})
_NO_SECRET: Final = regex(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a UUID
    r"|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}"  # a digest
    r"|\$2[abxy]\$.{56}|\$argon2.*|\$scrypt.*|pbkdf2_.*"  # a password's
    r"|[sr]k_test_.*|(?:\[?filtered\]?|\*+|null|nil|none|redacted)",  # a test's key, a mask
    re.IGNORECASE | re.DOTALL,
)


def told(args: Any, *, encrypted: bool = False) -> tuple[Argument, ...]:
    """What is notable about arguments; of an encrypted job the last one is ciphertext, and says nothing."""
    listed = args if isinstance(args, list) else []
    listed = listed[:-1] if encrypted else listed
    found: dict[Argument, None] = {}
    for path, name, value in _walked(listed):
        trait = _trait(value) if isinstance(value, str) else None
        if trait is None and name and _secret(name, value):
            trait = Trait.NAMED, ""
        if trait is not None:
            found[Argument(path, *trait)] = None
        if len(found) >= MOST_TOLD:
            break
    return tuple(found)


def _walked(args: list[Any]) -> Iterator[tuple[str, str, Any]]:
    """Every value below, with its path and the name it bears; breadth first, so that a deep one hides no other."""
    nodes: list[tuple[str, str, Any, int]] = [(f"args[{index}]", "", one, 0) for index, one in enumerate(args)]
    for count, (path, name, value, depth) in enumerate(nodes):
        if count >= MOST_NODES:
            return
        yield path, name, value
        if depth < MOST_DEEP and len(nodes) < MOST_NODES:
            nodes += _below(path, value, depth + 1)


def _below(path: str, value: Any, depth: int) -> list[tuple[str, str, Any, int]]:
    if isinstance(value, dict):
        room = list(value.items())[:MOST_NODES]
        return [(f"{path}.{clean(name, NAMED)}", name, one, depth) for name, one in room]
    if isinstance(value, list):
        return [(f"{path}[{index}]", "", one, depth) for index, one in enumerate(value[:MOST_NODES])]
    return []


def _trait(text: str) -> tuple[Trait, str] | None:
    """Of a text that is an object or holds a secret, which; None of any other."""
    text = text[:LOOKED_AT].strip()
    if len(text) < LEAST:
        return None
    if text[0] in "#<-":
        for form, pattern in _OBJECTS:
            if pattern.fullmatch(text):
                return Trait.OBJECT, form
    if text.startswith(_BINARY_PICKLE) or _pickled(text):
        return Trait.OBJECT, "Python pickle"
    if any(hint in text for hint in _HINTS):
        known = next((form for form, pattern in _SECRETS if _found(pattern, text)), "")
        if known or _jwt(text):
            return Trait.SECRET, known or "JSON web token"
    return None


def _pickled(text: str) -> bool:
    """Base64 of a pickle of protocol 4 or 5, to its end."""
    if not text.startswith(("gAS", "gAW")) or not _PICKLE.fullmatch(text):
        return False
    try:
        raw = base64.b64decode("".join(text.split()) + "==")
    except (binascii.Error, ValueError):
        return False
    return len(text) >= LOOKED_AT or raw.endswith(b".")


def _found(form: "re.Pattern[str]", text: str) -> bool:
    found = form.search(text)
    return found is not None and not _EXAMPLE.search(found[0])


def _jwt(text: str) -> bool:
    """Three parts, of which the first is a header of such a token and no other Base64."""
    found = _JWT.search(text)
    if found is None:
        return False
    try:
        header = codec.decode(base64.urlsafe_b64decode(found[1] + "=="))
    except (codec.NotJsonError, binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header


def _secret(name: str, value: Any) -> bool:
    """Whether a name says that its value is secret, and the value may be one."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not value or not _says(name):
        return False
    return not (isinstance(value, str) and _NO_SECRET.fullmatch(value.strip()))


def _says(name: str) -> bool:
    """The last word of a name is what the value is: ``reset_token`` says token, ``token_count`` says count."""
    words = [word.lower() for word in _WORDS.findall(name[:200])]
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "key":
        return before in _KEYS
    if last == "confirmation":
        return before == "password"
    return (last in _TELLING and before not in {"encrypted", "hashed"}) or (last == "apikey")
