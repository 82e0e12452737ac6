"""Calls of Ruby's libraries over the network, and what limits each."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import NetworkCall, Timeout
from kiqdoctor.probes.code.limits import HTTP, Library
from kiqdoctor.probes.code.ruby.classes import Method
from kiqdoctor.probes.code.ruby.naming import arguments_of, name_of
from kiqdoctor.probes.deployment.paths import stage
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

HTTP_GEM: Final = "HTTP"
EVERYWHERE: Final = {"HTTP.default_options": HTTP_GEM, "Typhoeus.before": "Typhoeus", "Typhoeus.configure": "Typhoeus"}
"""Words that speak to every call of a library."""
RUBY: Final[dict[str, Library]] = {
    **{
        f"Net::HTTP.{verb}": Library(("read_timeout", "open_timeout"), default=Timeout.DEFAULT)
        for verb in ("start", "new", "get", "get_response", "post", "post_form")
    },
    **{f"RestClient.{verb}": Library(("timeout", "read_timeout"), default=Timeout.DEFAULT) for verb in HTTP},
    "RestClient::Request.execute": Library(("timeout", "read_timeout"), default=Timeout.DEFAULT),
    **{f"{owner}.{verb}": Library(default=Timeout.DEFAULT) for owner in ("HTTParty", "Faraday") for verb in HTTP},
    "Faraday.new": Library(default=Timeout.DEFAULT),
    **{f"Excon.{verb}": Library(("read_timeout",), default=Timeout.DEFAULT) for verb in (*HTTP, "new")},
    **{f"Typhoeus.{verb}": Library() for verb in HTTP},
    **{f"TCPSocket.{verb}": Library(("connect_timeout",)) for verb in ("new", "open")},
    "Socket.tcp": Library(("connect_timeout",)),
    "URI.open": Library(("read_timeout",), default=Timeout.DEFAULT),
}
"""Ruby's. What stands on Net::HTTP has its 60 s."""
CLOSED: Final = frozenset({"TCPSocket.new.close", "TCPSocket.open.close", "Socket.tcp.close"})
"""Who only knocks waits as long as the system tries to connect, and for nothing that is read."""


def limited(methods: Iterable[Method]) -> frozenset[str]:
    """The libraries to which a file says something for all of their calls as it is loaded, such as a limit."""
    found: set[str] = set()
    for method in methods:
        if method.body and stage(method.path):
            found |= {EVERYWHERE[sent.name] for sent in method.calls if sent.name in EVERYWHERE}
            left = (node.child_by_field_name("left") for node in method.assignments)
            found |= {EVERYWHERE[name] for one in left if one is not None and (name := name_of(one)) in EVERYWHERE}
    return frozenset(found)


def network_calls(method: Method, limited: frozenset[str] = frozenset()) -> Iterator[NetworkCall]:
    knocks = {one.id for sent in method.calls if sent.name in CLOSED and (one := _receiver(sent.node)) is not None}
    for sent in method.calls:
        node, name = sent.node, sent.name
        library = RUBY.get(name)
        if library is not None:
            timeout, seconds = _told(node, library.keywords) or _assigned(method, library.keywords)
            if timeout is None:
                timeout = Timeout.UNKNOWN if name.partition(".")[0] in limited else library.default
                timeout = Timeout.DEFAULT if node.id in knocks else timeout
            yield NetworkCall(method.number, *method.at(node), name, timeout, seconds)
        elif name.partition(".")[0] == HTTP_GEM and name.rpartition(".")[2] in HTTP:
            told = ".timeout." in name or HTTP_GEM in limited
            yield NetworkCall(method.number, *method.at(node), name, Timeout.UNKNOWN if told else Timeout.NONE)


def _receiver(node: "Node") -> "Node | None":
    """What a call is sent to."""
    return node.child_by_field_name("receiver")


def _told(node: "Node", keywords: tuple[str, ...]) -> tuple[Timeout | None, float | None] | None:
    """By a keyword of the call, or in a hash that it is given."""
    todo = arguments_of(node)
    while todo:
        one = todo.pop()
        key, value = one.child_by_field_name("key"), one.child_by_field_name("value")
        if one.type == "hash":
            todo += named(one)
        elif one.type == "pair" and value is not None:
            if string(key) in keywords:
                return _number(value)
            todo.append(value)
        elif one.type == "hash_splat_argument":
            return Timeout.UNKNOWN, None
    return None


def _assigned(method: Method, keywords: tuple[str, ...]) -> tuple[Timeout | None, float | None]:
    """By ``http.read_timeout = 5`` in the same method."""
    for node in method.assignments:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and right is not None and name_of(left).rpartition(".")[2] in keywords:
            return _number(right)
    return None, None


def _number(node: "Node") -> tuple[Timeout, float | None]:
    if node.type == "nil":
        return Timeout.NONE, None
    if node.type in {"integer", "float"}:
        try:
            return Timeout.GIVEN, float(text(node).replace("_", ""))
        except ValueError:
            return Timeout.GIVEN, None
    return Timeout.UNKNOWN, None
