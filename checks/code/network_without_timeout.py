"""A job waits for another machine, and nothing ends that wait.

## Why it hurts
One server that accepts and never answers takes a thread for ever; some such calls and the process runs nothing any
more. It also outlives every shutdown: at the end of the grace the job is cut off, and starts anew elsewhere.

In the log: nothing. Jobs of one class stay busy for hours.

## How it is found
Formula: fails if a job leads to a call over the network without a time limit, or with none said outright
(`timeout=None`, `read_timeout: nil`); info for Ruby's `Net::HTTP` and what stands on it, which ends after 60 s itself

Known are requests, urllib3, urllib, http.client, httpx, smtplib, ftplib, imaplib, poplib, socket, psycopg, redis-py;
Net::HTTP, RestClient, Typhoeus, Excon, TCPSocket (not one that is closed at once), the http gem. A limit counts where
it is given to the call, to the object, by an adapter that is mounted, in options that are spread, and by
`socket.setdefaulttimeout`.

## When it is wrong
A subclass of a session that adds the limit itself.

## Confirm by hand
`py-spy dump` or the TTIN dump of a worker that hangs: the thread waits in `recv`.

## How to fix
Give each call a limit for connecting and for reading, both shorter than the worker's grace (25 s).

Risk: calls that used to succeed after a very long time now fail, and are tried again.

Undo: the call as it was.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Mike Perham, "Timeout: Ruby's most dangerous API" (native time limits instead); requests, "Timeouts"; Ruby, Net::HTTP
(`read_timeout` 60 s); libpq, `connect_timeout`.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Calls, Code, NetworkCall, NetworkCalls, Timeout
from kiqdoctor.doctor.rules import led_to, settled, told

PATIENT = ("Net::HTTP", "RestClient", "HTTParty", "Faraday", "URI")
GLOBAL = "socket.setdefaulttimeout"
HEED_IT = ("urllib.", "socket.", "http.client.", "smtplib.", "ftplib.", "imaplib.", "poplib.")
"""What takes its limit from the socket module where none is given; requests and urllib3 do not."""
WRITE = {
    "psycopg": "connect_timeout=5",
    "psycopg2": "connect_timeout=5",
    "redis": "socket_timeout=5",
    "HTTP": ".timeout(10)",
    "TCPSocket": "connect_timeout: 5",
    "Typhoeus": "timeout: 10, connecttimeout: 5",
    "Net::HTTP": "open_timeout: 5, read_timeout: 10",
}
USUAL = {"python": "timeout=10", "ruby": "open_timeout: 5, read_timeout: 10"}


@check("COD010", severity=Severity.MEDIUM)
def network_without_timeout(code: Code, network: NetworkCalls, calls: Calls) -> Iterator[Verdict]:
    everywhere = any(call.name == GLOBAL for call in calls.sites)
    found = [one for site in led_to(code, network.sites) if (one := _judged(code, site, everywhere)) is not None]
    yield from found
    yield from settled(code, network, found=any(one.severity is not Severity.INFO for one in found))


def _judged(code: Code, call: NetworkCall, everywhere: bool) -> Finding | None:
    root = call.name.partition(".")[0]
    write = f"Write {WRITE.get(root, USUAL[code.language(call)])}."
    if call.timeout is Timeout.NONE and not (everywhere and call.name.startswith(HEED_IT)):
        return told(code, call, Severity.MEDIUM, f"{call.name} may wait for ever", write, key=call.name)
    if call.timeout is Timeout.DEFAULT and root in PATIENT:
        evidence = Evidence("limit", "60 s", "Net::HTTP's own")
        return told(code, call, Severity.INFO, f"{call.name} may wait for 60 s", write, evidence, key=call.name)
    return None
