"""Traces that follow a job: from the push, through the payload, to each of its runs.

The context travels as top-level fields of the payload, where OpenTelemetry's Sidekiq instrumentation for Ruby has it
too: a trace may begin in one language and go on in the other.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.runtime.middleware import ClientMiddleware, Proceed, Running, ServerMiddleware
from kiqdoctor.version import __version__
from kiqdoctor.wire.fields import CLASS, JID, QUEUE

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, TracerProvider

TRACER: Final = "kiqdoctor"
SYSTEM: Final = "sidekiq"  # messaging.system: the wire's, whoever runs the job


def available() -> bool:
    """Whether OpenTelemetry's API is installed; imports nothing of it."""
    try:
        return find_spec("opentelemetry.trace") is not None
    except ModuleNotFoundError:  # not even the name that its packages share
        return False


def used() -> bool:
    """Whether somebody here traces; that it is imported says nothing: redis-py and FastAPI import what is installed.

    Who sets a provider later has imported the SDK's tracing by then, or has no spans of jobs.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or "opentelemetry.sdk.trace" in sys.modules:
        return trace is not None
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def middleware(provider: "TracerProvider | None" = None) -> tuple[ServerMiddleware, ClientMiddleware]:
    """Server and client middleware; the process' own provider is used, also one that is set later.

    Raises:
        ImportError: OpenTelemetry's API is not installed.
    """
    from opentelemetry import propagate, trace
    from opentelemetry.trace import SpanKind

    tracer = trace.get_tracer(TRACER, __version__, provider)

    def spanned(fields: Mapping[str, Any], queue: str, kind: "SpanKind", context: "Context | None", body: Any) -> Any:
        verb = "publish" if kind is SpanKind.PRODUCER else "process"
        with tracer.start_as_current_span(
            f"{queue} {verb}",
            context=context,
            kind=kind,
            attributes=_attributes(fields, queue, verb),
            record_exception=False,  # theirs leaves out SystemExit, which fails a job too
            set_status_on_exception=False,
        ) as span:
            try:
                return body()
            except BaseException as error:
                _failed(span, error)
                raise

    def server(running: Running, proceed: Proceed) -> Any:
        context = propagate.extract(running.fields, getter=_TEXTS)
        return spanned(running.fields, running.queue, SpanKind.CONSUMER, context, proceed)

    def client(fields: dict[str, Any], proceed: Proceed) -> Any:
        def send() -> Any:
            propagate.inject(fields)
            return proceed()

        # A scheduled job that is pushed when it is due stays in the trace that scheduled it.
        orphan = not trace.get_current_span().get_span_context().is_valid
        context = propagate.extract(fields, getter=_TEXTS) if orphan else None
        return spanned(fields, _text(fields.get(QUEUE)), SpanKind.PRODUCER, context, send)

    return server, client


def _attributes(fields: Mapping[str, Any], queue: str, verb: str) -> dict[str, str | int]:
    """OpenTelemetry's names for messaging; the class under the name that Ruby's instrumentation gives it."""
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": verb,
        "messaging.operation.type": "send" if verb == "publish" else verb,
        "messaging.destination.name": queue,
        "messaging.message.id": _text(fields.get(JID)),
        "messaging.sidekiq.job_class": _text(fields.get(CLASS)),
    }


def _failed(span: "Span", error: BaseException) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", type(error).__qualname__)
    with suppress(Exception):  # it spells the error, whose own text may raise anything
        span.record_exception(error)
    try:
        said = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception's own text may raise anything
        said = type(error).__name__
    span.set_status(Status(StatusCode.ERROR, said))


class _Texts:
    """Reads a payload as a carrier: strings alone, since a propagator trips over numbers that somebody put there."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        """The field's text."""
        value = carrier.get(key)
        return [value] if isinstance(value, str) else None

    def keys(self, carrier: Mapping[str, Any]) -> Sequence[str]:
        """Of all fields."""
        return list(carrier)


_TEXTS: Final[Any] = _Texts()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
