"""uwsgi.ini: it loads the application before it forks unless lazy-apps, and runs no threads unless told."""

import configparser
from typing import Final

from kiqdoctor.probes.deployment.amounts import Amount, of_value
from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.records import ServerFile
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File

OFF: Final = frozenset({"false", "0", "off", "no"})


@configures("uwsgi", "uwsgi.ini", "config/uwsgi.ini")
def uwsgi(file: File) -> list[ServerFile]:
    parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    try:
        parser.read_string(file.text())
    except (configparser.Error, AttributeError):  # the latter where a value goes on that never began
        raise UnparsedError("it is no INI file") from None
    words = {key: value or "true" for key, value in parser["uwsgi"].items()} if parser.has_section("uwsgi") else {}
    on = {key for key, value in words.items() if value.lower() not in OFF}
    return [
        ServerFile(
            file.path,
            _first(words, "processes", "workers"),
            _first(words, "threads"),
            preload=0 if on & {"lazy-apps", "lazy"} else 1,
            own_threads=bool(on & {"enable-threads", "threads"}),
        )
    ]


def _first(words: dict[str, str], *keys: str) -> Amount | None:
    return next((found for key in keys if (found := of_value(words.get(key))) is not None), None)
