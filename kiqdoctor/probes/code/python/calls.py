"""The functions of the application that a function in Python runs, and those that it only mentions."""

import ast
from collections.abc import Iterator

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names

SUPER = "super()."
OF_REQUESTS = frozenset({"before_request", "after_request", "teardown_request"})
ROUTES = OF_REQUESTS | {"Rule", "Route", "add_url_rule", "add_api_route", "add_route", "register_error_handler"}
DJANGO_ROUTES = frozenset({"django.urls.path", "django.urls.re_path", "django.conf.urls.url"})
"""What keeps a function for the requests to come."""
ENTERED = ("__enter__", "__exit__", "__aenter__", "__aexit__")


def edges(names: Names, function: Function) -> Iterator[Edge]:
    """All of them; what is handed to somebody is only mentioned."""
    for call, dotted in function.calls:
        at = function.at(call)
        function.unfollowed += not dotted and getattr(call.func, "attr", "") in names.methods
        yield from (Edge(to, at, called=True) for to in names.targets(dotted))
        if function.owner:
            yield from (Edge(to, at, called=True) for to in names.overriding(function, dotted))
        if dotted.startswith(SUPER):
            yield from (Edge(to, at, called=True) for to in names.over(function, dotted.removeprefix(SUPER)))
        elif dotted == "getattr" and (asked := _asked(function, call)):
            yield from (Edge(to, at, called=True) for to in names.targets(asked))
    yield from _entered(names, function)
    elsewhere = {id(one) for call, dotted in function.calls for one in _run_elsewhere(names, call, dotted)}
    for load, dotted in function.loads:
        if id(load) not in elsewhere:
            yield from (Edge(to, function.at(load), called=False) for to in names.targets(dotted))
    for used, dotted in function.uses if names.properties else ():
        yield from (Edge(to, function.at(used), called=True) for to in names.read(dotted))
    for wrapper in names.wrappers(function) if function.decorators else ():
        yield Edge(wrapper, function.begin, called=True)


def _entered(names: Names, function: Function) -> Iterator[Edge]:
    """What a ``with`` statement calls of an object of the application's own classes."""
    for block in function.withs if "__enter__" in names.methods or "__aenter__" in names.methods else ():
        for item in block.items:
            held = names.resolved(function.module.dotted(item.context_expr, function))
            for word in ENTERED if held.endswith("()") and names.own(held) else ():
                yield from (
                    Edge(to, function.at(item.context_expr), called=True) for to in names.targets(f"{held}.{word}")
                )


def _run_elsewhere(names: Names, call: ast.Call, dotted: str) -> Iterator[ast.expr]:
    """``Process(target=f)``: what another process runs, on its own main thread; what a request runs by a route."""
    last = dotted.rpartition(".")[2] or getattr(call.func, "attr", "")
    if last == "Process":
        yield from (one.value for one in call.keywords if one.arg == "target")
    elif last in ROUTES or names.resolved(dotted) in DJANGO_ROUTES:
        yield from (*call.args, *(one.value for one in call.keywords))
    for given in call.args:
        if isinstance(given, ast.Dict):
            pairs = zip(given.keys, given.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value in OF_REQUESTS)


def _asked(function: Function, call: ast.Call) -> str:
    """``self.run`` of ``getattr(self, "run")``."""
    if len(call.args) > 1 and isinstance(name := call.args[1], ast.Constant) and isinstance(name.value, str):
        owner = function.module.dotted(call.args[0], function)
        return f"{owner}.{name.value}" if owner else ""
    return ""
