"""What the files that configure, start and stop workers say, as they say it."""

import msgspec

from kiqdoctor.wire.numbers import real


class Setting(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One key of a worker's file, by its path (``production.concurrency``).

    ``kind``: number, text, flag, list, table, none, or computed by embedded Ruby. ``value`` of numbers and flags, and
    of what is computed the default where it says one.
    """

    key: str
    line: int
    kind: str
    value: str = ""


class QueueLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One queue of a file's list; ``within`` is the section or capsule that has the list, "" on top."""

    name: str
    weight: int | None
    line: int
    within: str = ""


class WorkerFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of Sidekiq's own files. ``branches``: its embedded Ruby decides which of its lines there are.

    ``problem``: why it is no configuration, with the line (0: nobody knows).
    """

    path: str
    settings: tuple[Setting, ...] = ()
    queues: tuple[QueueLine, ...] = ()
    branches: bool = False
    problem: str = ""
    problem_line: int = 0


class WorkerCommand(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command that starts workers: its options by our names, and its words as they stand.

    ``cores``: how many it may use; ``shell``: one waits for it; ``trial``: why this is no production. ``hooked``: words
    of the past (sidekiqctl, USR1, INFO) in what runs before it is ended, each with file and line.
    """

    path: str
    line: int
    program: str
    options: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    cores: float | None = None
    shell: bool = False
    trial: str = ""
    hooked: tuple[tuple[str, str, int], ...] = ()


class WorkerSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Every file and command that says how workers run."""

    files: tuple[WorkerFile, ...] = ()
    commands: tuple[WorkerCommand, ...] = ()
    capsules: tuple[QueueLine, ...] = ()  # queues that initializers give to a capsule, or to the default one

    def numbers(self, name: str) -> tuple[tuple[float, str], ...]:
        """What a key of this name is set to, on top or in a section, and where."""
        return tuple(
            (value, f"{file.path}:{setting.line}")
            for file in self.files
            for setting in file.settings
            if setting.key.rpartition(".")[2].lstrip(":") == name and (value := real(setting.value)) is not None
        )


class Stop(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How one worker is ended: ``timeout_s`` that it was told to wait for its jobs, ``grace_s`` that it is given.

    None: nobody says it, and a default counts; ``untold``: a grace is set, and what to is in no file. ``before_s`` a
    hook takes of the grace before TERM comes.
    """

    path: str
    line: int
    program: str
    platform: str
    timeout_s: float | None = None
    timeout_at: str = ""
    grace_s: float | None = None
    grace_path: str = ""
    grace_line: int = 0
    before_s: float = 0.0
    signal: str = ""
    mode: str = ""
    shell: bool = False
    trial: str = ""
    untold: bool = False


class Stops(msgspec.Struct, frozen=True, omit_defaults=True):
    """All workers that files start, one way of deployment; ``unreadable`` files may start more."""

    all: tuple[Stop, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


class Switch(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A place that makes jobs run in line, or not at all, as tests want it.

    ``on`` None: run time decides. ``guards``: conditions around it, as they are written. ``stage``: what its file is
    for, as far as its path says.
    """

    path: str
    line: int
    what: str
    on: bool | None = True
    guards: tuple[str, ...] = ()
    stage: str = ""
    decided_by: str = ""
    heirs: bool = True  # production loads what this file says, as far as its neighbours tell


class TestModes(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them. ``unreadable``: files that speak of one and could not be parsed."""

    all: tuple[Switch, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    files: int = 0


class Scope(msgspec.Struct, frozen=True, omit_defaults=True):
    """The variables of one unit, without their values. ``closed``: there are no others.

    ``provider``: what REDIS_PROVIDER says, where that is a plain name; ``is_url``: it says an address instead.
    ``differs``: the variable that it names, and REDIS_URL, hold different addresses.
    """

    path: str
    unit: str
    names: tuple[str, ...] = ()
    line: int = 0
    provider: str = ""
    is_url: bool = False
    differs: bool = False
    closed: bool = False


class Variables(msgspec.Struct, frozen=True, omit_defaults=True):
    """Scopes that say REDIS_PROVIDER, and how many say anything."""

    all: tuple[Scope, ...] = ()
    scopes: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()


class Scaler(msgspec.Struct, frozen=True, omit_defaults=True):
    """An autoscaler of workers: how few it may leave, and at what it looks.

    ``lists``: names of Redis keys whose length it follows; ``others``: triggers of other kinds. ``steady``: a worker
    that runs whatever it decides, "" where there is none.
    """

    path: str
    line: int
    target: str
    minimum: int
    lists: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    steady: str = ""
    kind: str = ""


class Autoscalers(msgspec.Struct, frozen=True, omit_defaults=True):
    """Those that scale what runs jobs."""

    all: tuple[Scaler, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


class RedisService(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Redis that files start or configure.

    ``published``: addresses on which it can be reached from elsewhere, ``resets``: and no others, whatever other files
    say; ``password``: it asks for one, None where that
    is not known. ``protected``: its protected mode. ``trial``: why this is no production.
    """

    path: str
    line: int
    name: str
    kind: str  # "compose", "kubernetes", "redis.conf"
    published: tuple[str, ...] = ()
    password: bool | None = False
    protected: bool | None = None
    version: str = ""  # of the image, where its tag says one
    trial: str = ""
    resets: bool = False


class RedisAddress(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An address of Redis, without user and password; ``host`` is "" where only a password is told.

    ``public``: it names a host of the open internet; ``password``: it says one, ``secret``: spelt out, and one that
    somebody could use. ``trial``: why this is no production.
    """

    path: str
    line: int
    host: str
    public: bool = False
    encrypted: bool = False
    password: bool = False
    secret: bool = False
    trial: str = ""


class RedisAddresses(msgspec.Struct, frozen=True, omit_defaults=True):
    """Those that are public and in the clear, and those with a secret."""

    all: tuple[RedisAddress, ...] = ()
    files: int = 0


class RedisFiles(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them."""

    services: tuple[RedisService, ...] = ()
    files: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()


class ScriptLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A line of a script, a unit or code that calls something of the past, or something that deletes.

    ``word``: sidekiqctl, USR1, INFO, flushall, flushdb, or raw-pop: a blocking command whose client does not know it.
    ``place``: deploy, seed, ci, script, task or code.
    """

    path: str
    line: int
    word: str
    place: str = "script"
    guards: tuple[str, ...] = ()


class Scripts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them."""

    all: tuple[ScriptLine, ...] = ()
    files: int = 0
