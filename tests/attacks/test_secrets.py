"""No secret leaves by way of text: whatever letters it has, and wherever it stands."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.connection import UrlError, resolve_url, shown_url
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.recording import Recording, dump
from kiqdoctor.doctor.report import Cost, Target
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.text import clean, redact

# As people make them: also the characters that a URL must encode, and often does not. No white space, no quotes.
PASSWORDS = st.text(st.sampled_from("abcXYZ0189-_.!*()$~/?#[]@:%&=+,;|^{}\\äß"), min_size=8, max_size=40).map(
    lambda word: f"q7{word}7q"
)
IN_URLS = (
    "redis://u:{}@h:6379/0",
    "rediss://:{}@h",
    "DATABASE_URL=postgresql+asyncpg://u:{}@db/x",
    "see amqp://u:{}@h/v",
)
IN_PAIRS = (
    "DB_PASSWORD={}",
    "password: {}",
    "  secret_key_base: {}",
    "worker --token {} -q mail",
    "worker --db-password={}",
    "redis-cli -h x -a {} ping",
    "curl -u me:{} http://x",
    "check --web-user admin:{}",
    '{{"password":"{}"}}',
    "api_key => '{}'",
    "worker\0--password\0{}\0-c\0" + "5",
)


@given(PASSWORDS, st.sampled_from(IN_URLS + IN_PAIRS), st.sampled_from(("", "Redis refuses: ", "a b\n")))
def test_it_is_masked(secret: str, shape: str, before: str) -> None:
    text = before + shape.format(secret)

    for shown in (redact(text), clean(text), clean(text, 60), clean(text, 5_000, lines=True)):
        assert secret not in shown
        assert secret[:10] not in shown


@given(PASSWORDS)
def test_a_cut_shows_no_half(secret: str) -> None:
    for room in range(1, 60):
        assert secret[:6] not in clean(f"at redis://user:{secret}@h:6379/0", room)


@given(PASSWORDS)
def test_an_address_is_shown_without_it_or_refused_without_it(secret: str) -> None:
    for url in (f"redis://:{secret}@h:6379/0", f"unix://u:{secret}@/run/r.sock", f"redis://u:{secret}@h\u2100st:1/0"):
        for say in (shown_url, lambda one: resolve_url(one, {}).shown):
            assert secret[:10] not in said(say, url)


def said(say: Callable[[str], str], url: str) -> str:
    try:
        return say(url)
    except UrlError as error:
        return str(error)


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 20,
        "glpat-" + "a1" * 10,
        "xoxb-1234567890-abcdef",
        "sk_" + "live_" + "a1" * 12,
        "npm_" + "a1" * 18,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_token_is_known_by_its_shape(token: str) -> None:
    assert token not in redact(f"error: {token} was refused")


@pytest.mark.parametrize(
    "text",
    [
        "redis://h:6379/0",
        'password: ENV["REDIS_PASSWORD"]',
        "REDIS_PASSWORD=$REDIS_PASSWORD",
        "TokenCleanupJob: 12 jobs",
        "Auth::TokenJob: ArgumentError",
        "queue:tokens",
        "--web-user NAME:PASSWORD",
        "https://example.org/docs",
        "mail to a@b.c",
        "secret: nil",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "KeyError: 'SECRET_KEY'",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=300))
def test_it_ends_and_is_done_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
    assert json.loads(json.dumps(clean(text))) == clean(text)


@given(PASSWORDS, st.sampled_from(IN_URLS + IN_PAIRS))
def test_no_recording_holds_it(secret: str, shape: str) -> None:
    text = shape.format(secret)
    worker = LocalProcess(1, "sidekiq", title=text, redis=(text,))
    facts = Snapshot.of(LocalProcesses(text, (worker,)), Server({"config_file": text}), Refused(text, text))
    raw = dump(Recording(facts, Target(None, None, text), 1.0, "0", Cost()))

    assert secret.encode() not in raw
    assert json.dumps(secret)[1:-1].encode() not in raw
