"""No secret leaves by way of text: whatever letters it has, and wherever it stands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doctoring import kiqdoctor
from examining import Doctor
from healthy import HEALTHY
from healthy.moment import NOW
from healthy.queues import QUEUE
from hypothesis import example, given
from hypothesis import strategies as st
from servers import RedisServer
from states import JID, payload

from kiqdoctor.connection import UrlError, resolve_url, shown_url
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.config import WorkerCommand, WorkerSettings
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.recording import Recording, dump
from kiqdoctor.doctor.report import Cost, Target
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.live.jobs import row
from kiqdoctor.probes.queues.payloads import unsaid
from kiqdoctor.text import clean, redact, redact_words

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
    "redis-cli\0-a\0{}\0ping",
    "curl\0-u\0me:{}\0http://h",
    "-u me:{}",
    "mysql -u root -p{} shop",
    "DefaultEndpointsProtocol=https;AccountKey={}",
    "Authorization: Token {}",
    "Cookie: a=b; _session_id={}",
    r"{{\"password\":\"{}\"}}",
    "https://hooks.slack.com/services/T0/B0/{}",
    "https://discord.com/api/webhooks/1/{}",
    "https://api.telegram.org/bot12345:{}/send",
    "DB_PASS={}",
    ":pass => '{}'",
    "smtp_pass: {}",
    "bindpw: {}",
    "worker --redis-pass {} -q mail",
    "psk={}",
    "session_id={}",
    "SIGNING_KEY={}",
    "redis-server --requirepass {}",
    "<password>{}</password>",
    "CREATE USER x IDENTIFIED BY '{}'",
    "machine h login me password {}",
    "sshpass -p {} ssh h",
    "docker login -u me -p {} h",
    "curl -ume:{} http://h",
    "user default on >{} ~* +@all",
    'HTTP_AUTHORIZATION"=>"{}',
    'HTTP_COOKIE"=>"_shop_session={}',
    "BUNDLE_GEMS__CONTRIBSYS__COM: abcd:{}",
    "bundle config set --local gems.contribsys.com abcd:{}",
    "//registry.npmjs.org/:_auth={}",
    "https://hooks.zapier.com/hooks/catch/1/{}",
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


@pytest.mark.parametrize("words", ["fix --undo {}", "diff {} {}", "check --live --baseline {}", "check --replay {}"])
def test_no_error_repeats_a_file_s_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str], words: str) -> None:
    hostile = "kiqdoctor.report/1 redis://u:q7secretq7@h/0 \x1b[2J --password q7secretq7"
    head = {"schema": hostile, "token": "a", "target": hostile, "namespace": hostile}
    (tmp_path / "hostile").write_text(json.dumps(head))
    ran = Doctor(tmp_path, capfd)(*words.format("hostile", "hostile").split())

    assert ran.status == 2
    assert "q7secretq7" not in ran.out + ran.err
    assert "\x1b" not in ran.out + ran.err


SPLICED = (
    """"redis://" + "u:" + "{}" + "@" + host""",
    """'redis://u:' << '{}@h/0'""",
    """"redis://u:" "{}@h/0\"""",
    """"redis://u:%s@h/0" % "{}\"""",
    """"redis://u:{{}}@h/0".format('{}')""",
    """f"redis://u:{{os.environ.get('PW', '{}')}}@{{host}}/0\"""",
    """"redis://u:#{{ENV.fetch('PW') {{ '{}' }}}}@h/0\"""",
    """url: redis://u:<%= ENV['PW'] || '{}' %>@h/0""",
)


@given(st.from_regex(r"q7[A-Za-z0-9_.!*-]{6,30}", fullmatch=True), st.sampled_from(SPLICED))
def test_an_address_in_source_is_masked_however_it_is_put_together(secret: str, shape: str) -> None:
    assert secret not in redact(shape.format(secret))
    assert secret not in clean(f"url {shape.format(secret)}, database 1")


@pytest.mark.parametrize(
    "text",
    [
        '"redis://%s/0" % host',
        '{"url": "redis://h/0", "to": "a@b"}',
        '"redis://#{host}:6379/0" of a@b',
        'x("redis://h")',
    ],
)
def test_an_address_without_a_user_stays(text: str) -> None:
    assert redact(text) == text


@given(PASSWORDS, st.sampled_from(IN_PAIRS))
def test_what_was_masked_before_hides_nothing_behind_it(secret: str, shape: str) -> None:
    assert secret not in redact(shape.format(f"***{secret}"))


PIECES = (
    *("password", "--api-key", "SECRET_TOKEN", "-u", "--user", "redis-cli", "-a", "mysql", "-p", "Bearer", "Cookie:"),
    *(
        "Authorization: Token",
        "redis://",
        "https://hooks.slack.com/services/",
        "u:pw@h",
        "h:6379/0",
        "ghp_" + "a1" * 12,
    ),
    *("@", '"', "'", '""', "=", ":", ": ", "=>", " ", "\n", "\0", ",", "%", ".format(", "+", "<<", "#{x}", '\\"', "-"),
    *("hunter2hunter2", "***", "nil", "NAME", "'x'", '"y"', 'x"y'),
)


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
@example('--api-key:"","err then --api-key:"","err')
@example('https://hooks.slack.com/services/u:pw@h"",Authorization: Token@abc')
def test_what_is_masked_stays_so(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize("shape", IN_PAIRS)
def test_a_secret_of_any_length_is_masked_whole(shape: str) -> None:
    once = redact(shape.format("q7[w" * 1_500))

    assert "q7[w" not in once
    assert redact(once) == once


@given(st.sampled_from(IN_URLS + IN_PAIRS), st.integers(0, 99))
def test_an_error_s_message_is_masked_before_its_arguments_are(shape: str, number: int) -> None:
    """A shape with a hole in it, where an argument stood, is known no more."""
    secret = f"q7-{number}-abcdefgh7q"
    for args in ([number], [str(number), "q7"], [{"a": ["u", "h"]}]):
        assert "abcdefgh7q" not in unsaid(shape.format(secret), args)


@given(st.lists(st.from_regex(r"zq[a-z]{4,10}", fullmatch=True), min_size=1, max_size=4))
def test_a_job_s_row_tells_no_argument_by_its_error(args: list[str]) -> None:
    message = f"no user {args[0]}, or {args[-1]}"
    given = {"args": args[:1], "kiq_keywords": {"last": args[-1]}}
    job = {"class": "Mail", "jid": "j", **given, "error_class": "E", "error_message": message}
    hidden, shown = (row("retry", json.dumps(job).encode(), 1.0, show_args=show) for show in (False, True))

    assert hidden.error_message == "no user ***, or ***"
    assert shown.error_message == message


@pytest.mark.parametrize("words", [(), ("--format", "json")], ids=["text", "json"])
def test_why_tells_no_argument_by_an_error(redis: Any, redis_server: RedisServer, words: tuple[str, ...]) -> None:
    given: dict[str, Any] = {"args": ["zq-place"], "kiq_keywords": {"named": "zq-name"}}
    failed: dict[str, Any] = {"error_class": "Boom", "error_message": "no zq-place, nor zq-name", "retry_count": 2}
    redis.zadd("retry", {payload(**given, **failed): 9e9})

    found = kiqdoctor("why", JID, "--redis", redis_server.url, *words)

    assert "Boom: no ***, nor ***" in found.out


@given(PASSWORDS)
def test_no_fingerprint_holds_it(secret: str) -> None:
    """It goes into baselines as it is."""
    queue = f"redis://u:{secret}@h:6379/0"
    facts = HEALTHY.with_(Queues((QUEUE, Queue(queue, 5, oldest_at=NOW - 61)), traces=("queues",)))
    found = diagnose("QUE001", facts).findings

    assert found
    assert not any(secret[:10] in one.fingerprint for one in found)


WORDS = (
    ("sidekiq", "-c", "5", "--password", "{}", "-r", "app"),
    ("worker", "--db-password", "{} and more", "x"),
    ("celery", "--api-key", "{}"),
    ("sh", "-c", "redis-cli", "-a", "{}"),
    ("curl", "-u", "me:{}", "http://h"),
    ("worker", "--secret", "{}", "--token", "{}"),
)


@given(PASSWORDS, st.sampled_from(WORDS))
def test_a_flag_tells_of_the_word_behind_it(secret: str, words: tuple[str, ...]) -> None:
    given_words = [word.format(secret) if "{}" in word else word for word in words]
    shown = redact_words(given_words)
    facts = Snapshot.of(WorkerSettings(commands=(WorkerCommand("Procfile", 1, "sidekiq", words=tuple(given_words)),)))

    assert len(shown) == len(words)
    assert not any(secret in word for word in shown)
    assert [one for one, word in zip(shown, words, strict=True) if "{}" not in word] == [
        w for w in words if "{}" not in w
    ]
    assert json.dumps(secret)[1:-1].encode() not in dump(Recording(facts, Target(None, None, None), 1.0, "0", Cost()))


TOKENS = (
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1" * 18,
    "github_pat_" + "a1" * 20,
    "glpat-" + "a1" * 10,
    "xoxb-1234567890-abcdef",
    "sk_" + "live_" + "a1" * 12,
    "npm_" + "a1" * 18,
    "dckr_pat_" + "a1" * 14,
    "glrt-" + "a1" * 10,
    "hf_" + "a1" * 17,
    "sk-" + "proj-" + "a1" * 24,
    "sk-" + "ant-api03-" + "a1" * 30,
    "dop_v1_" + "a1" * 32,
    "shp" + "at_" + "a1" * 16,
    "whsec_" + "a1" * 16,
    "rubygems_" + "a1" * 24,
    "hvs." + "a1" * 12,
    "sq0atp-" + "a1" * 11,
    "lin_api_" + "a1" * 20,
    "ya29." + "a1" * 20,
    "ATATT3" + "xF" * 20,
    "dapi" + "a1" * 16,
    "NRAK-" + "A1" * 13,
    "pscale_tkn_" + "a1" * 20,
    "a1" * 7 + ".atlasv1." + "a1" * 30,
    "AGE-SECRET-KEY-1" + "A1" * 29,
    "key-" + "a1" * 16,
    "ABSK" + "a1" * 50,
    "glpat-" + "a1" * 13 + ".01.0w1a1a1a1",
    "GR1348941" + "a1" * 10,
    "xapp-1-A0A1A2A3A4A-1234567890123-" + "a1" * 32,
    "GOCSPX-" + "a1" * 14,
    "1//0" + "a1" * 20,
    "xkeysib-" + "a1" * 32 + "-" + "a1" * 8,
    "a1" * 16 + "-us12",
    "dckr_oat_" + "a1" * 16,
    "gsk_" + "a1" * 26,
    "r8_" + "xF1" * 12 + "a",
    "xai-" + "a1" * 40,
    "pplx-" + "a1" * 24,
    "nvapi-" + "a1" * 32,
    "HRKU-" + "a1" * 30,
    "nfp_" + "a1" * 18,
    "fm2_" + "a1" * 50,
    "sbp_" + "a1" * 20,
    "sb_secret_" + "a1" * 16,
    "dp.pt." + "a1" * 22,
    "glsa_" + "a1" * 16 + "_a1a1a1a1",
    "glc_eyJ" + "a1" * 30,
    "ntn_" + "a1" * 23,
    "figd_" + "a1" * 20,
    "pat" + "a1" * 7 + "." + "a1" * 32,
    "sntrys_eyJ" + "a1" * 40,
    "sntryu_" + "a1" * 32,
    "a1" * 18 + "NRAL",
    "PMAK-" + "a1" * 12 + "-" + "a1" * 17,
    "pul-" + "a1" * 20,
    "tskey-auth-" + "a1" * 6 + "-" + "a1" * 16,
    "ATBB" + "a1" * 16,
    "dt0c01." + "A1" * 12 + "." + "A1" * 32,
    "shippo_" + "live_" + "a1" * 20,
    "rzp_" + "live_" + "a1" * 7,
    "squ_" + "a1" * 20,
    "bkua_" + "a1" * 20,
    "CCIPAT_" + "a1" * 11 + "_" + "a1" * 20,
    "LTAI" + "a1" * 10,
    "EAAC" + "a1" * 40,
    "123456789:AA" + "a1" * 16 + "b",
    "MTIz" + "a1" * 11 + ".GaBcDe." + "a1" * 19,
    "hvr." + "a1" * 40,
    "access-production-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "access_token$" + "production$" + "a1" * 8 + "$" + "a1" * 16,
    "EZAK" + "a1" * 27,
    "tfp_" + "a1" * 29,
    "ops_eyJ" + "a1" * 100,
    "sdk-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "abc8Q~" + "a1" * 17,
    "CFPAT-" + "a1" * 21,
    "pnu_" + "a1" * 18,
    "FLW" + "SECK-" + "a1" * 16 + "-X",
    "hcaik_01" + "a1" * 29,
    "v1.0-" + "a1" * 12 + "-" + "a1" * 73,
    "SK" + "a1" * 16,
    "$2y$10$" + "a1" * 26,
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nMIIB\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----",
)
WORDS_END_SO = ("key-", "a1a1a1a1a1a1a1.", "a1a1a1a1a1a1a1a1", "SK", "LTAI", "ATBB", "1234", "MTIz", "sdk-")
# cachekey-<digest> is an ordinary name


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_known_by_its_shape(token: str) -> None:
    assert token not in redact(f"error: {token} was refused")
    assert token not in redact(token)


@pytest.mark.parametrize("token", [one for one in TOKENS if not one.startswith(WORDS_END_SO)])
@pytest.mark.parametrize("word", ["Klass", "job_", "queue9", "\u00e9", "A::B"])
def test_a_word_that_is_glued_to_it_hides_it_not(word: str, token: str) -> None:
    assert token[12:] not in redact(f"{word}{token}")
    assert token[12:] not in redact(f"error in {word}{token}: refused")


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
        "global-notifications-and-mails",
        "task-that-is-skipped-for-everybody",
        "task-0123456789abcdef0123456789abcdef",
        "task_live_monitoring_of_everything2",
        "task-proj-migration-2024-cleanup-step-4",
        "cachekey-d41d8cd98f00b204e9800998ecf8427e",
        "ApiKeyJobProcessor.perform_something",
        "MSG.something_there.and_some_more",
        "graph_something1",
        "mysql -u root -h db",
        "set-cookie: refused",
        "authorization: required",
        "bypass=1 compass: north",
        "db_session = Session(engine)",
        "docker run -p 8080:80 image",
        "MULTITASK0123456789abcdef0123456789abcde",
        "BUNDLE_PATH: vendor/bundle",
        "BUNDLE_MIRROR__X: https://h:9/x",
        "the user mail > 5 ran",
        "https://h/p?page=2&keyword=x",
        "requirepass is not set",
        "web-1:12345678:AAbbccddeeff",
        "queue8_import_customers_of_the_year_2024",
        "risk_assessment_for_2024_and_2025_and_beyond",
        "5f0c1e6b2a9d4c7788aa01b2",
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
