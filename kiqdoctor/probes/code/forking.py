"""Whether and how the application forks: by how it is started, and by its code."""

from collections.abc import Iterator

from kiqdoctor.doctor.facts.code import Use
from kiqdoctor.doctor.facts.deployment import Starts

FORKING_CALLS = ("os.fork", "multiprocessing.Process", "multiprocessing.Pool", "concurrent.futures.ProcessPoolExecutor")


def forks(found: list[Use], starts: Starts) -> Iterator[Use]:
    """Uses ``forks`` and ``setting``; ``found`` are the uses of the code."""
    for one in found:
        if one.pattern == "call" and one.subject.startswith(FORKING_CALLS):
            yield Use("forks", one.subject, one.path, one.line, one.column, one.chain)
    for start in starts.all:
        yield Use("setting", start.name, start.path, start.line)
        if start.forks:
            yield Use("forks", start.name, start.path, start.line)
