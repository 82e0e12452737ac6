"""Spans of real providers, and a trace that goes through Redis from a push to its runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

if "CI" not in os.environ:  # there its absence fails: a skipped proof is none
    pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from kiqdoctor.integrations import opentelemetry
from kiqdoctor.runtime.middleware import Running, around


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.server, self.client = opentelemetry.middleware(self.provider)
        self.tracer = self.provider.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def push(self, fields: dict[str, Any], body: Callable[[], Any] = lambda: None) -> dict[str, Any]:
        around([self.client], fields, body)
        found: dict[str, Any] = json.loads(json.dumps(fields))
        return found

    def run(self, fields: dict[str, Any], body: Callable[[], Any] = lambda: None) -> Any:
        running = Running(fields["class"], fields["jid"], fields["queue"], [], fields, 0.0)
        return around([self.server], running, body)


@pytest.fixture
def traced() -> Iterator[Traced]:
    found = Traced()
    yield found
    found.provider.shutdown()


def payload(**more: Any) -> dict[str, Any]:
    return {"class": "app.note", "jid": "ab" * 12, "queue": "mail", "args": [1], **more}


def ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)


def test_a_push_is_a_producer_span_whose_context_travels_in_the_payload(traced: Traced) -> None:
    fields = traced.push(payload())
    [span] = traced.spans

    assert (span.name, span.kind) == ("mail publish", SpanKind.PRODUCER)
    assert dict(span.attributes or {}) == {
        "messaging.system": "sidekiq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "mail",
        "messaging.message.id": "ab" * 12,
        "messaging.sidekiq.job_class": "app.note",
    }
    carried = fields.pop("traceparent")
    assert fields == payload()
    assert carried.rpartition("-")[0] == "00-{}-{}".format(*ids(span))


def test_a_run_is_a_consumer_span_of_the_same_trace(traced: Traced) -> None:
    fields = traced.push(payload())

    assert traced.run(fields, lambda: "result") == "result"

    push, run = traced.spans
    assert (run.name, run.kind, run.status.status_code) == ("mail process", SpanKind.CONSUMER, StatusCode.UNSET)
    assert ids(run)[0] == ids(push)[0]
    assert run.parent is not None
    assert format_span_id(run.parent.span_id) == ids(push)[1]
    assert (run.attributes or {})["messaging.operation.type"] == "process"


def test_spans_within_a_job_belong_to_its_run_and_a_push_from_it_goes_on(traced: Traced) -> None:
    fields = traced.push(payload())
    inner: dict[str, Any] = payload(jid="cd" * 12)

    def body() -> None:
        with traced.tracer.start_as_current_span("query"):
            traced.push(inner)

    traced.run(fields, body)
    push, second, query, run = traced.spans

    assert len({ids(span)[0] for span in (push, second, query, run)}) == 1
    assert query.parent is not None
    assert format_span_id(query.parent.span_id) == ids(run)[1]
    assert second.parent is not None
    assert format_span_id(second.parent.span_id) == ids(query)[1]


def test_two_jobs_in_one_thread_have_two_traces(traced: Traced) -> None:
    traced.run(payload())
    traced.run(payload())

    first, second = traced.spans
    assert ids(first)[0] != ids(second)[0]
    assert first.parent is None
    assert second.parent is None


@pytest.mark.parametrize("error", [ValueError("no such user"), SystemExit(3), KeyboardInterrupt()])
def test_a_failure_is_recorded_once_and_goes_on(traced: Traced, error: BaseException) -> None:
    def body() -> None:
        raise error

    with pytest.raises(type(error)):
        traced.run(payload(), body)

    [span] = traced.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == f"{type(error).__name__}: {error}"
    assert (span.attributes or {})["error.type"] == type(error).__name__
    assert [event.name for event in span.events] == ["exception"]


def test_a_push_that_fails_is_an_error_of_its_span(traced: Traced) -> None:
    def body() -> None:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        traced.push(payload(), body)

    assert traced.spans[0].status.status_code is StatusCode.ERROR


def test_a_scheduled_job_stays_in_its_trace_when_it_is_pushed_again(traced: Traced) -> None:
    fields = traced.push(traced.push(payload()))
    first, second = traced.spans

    assert ids(first)[0] == ids(second)[0]
    assert fields["traceparent"].split("-")[2] == ids(second)[1]


@pytest.mark.parametrize(
    "value", [None, 7, [], {"a": 1}, "", "00-zz-zz-00", "\x1b[2J", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"]
)
def test_a_field_that_is_no_context_begins_a_new_trace(traced: Traced, value: Any) -> None:
    traced.run(payload(traceparent=value, tracestate=value, baggage=value))

    [span] = traced.spans
    assert span.parent is None


def test_without_a_provider_a_payload_stays_as_it_is() -> None:
    code = (
        "from kiqdoctor.integrations import opentelemetry as ours\n"
        "from kiqdoctor.runtime.middleware import Running\n"
        "server, client = ours.middleware()\n"
        "fields = {'queue': 'mail', 'jid': 'x', 'class': 'y'}\n"
        "print(client(fields, lambda: 1), server(Running('y', 'x', 'mail', [], fields, 0.0), lambda: 2), fields)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "1 2 {'queue': 'mail', 'jid': 'x', 'class': 'y'}\n"


def test_a_provider_that_is_set_later_is_used() -> None:
    code = (
        "from kiqdoctor.integrations import opentelemetry as ours\n"
        "_, client = ours.middleware()\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "fields = {'queue': 'mail', 'jid': 'x', 'class': 'y'}\n"
        "client(fields, lambda: 1)\n"
        "print('traceparent' in fields)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "True\n"


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("import redis, opentelemetry.trace, opentelemetry.sdk.metrics", 0),
        ("import redis, opentelemetry.sdk.trace", 1),
        ("from opentelemetry import trace; trace.set_tracer_provider(trace.NoOpTracerProvider())", 1),
        ("import os; os.environ['OTEL_SERVICE_NAME'] = 'shop'", 1),
    ],
)
def test_jobs_have_spans_where_the_process_traces(first: str, found: int) -> None:
    """Not where redis-py has imported what happens to be installed: each job would pay for spans that nobody has."""
    code = f"{first}\nimport kiqdoctor\nfrom kiqdoctor.runtime import config\nkiqdoctor.configure()\n"
    code += "print(len(config.current().middleware), len(config.current().client_middleware))"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)

    assert ran.stdout == f"{found} {found}\n"


def test_looking_whether_it_is_there_imports_nothing_of_it() -> None:
    code = (
        "import sys\n"
        "from kiqdoctor.integrations import opentelemetry as ours\n"
        "print(ours.available(), 'opentelemetry.trace' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True False\n"


def test_an_interpreter_without_it_says_so() -> None:
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'opentelemetry': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from kiqdoctor.integrations import opentelemetry as ours\n"
        "print(ours.available())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"
