"""How the application's jobs run: by the commands that start workers, else by settings, else as the library does."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Code, Execution, Model, Place, Way
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.probes.code.locked import libraries
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.hints import Hints
    from kiqdoctor.probes.code.python.running import Said
    from kiqdoctor.probes.deployment.chosen import Running

DEFAULTS: Final = {
    **dict.fromkeys(("sidekiq", "kiqdoctor", "dramatiq", "huey", "apscheduler"), Model.THREADS),
    **dict.fromkeys(("good_job", "solid_queue", "que", "shoryuken", "sneakers", "sucker_punch"), Model.THREADS),
    **dict.fromkeys(("celery", "django_q", "dispatcherd"), Model.PREFORK),
    **dict.fromkeys(("rq", "resque"), Model.FORK_PER_JOB),
    **dict.fromkeys(("arq", "taskiq", "saq", "streaq", "procrastinate"), Model.EVENT_LOOP),
    "delayed_job": Model.SOLO,
}
"""What each library does where nobody says anything else."""
LIBRARIES: Final = {
    **dict.fromkeys(("rqworker", "rqworker-pool"), "rq"),
    **dict.fromkeys(("huey_consumer", "huey_consumer.py", "run_huey", "djangohuey"), "huey"),
    **dict.fromkeys(("dramatiq-gevent", "rundramatiq"), "dramatiq"),
    "sidekiqswarm": "sidekiq",
    "qcluster": "django_q",
}
"""Programs that are not called as their library is."""
KINDS: Final = {
    "celery": {
        **dict.fromkeys(("prefork", "processes"), Model.PREFORK),
        **dict.fromkeys(("gevent", "eventlet"), Model.GREENLETS),
        "threads": Model.THREADS,
        "solo": Model.SOLO,
    },
    "huey": {"thread": Model.THREADS, "process": Model.PREFORK, "greenlet": Model.GREENLETS, "gevent": Model.GREENLETS},
    "django_tasks": {
        "kiqdoctor.integrations.django.tasks.Backend": Model.THREADS,
        "django_tasks.backends.database.DatabaseBackend": Model.SOLO,
        "django_tasks.backends.rq.RQBackend": Model.FORK_PER_JOB,
    },
    "apscheduler": {
        **dict.fromkeys(("BackgroundScheduler", "BlockingScheduler"), Model.THREADS),
        "AsyncIOScheduler": Model.EVENT_LOOP,
        "GeventScheduler": Model.GREENLETS,
    },
    "rq": {"Worker": Model.FORK_PER_JOB, "SpawnWorker": Model.FORK_PER_JOB, "SimpleWorker": Model.SOLO},
}
"""What the words of commands and settings mean."""
CHOSEN: Final = KINDS.keys() & DEFAULTS.keys()
"""Libraries whose commands choose how their jobs run."""
ADAPTED: Final = "activejob"
IN_PROCESS: Final = "async"
"""Rails' own adapter, where nothing names another."""


@probe(
    SOURCE,
    Read("the files that tell how it is deployed", "", "read once with them"),
    lane=Lane.FILES,
    deadline_s=DEADLINE,
)
def execution(tree: Tree, code: Code, packages: Packages | Missing) -> Execution:
    """Every library's, which its jobs, a command or the lock file name."""
    from kiqdoctor.probes.code.hints import Hints, hints
    from kiqdoctor.probes.deployment.derived import derived
    from kiqdoctor.probes.tree.remembering import Store

    told = tree.once(Store).fact(Hints, {}, lambda: hints(tree))
    commands = [(_library(one), one) for one in tree.once(derived).running]
    wanted = dict.fromkeys(one.library for one in code.jobs if one.library)
    wanted |= dict.fromkeys(library for library, _ in commands if library in DEFAULTS)
    locked = libraries(packages) if isinstance(packages, Packages) else ()
    wanted |= dict.fromkeys(library for _, library in locked)
    wanted.pop(ADAPTED, None)
    started = {library: [one for name, one in commands if name == library] for library in wanted}
    ways = [way for library in wanted for way in _ways(tree, told, library, started[library])]
    return Execution((*ways, *_adapted(told, code, ways)))


def _library(one: "Running") -> str:
    return LIBRARIES.get(one.command.program, one.command.program)


def _ways(tree: Tree, told: "Hints", library: str, commands: "Iterable[Running]") -> Iterator[Way]:
    said = [one for one in _settings(told) if one.library == library]
    setting = said[-1] if said else None
    found = [_commanded(told, library, one, setting) for one in commands]
    if found:
        yield from dict.fromkeys(found)
    elif setting is not None:
        yield _set(told, library, setting)
    elif library in CHOSEN and (noted := _noted(tree, told, library)):
        yield from noted
    else:
        yield Way(library, DEFAULTS.get(library, Model.UNKNOWN), f"what {library} does where nothing else is said")


def _noted(tree: Tree, told: "Hints", library: str) -> list[Way]:
    """By files that start workers too, but are no deployment of a kind that is read: all of them have to agree."""
    from kiqdoctor.probes.deployment.derived import derived
    from kiqdoctor.probes.deployment.every import of_workers
    from kiqdoctor.probes.deployment.noted import noted

    broken = [path for path, _ in of_workers(tree.once(derived))]
    commands = [one for one in noted(tree, *broken) if _library(one) == library]
    found = [_commanded(told, library, one, None) for one in commands]
    unread = next((path for path in broken if path not in {one.started.path for one in commands}), "")
    if unread or len({way.model for way in found}) > 1:
        where = unread or " and ".join(dict.fromkeys(way.place.path for way in found if way.place))
        return [Way(library, Model.UNKNOWN, f"what starts its workers is not told for certain by {where}")]
    return found[:1]


def _settings(told: "Hints") -> "list[Said]":
    """Settings, but of files that are for trials; production's last."""
    from kiqdoctor.probes.deployment.paths import stage

    found = [one for one in told.settings if stage(one.place.path)]
    return sorted(found, key=lambda one: stage(one.place.path))


def _commanded(told: "Hints", library: str, one: "Running", setting: "Said | None") -> Way:
    command = one.command
    kind = command.option("pool" if library == "celery" else "kind")
    place = Place(one.started.path, one.started.line)
    amount = command.amount("concurrency")
    model, said = DEFAULTS[library], f"the default of {command.program}"
    if command.program == "dramatiq-gevent":
        model, said = Model.GREENLETS, command.program
    elif kind is not None:
        model, said = _meant(told, library, kind, one.started.environment), f"{command.program} with {kind}"
    elif setting is not None:
        way = _set(told, library, setting)
        model, said, place = way.model, way.said, way.place or place
    queues = tuple(part for text in command.every("queue") for part in text.split(",") if part)
    if library == "rq":
        queues = command.arguments
    number = amount.given(dict(one.started.environment)) if amount is not None else None
    return Way(library, model, said, place, queues, number)


def _set(told: "Hints", library: str, setting: "Said") -> Way:
    from kiqdoctor.probes.deployment.commands import commands

    if setting.words:
        pools = [one.option("pool") for one in commands(setting.words)]
        kind = pools[0] if pools else None
        model = DEFAULTS[library] if kind is None else _meant(told, library, kind, ())
        return Way(library, model, "a worker that the application starts itself", setting.place)
    model = Model.UNKNOWN if setting.value is None else _meant(told, library, setting.value, ())
    return Way(library, model, f"a setting: {setting.value or 'computed'}", setting.place)


def _meant(told: "Hints", library: str, kind: str, environment: Iterable[tuple[str, str]]) -> Model:
    """What a word means; of an own worker class what it inherits, of a variable what it says."""
    from kiqdoctor.probes.deployment.amounts import words_of

    word = words_of(kind, dict(environment))
    if word is None:
        return Model.UNKNOWN
    known = KINDS.get(library, {})
    if library == "rq":
        word = told.workers.get(word.replace(":", "."), word.rpartition(".")[2])
    return known.get(word, Model.UNKNOWN)


def _adapted(told: "Hints", code: Code, ways: Iterable[Way]) -> Iterator[Way]:
    """Active Job's, as the queue's that it hands its jobs to."""
    if not any(one.library == ADAPTED for one in code.jobs):
        return
    adapters = told.adapters
    locked = {one.library: one for one in ways}
    if adapters and adapters[-1].name:
        name, place = adapters[-1].name, adapters[-1].place
        said = f"queue_adapter = {name}"
    elif adapters:
        name, said, place = "", "queue_adapter is computed", adapters[-1].place
    else:
        name, said, place = IN_PROCESS, "Rails' default", None
    model = Model.THREADS if name == IN_PROCESS else DEFAULTS.get(name, Model.UNKNOWN)
    if name in locked:
        yield from (Way(ADAPTED, one.model, f"{said}: {one.said}", one.place or place, one.queues, one.amount, name)
                    for one in ways if one.library == name)  # fmt: skip
    elif not name and len({one.model for one in ways}) == 1:
        yield Way(ADAPTED, next(iter(locked.values())).model, said, place)
    else:
        yield Way(ADAPTED, model, said, place, adapter=name)
