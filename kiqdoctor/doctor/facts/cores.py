"""What a core file tells of the process that left it. No check judges these."""

from typing import NamedTuple

from kiqdoctor.doctor.facts.packages import Advisory
from kiqdoctor.doctor.facts.threads import Frame


class Owner(NamedTuple):
    """A package that a file belongs to; ``ecosystem``: python, ruby, debian."""

    ecosystem: str
    name: str
    version: str


class NativeFrame(NamedTuple):
    """One native call: ``function`` "" where no symbol names it; ``owner`` None where it is not known."""

    function: str
    library: str
    owner: Owner | None = None


class RunningJob(NamedTuple):
    """A job that ran in a thread of our runtime when the core was written; ``since``: epoch seconds."""

    tid: int
    jid: str
    job_class: str
    queue: str
    since: float


class Crashed(NamedTuple):
    """``signal`` ended it; ``raised``: the signal before that, which a handler (Ruby's, faulthandler's) answered.

    ``sender``: the process whose kill it was; None: an instruction of its own did it, or that is not known.
    ``faulted``: the processor stopped an instruction, at ``address`` where it says which; None: that is not known.
    ``overflowed``: that is just beyond the end of its stack.
    ``missing`` says what could not be told.
    """

    signal: str
    executable: str
    program: str = ""
    pid: int = 0
    raised: str = ""
    faulted: bool | None = None
    address: int | None = None
    overflowed: bool = False
    sender: int | None = None
    language: str = ""  # python, ruby, ""
    frames: tuple[NativeFrame, ...] = ()
    frames_by: str = ""  # gdb, eu-stack, registers
    culprit: NativeFrame | None = None
    stack: tuple[Frame, ...] | None = None
    stack_by: str = ""
    job: RunningJob | None = None
    others: tuple[RunningJob, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    missing: tuple[str, ...] = ()
