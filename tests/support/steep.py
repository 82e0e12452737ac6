"""Finds texts on which a pattern's work grows faster than the text; run as a process, it answers a line for a line.

Standard library only, and nothing of ours is imported: whoever asks may end it.
"""

import importlib
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, Final

FACTOR: Final = 4  # between the two lengths
QUICK: Final = 1_000  # characters, and FACTOR times as many: what is plainly linear goes no further
WHOLE: Final = 5_000  # characters, beyond what a bounded repeat may take: {0,2000} looks steep below it
FLOOR: Final = 0.0002  # seconds of computing below which nothing is told
STEEP: Final = 8.0  # times the work; 4 is linear, 16 quadratic
MEASURED: Final = 3  # times: the least is what it takes
PATIENCE: Final = 10.0  # seconds of computing for one of ours, after which the kernel ends this process
PIECES: Final = 10  # that are tried in pairs
WORDS: Final = 24
ODD: Final = ("a", "1", " ", "_", "-", ".", "/", '"', "\n", "\0", "é", ":")

_parser: Any = importlib.import_module("re._parser")
_constants: Any = importlib.import_module("re._constants")
Text = Callable[[int], str]


def text(head: str, piece: str, length: int) -> str:
    """So long a run of the piece."""
    return head + piece * (length // len(piece)) + "\x01"


def texts(source: str, flags: int) -> Iterator[Text]:
    """Long runs of what it repeats and of what it speaks of; the end fits nothing."""
    seen = set()
    for head, piece in (*pumps(source, flags), *spoken(source)):
        if piece and (head, piece) not in seen:
            seen.add((head, piece))
            yield partial(text, head, piece)


def spoken(source: str) -> Iterator[tuple[str, str]]:
    """Words and marks of its source, alone and in pairs."""
    words = re.findall(r"[A-Za-z]{2,}|[0-9]|[^\sA-Za-z0-9\\]", source)[:WORDS]
    pieces = list(dict.fromkeys([*words, *ODD]))
    start = "".join(re.findall(r"^\(?\??:?([A-Za-z ]+)", source)[:1])
    for piece in pieces:
        yield "", piece
        yield f"{start} 1.1", piece
    for one, other in product(pieces[:PIECES], repeat=2):
        yield "", one + other


def pumps(source: str, flags: int) -> Iterator[tuple[str, str]]:
    """For each of its repeats: what stands before it, then what it repeats, and all that anew."""
    for head, piece in repeats(list(_parser.parse(source, flags)), ""):
        yield head, piece
        yield "", head + piece
        yield "", head + piece * 3


def repeats(nodes: list[Any], head: str) -> Iterator[tuple[str, str]]:
    """Each repeat in these, with a text that leads to it."""
    for kind, value in nodes:
        if str(kind) in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            _, most, inner = value
            if most > 1:
                for sample in sampled(list(inner)):
                    yield head, sample
        for inner in inside(str(kind), value):
            yield from repeats(inner, head)
        head += next(iter(sampled([(kind, value)])), "")


def inside(kind: str, value: Any) -> list[list[Any]]:
    """The parts of a node."""
    match kind:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [list(value[2])]
        case "SUBPATTERN":
            return [list(value[3])]
        case "ATOMIC_GROUP":
            return [list(value)]
        case "BRANCH":
            return [list(one) for one in value[1]]
        case "ASSERT":
            return [list(value[1])]
        case _:
            return []


def sampled(nodes: list[Any]) -> list[str]:
    """Short texts that these match, some for each set of characters; at least one."""
    found = [""]
    for kind, value in nodes:
        found = [one + other for one in found[:4] for other in samples(str(kind), value)][:8]
    return found


def samples(kind: str, value: Any) -> list[str]:  # noqa: PLR0911 - one for each kind of node
    """Of one node."""
    match kind:
        case "LITERAL":
            return [chr(value)]
        case "NOT_LITERAL" | "ANY":
            return [one for one in ("a", " ", "'") if kind == "ANY" or ord(one) != value]
        case "IN":
            return members(value)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            inner = sampled(list(value[2]))
            return [one * max(1, min(value[0], 50)) for one in inner[:3]] + ([""] if value[0] == 0 else [])
        case "SUBPATTERN" | "ATOMIC_GROUP":
            return sampled(inside(kind, value)[0])
        case "BRANCH":
            return [one for part in inside(kind, value) for one in sampled(part)[:2]][:8]
        case _:
            return [""]


def members(nodes: list[Any]) -> list[str]:
    """Some characters of a set."""
    tried = [*(chr(value) for kind, value in nodes if str(kind) == "LITERAL"), "a", "1", " ", "A", ".", "é"]
    tried += [chr(value[0]) for kind, value in nodes if str(kind) == "RANGE"]
    pattern: Any = importlib.import_module("re._compiler").compile(_set(nodes))
    return [one for one in dict.fromkeys(tried) if pattern.fullmatch(one)][:4] or ["a"]


def _set(nodes: list[Any]) -> Any:
    pattern = _parser.SubPattern(_parser.State(), [(_constants.IN, nodes)])
    pattern.state.flags = re.UNICODE.value
    pattern.state.str = ""
    return pattern


def feed(pattern: "re.Pattern[Any]", way: str, text: Any) -> float:
    """Seconds of computing."""
    began = time.thread_time()
    if way in {"match", "fullmatch"}:
        getattr(pattern, way)(text)
    else:
        sum(1 for _ in pattern.finditer(text))
    return time.thread_time() - began


def steep(pattern: "re.Pattern[Any]", way: str, text: Text) -> bool:
    """Whether four times the text is far more than four times the work."""
    raw = isinstance(pattern.pattern, bytes)

    def took(length: int, times: int) -> float:
        fed = text(length).encode() if raw else text(length)
        return min(feed(pattern, way, fed) for _ in range(times))

    if took(FACTOR * QUICK, 1) < FLOOR:
        return False
    tried = ((QUICK, 2), (WHOLE, 1), (WHOLE, MEASURED))  # ever more of it, where it seems to be steep
    return all(took(FACTOR * length, times) > STEEP * took(length, times) for length, times in tried)


def main(patience: float) -> None:
    """For each line, the first that is steep in it, or nothing."""
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, patience)  # nobody handles it: the matcher, too, is ended by it
        source, flags, ways = eval(line)
        pattern = re.compile(source, flags)
        spelt = source.decode("latin-1") if isinstance(source, bytes) else source
        found = (f"{way} {one(40)!r}" for one in texts(spelt, flags) for way in ways if steep(pattern, way, one))
        print(next(found, ""), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
