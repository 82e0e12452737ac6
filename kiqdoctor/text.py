"""The one sanitiser and the one redactor for text from outside: Redis, files, processes, other programs' errors."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from kiqdoctor.regex import regex
from kiqdoctor.tokens import BARE, BEGINNINGS, SHAPES, SHORTEST

SHORT: Final = 200  # characters, in lists
LONG: Final = 10_000  # characters, in details
MARKS: Final = 3  # combining marks in a row that a script really uses
MASK: Final = "***"
AHEAD: Final = 4_096  # characters beyond a cut that are looked at: no secret is shown by half

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_HINTS: Final = (  # one of these is in every text that holds a secret which we would know, but for URLs and tokens
    *("pass", "pw", "secret", "token", "key", "cred", "sig", "bearer", "basic ", "auth", "dsn", "psk", "cookie"),
    *("sess", "-user", " -a ", "\0-a\0", " -a\0", "\0-a ", "-u", " -p", "\0-p", "identified", "bundle", " >"),
)
_LONG: Final = regex(r"[\w.~$-]{25}|[A-Z][\w-]{19}|xox|_(?:live|test)_")  # in every token there is; no jid has it
_TELLING: Final = (
    r"pass(?:w(?:or)?[dt]|phrase|code)|s(?:ecret|ignature|ess(?:ion)?_?id|igning_?-?key|sh_?-?key)|token|credential|pwd|dsn|requirepass"
    r"|a(?:(?:pi|ccess|uth|ccount)_?-?key|uth-pass)|(?:private|encryption|master|client|hmac|fernet|licen[cs]e)_?-?key"
)
_ENDING: Final = (
    r"(?:[\w.-]{0,40}(?:[_.-]|db|user|smtp|mail|bind|root|admin))?(?:pass|pw|psk|creds)(?![\w-])"
    r"|masterauth|_auth(?![\w-])"
)
_NAME: Final = rf"(?:[\w.-]{{0,40}}(?:{_TELLING})[\w-]{{0,40}}+|{_ENDING})"
_VALUE: Final = r"""(?P<value>"[^"\n]+"?|'[^'\n]+'?|\S+)"""
_PAIR: Final = regex(
    rf"(?P<name>(?<![\w.-]){_NAME})(?P<between>\\{{0,3}}[\"']?[ \t]{{0,4}}(?:=>|=|%3D|:(?=[\s\"'\\]))[ \t]{{0,4}})"
    rf"{_VALUE}",
    re.IGNORECASE,
)
_LINE: Final = regex(
    rf"^(?P<name>[ \t-]{{0,200}}{_NAME})(?P<between>:[ \t]{{1,4}})(?P<value>[^\n]+)$",
    re.IGNORECASE | re.MULTILINE,
)
_FLAG: Final = regex(rf"(?P<name>(?<![\w-])--?{_NAME})(?P<between>[ =\0]){_VALUE}", re.IGNORECASE)
_USER: Final = regex(r"(?P<name>(?<![\w-])(?:--(?:web-)?user[ =\0]|-u[ =\0]?))(?P<value>[^\s:]{0,200}:\S+)")
_REDIS_CLI: Final = regex(r"(?P<name>\bredis-cli\b[^\n]{0,200}?[ \0]-a[ \0])(?P<value>\S+)")
# A URL in source that other literals, or values with white space in them, go on with; up to what ends its user.
_SPLICED: Final = regex(r"""://[^\s"'@]{0,200}+["'][ \t]{0,4}(?:\+|<<|\\|["'])[^\n]{0,1000}@""")
_INTERPOLATED: Final = regex(
    r"""://(?:[^\s"'@{<]{0,200}+(?:\{[^\n}]{0,300}+\}|<%[^\n%]{0,300}+%>)){1,4}+[^\s"'@]{0,200}+@"""
)
_FILLED: Final = regex(  # a template's values
    r"""(?P<name>://[^\s"']{0,300}+["'][ \t]{0,4}(?:%|\.format\()[ \t]{0,4})"""
    r"""(?P<value>[^\n"']{0,300}+["'][^\n]{1,1000})"""
)
_HEADER: Final = regex(r"(?P<name>\b(?:bearer|basic) {1,4})(?P<value>[\w.~+/=*-]{8,})", re.IGNORECASE)
_SCHEME: Final = regex(  # with or without a word before it; a header's value, not prose
    r"(?P<name>authorization[\"']?[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}[\"']?"
    r"(?:(?:token|apikey|digest|negotiate|bearer|basic) {1,4})?)"
    r"(?P<value>(?-i:(?=[^\s\"']{0,40}[A-Z0-9*]))[^\s\"']{8,})",
    re.IGNORECASE,
)
_COOKIE: Final = regex(
    r"(?P<name>\b(?:set-|http_)?cookie(?:: {0,4}|[\"']?[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}(?=[\"'])))"
    r"(?P<value>[\"']?[^\s=;\"']{1,200}=[^\n\"']+)",
    re.IGNORECASE,
)
_QUERY: Final = regex(
    r"(?P<name>://[^\s\"'<>?]{1,500}\?(?:[^\s\"'<>]{0,500}?&)??(?:sig|key|auth)=)(?P<value>[^\s&\"'<>]+)"
)
_SAID: Final = regex(  # words of other programs and files, which no sign stands between
    r"(?P<name>\blogin[ \t]{1,4}\S{1,200}\s{1,4}password[ \t]{1,4}"
    r"|\bidentified (?:with \S{1,40} )?by |\bsshpass[ \0]-p[ \0]?"
    r"|\b(?:docker|podman)[ \0]login\b[^\n]{0,200}?[ \0]-p[ \0]|\bmongo[a-z]{0,10}\b[^\n]{0,200}?[ \0]-p[ \0]"
    r"|-pass(?:in|out)?[ =\0]pass:|\b(?:setuser|user) \S{1,200} [^\n>]{0,200}?>)(?P<value>\S+)",
    re.IGNORECASE,
)
_ALONE: Final = regex(  # a line of Redis' own configuration
    r"(?P<name>^[ \t]{0,20}(?:requirepass|masterauth|sentinel auth-pass \S{1,100})[ \t]{1,4})"
    r"(?P<value>\S+)(?=\s{0,20}$)",
    re.IGNORECASE | re.MULTILINE,
)
_GEMS: Final = regex(  # what a paid gem's server takes
    r"(?P<name>\bBUNDLE_[A-Z0-9_]{3,100}[\"']?(?:=|: {0,4})[\"']?"
    r"|\bbundle config (?:set )?(?:--[a-z]{1,10} ){0,3}(?:set )?[\w.-]{3,100} )"
    r"(?P<value>(?!https?:|\*)[^\s:\"']{3,200}:[^\s\"']{3,})"
)
_MARKUP: Final = regex(
    rf"(?P<name><{_NAME}>|\b(?:key|name)=[\"']{_NAME}[\"'] value=[\"'])(?P<value>[^<\"'\n]+)", re.IGNORECASE
)
_MYSQL: Final = regex(r"(?P<name>\bmysql(?:dump|admin)?\b[^\n]{0,200}?[ \0]-p)(?P<value>[^\s\0]+)")
_HOOK: Final = regex(  # addresses that are themselves the secret
    r"(?P<name>://(?:hooks\.slack\.com/(?:services|workflows|triggers)/|hooks\.zapier\.com/hooks/catch/|(?:[a-z]{1,20}\.)?discord(?:app)?\.com/api/webhooks/"
    r"|api\.telegram\.org/bot|[\w-]{1,60}\.webhook\.office\.com/webhookb2/))(?P<value>[^\s\"'<>]+)"
)
# A reference, a placeholder, or a word that says that there is none: it tells nothing, and explains much.
_NO_SECRET: Final = regex(
    r"\*{3}(?:@.*|\W*)|(?:NAME:)?(?:PASSWORD|SECRET|TOKEN|NAME|VALUE|URL|USER|KEY|X)|ENV\b.*|os\.(?:environ|getenv)\b.*"
    r"|\$\{?[A-Z_][A-Z0-9_]*\}?|<%.*|\{\{.*|nil|null|none|true|false|masked|[0-9]{1,3}",
    re.DOTALL,
)
_CLASS: Final = regex(r"(?:[A-Z][a-z0-9]+){2,}")  # TokenCleanupJob: a class, whose name says nothing of a value
_SPACES: Final = regex(r"(\s+)")
_BYTE: Final = regex(r"\\x([89a-f][0-9a-f])")
_ANYWHERE: Final = regex(r"##(?=\w{0,40}\[)")  # Azure's and GitHub's older commands, wherever they stand
_FIRST: Final = regex(r"^(\s{0,200}:)(?=:)")  # GitHub's, at a line's beginning
_SECTION: Final = regex(r"\b(section_(?:start|end))(?=:[0-9])")  # GitLab's marks


def decode(raw: bytes) -> str:
    """Bytes from outside as text that every encoder takes: what is not UTF-8 becomes ``\\xNN``."""
    return raw.decode("utf-8", "backslashreplace")


def undecoded(name: str) -> str:
    """What :func:`decode` made of a name, as it is asked for again: ``\\xNN`` is that byte (surrogateescape)."""
    return _BYTE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), name) if "\\x" in name else name


def redact(text: str) -> str:
    """The text with ``***`` in place of secrets.

    User and password of URLs; tokens of known shapes; values of names that say secret, in ``NAME=value``,
    ``name: value`` and ``--name value``. Every search is bounded: text from outside cannot make it slow.
    """
    if _plain(text):
        return text
    lower = text.lower()
    hinted = any(hint in lower for hint in _HINTS)
    begun = (hinted or _LONG.search(text)) and BEGINNINGS.search(lower)
    if "://" in text:
        text = _HOOK.sub(_masked_after, text)
        for pattern in (_SPLICED, _INTERPOLATED):
            text = pattern.sub(f"://{MASK}@", text)
        text = _FILLED.sub(_masked_after, text)
        text = "".join(_without_users(word) if "://" in word else word for word in _SPACES.split(text))
    if begun:
        for shape in SHAPES:
            text = shape.sub(MASK, text)
    if not hinted:  # as most addresses are: nothing else is looked for, nor compiled
        return text
    for pattern in (_LINE, _PAIR, _FLAG):
        text = pattern.sub(_masked, text)
    for pattern in (_USER, _REDIS_CLI, _MYSQL, _SAID, _ALONE, _GEMS, _MARKUP, _QUERY, _HEADER, _SCHEME, _COOKIE):
        text = pattern.sub(_masked_after, text)
    return text


def redact_words(words: Sequence[str]) -> list[str]:
    """A command line's words, or any list of texts, likewise: a flag that says secret tells of the word behind it."""
    shown = [redact(word) for word in words]
    for number, (flag, word) in enumerate(pairwise(words), 1):
        cli = "redis-cli " if flag == "-a" and any("redis-cli" in one for one in words[:number]) else ""
        said = f"{cli}{flag} {word}"
        if (
            flag.startswith("-")
            and shown[number] != MASK
            and redact(said) not in {said, f"{cli}{flag} {shown[number]}"}
        ):
            shown[number] = MASK
    return shown


def _plain(text: str) -> bool:
    """Whether it is a mere name, as most that is logged: none of these means none of the forms and shapes below.

    Written out, for every job's line passes here: a loop over them costs ten times as much.
    """
    return not (
        "=" in text or ":" in text or " " in text or "\0" in text or "-" in text or "_" in text or "\n" in text
        or "<" in text
        or (len(text) >= SHORTEST and BARE.search(text))
    )  # fmt: skip


def _without_users(word: str) -> str:
    """A word with URLs in it: what stands between ``://`` and the last ``@`` before the next URL is masked.

    A password that was not encoded may hold ``/ ? # [`` and even ``://``: what cannot be a host is masked too.
    """
    first, *rest = word.split("://")
    kept = [first]
    for number, part in enumerate(rest):
        quote = min((at for mark in "\"'`<>" if (at := part.find(mark)) >= 0), default=len(part))
        end = part.rfind("@", 0, quote)
        end = part.rfind("@") if end < 0 else end
        hidden = end < 0 and part.startswith(":") and number + 1 < len(rest)
        kept.append(MASK if hidden else part if end < 0 else f"{MASK}{part[end:]}")
    return "://".join(kept)


def _masked(found: "re.Match[str]") -> str:
    value = found["value"]
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    bare = value.strip("\"'")
    if not bare or _NO_SECRET.fullmatch(bare) or ("=" not in found["between"] and _CLASS.fullmatch(found["name"])):
        return found[0]
    quote = value[0] if quoted else ""  # one that is left open would take in what follows, when it is read again
    return f"{found['name']}{found['between']}{quote}{MASK}{quote}"


def _masked_after(found: "re.Match[str]") -> str:
    return found[0] if _NO_SECRET.fullmatch(found["value"]) else found["name"] + MASK


def clean(text: str, limit: int = SHORT, *, lines: bool = False) -> str:
    """Text that cannot move a cursor, restyle a screen or reorder what is beside it, and holds no secret we know.

    Cut to ``limit`` characters; control characters become their pictures, format and private ones ``\\uXXXX``.
    ``lines`` keeps line feeds.
    """
    text = redact(text if len(text) <= limit + AHEAD else text[: limit + AHEAD])
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isascii() and (cut.replace("\n", "") if lines else cut).isprintable():
        return cut
    return "".join(_spell(cut, lines=lines))


def disarmed(line: str) -> str:
    """A line that no CI system takes for a command: ``##vso[...]`` or a section mark in it, ``::error::`` first."""
    if "##" not in line and "::" not in line and "section_" not in line:
        return line
    return _FIRST.sub(r"\1 ", _SECTION.sub(r"\1 ", _ANYWHERE.sub("# #", line)))


def _spell(text: str, *, lines: bool) -> list[str]:
    spelt: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if char == "\n" and lines:
            spelt.append(char)
        elif char < " ":
            spelt.append(chr(0x2400 + ord(char)))
        elif char == "\x7f":
            spelt.append("\u2421")
        elif category in _UNSAFE:
            spelt.append(f"\\u{ord(char):04x}")
        elif marks <= MARKS:
            spelt.append(char)
    return spelt
