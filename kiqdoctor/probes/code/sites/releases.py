"""Where a database's connection is given back after a job."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Named
from kiqdoctor.doctor.facts.code.habits import Releases
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from kiqdoctor.probes.code.python.module import Function

WORDS: Final = {
    "django": regex(
        rb"close_old_connections|close_all\(\)|connections?(?:\[[^\]]{0,80}\])?\.close(?:_if_unusable_or_obsolete)?\(\)"
        rb"|DbConnectionsMiddleware|DjangoDbConnection|kiqdoctor\.integrations\.django|request_finished|db_task|conn_max_age"
    ),
    "scoped_session": regex(
        rb"\.remove\(\)|remove_session|shutdown_session|kiqdoctor\.integrations\.sqlalchemy|\.registry\.clear\(\)|teardown"
    ),
}


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def releases(tree: Tree) -> Releases:
    """The first of each kind, wherever it stands: a middleware is named by text alone."""
    from kiqdoctor.probes.code.index import indexed

    index = indexed(tree)
    bodies = {module.path: module.body for module in index.names.modules}
    return Releases(tuple(one for what, words in WORDS.items() for one in _first(tree, bodies, what, words)))


def _first(tree: Tree, bodies: "dict[str, Function]", what: str, words: "re.Pattern[bytes]") -> Iterator[Named]:
    for file in tree.files(".py"):
        body = bodies.get(file.path)
        try:
            found = words.search(file.content()) if body is not None else None
        except UnreadableError:
            continue
        if found is not None and body is not None:
            line = file.content().count(b"\n", 0, found.start()) + 1
            yield Named(body.number, line, 1, what)
            return
