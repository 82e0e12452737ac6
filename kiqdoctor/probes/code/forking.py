"""Whether and how the application forks: by its servers' configuration, its commands and its code."""

import ast
import configparser
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from kiqdoctor.doctor.facts.code import Use
from kiqdoctor.probes.tree.files import content
from kiqdoctor.probes.tree.ruby import call, parse, text, walk

FORKING_CALLS = ("os.fork", "multiprocessing.Process", "multiprocessing.Pool", "concurrent.futures.ProcessPoolExecutor")


def forks(root: Path, found: list[Use]) -> Iterator[Use]:
    """Uses ``forks`` and ``setting``; ``found`` are the uses of the code."""
    for one in found:
        if one.pattern == "call" and one.subject.startswith(FORKING_CALLS):
            yield Use("forks", one.subject, one.path, one.line, one.column, one.chain)
    yield from _gunicorn(root)
    yield from _uwsgi(root)
    yield from _ruby(root)
    yield from _commands(root)


def _gunicorn(root: Path) -> Iterator[Use]:
    for name in ("gunicorn.conf.py", "gunicorn_conf.py", "config/gunicorn.py"):
        try:
            tree = ast.parse(content(root / name))
        except (OSError, SyntaxError, ValueError):
            continue
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is True:
                names = {target.id for target in node.targets if isinstance(target, ast.Name)}
                for setting in names & {"preload_app"}:
                    yield Use("setting", f"gunicorn:{setting}", name, node.lineno)
                    yield Use("forks", f"gunicorn {setting}", name, node.lineno)


def _uwsgi(root: Path) -> Iterator[Use]:
    for name in ("uwsgi.ini", "config/uwsgi.ini"):
        parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
        try:
            parser.read_string(content(root / name).decode("utf-8", "replace"))
        except (OSError, configparser.Error):
            continue
        words = dict(parser["uwsgi"]) if parser.has_section("uwsgi") else {}
        yield Use("setting", "uwsgi", name, 1)
        for key in ("enable-threads", "lazy-apps", "threads"):
            if words.get(key, "false") not in {"false", "0"}:
                yield Use("setting", "uwsgi:enable-threads" if key == "threads" else f"uwsgi:{key}", name, 1)
        if words.get("lazy-apps", "false") in {"false", "0"}:
            yield Use("forks", "uwsgi", name, 1)


def _ruby(root: Path) -> Iterator[Use]:
    for name in ("config/puma.rb", "config/unicorn.rb"):
        try:
            tree = parse(content(root / name))
        except OSError:
            continue
        for node in walk(tree):
            spelt = call(node)[1] or (text(node) if node.type == "identifier" else "")
            off = node.type == "call" and text(node).endswith("false")
            if spelt in {"preload_app!", "preload_app"} and not off:
                line = node.start_point[0] + 1
                yield Use("setting", "preload", name, line, 1, (), "ruby")
                yield Use("forks", f"{name} preload_app", name, line, 1, (), "ruby")


def _commands(root: Path) -> Iterator[Use]:
    try:
        lines = content(root / "Procfile").decode("utf-8", "replace").splitlines()
    except OSError:
        return
    for number, line in enumerate(lines, 1):
        words = line.split()
        if "gunicorn" in line and "--preload" in words:
            yield Use("setting", "gunicorn:preload_app", "Procfile", number)
            yield Use("forks", "gunicorn --preload", "Procfile", number)
        pools = {word.partition("=")[2] for word in words if word.startswith("--pool=")}
        pools |= {after for word, after in pairwise(words) if word in {"-P", "--pool"}}
        if "celery" in words and "worker" in words and not pools & {"threads", "solo", "gevent", "eventlet"}:
            yield Use("setting", "celery prefork", "Procfile", number)
            yield Use("forks", "celery prefork", "Procfile", number)
