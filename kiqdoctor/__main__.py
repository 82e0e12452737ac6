"""``python -m kiqdoctor``: answers ``--version`` before anything of weight is imported."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # where we are, which may be the audited tree; `work` looks there when it imports its modules

try:
    import gc
    import signal
    from types import FrameType
except KeyboardInterrupt:
    sys.exit(130)

SELDOM = 20_000  # objects made and kept, after which Python looks for garbage: 20 ms of a small examination


def main() -> None:
    """The console script."""
    told: list[int] = []

    def interrupted(number: int, _: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody wants it ignored: nohup, `&`
        signal.signal(signal.SIGINT, interrupted)
    sys.unraisablehook = _unless_interrupted
    try:
        status = _status()
    except BaseException as error:
        # Python 3.11 makes another error of it while it makes a class; some libraries do so too.
        if not told and not isinstance(error, KeyboardInterrupt):
            raise
        status = 130
    if signal.getsignal(signal.SIGINT) is interrupted:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done: no traceback of Python's own end
    gc.freeze()  # all goes with the process: Python would look through it twice for circles
    sys.exit(130 if told else status)


def _unless_interrupted(raised: "sys.UnraisableHookArgs") -> None:
    """Python loses what is raised while it collects garbage: that we were interrupted is known all the same."""
    if raised.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(raised)


def _status() -> int:
    """Answers --version before anything of weight is imported."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        from kiqdoctor import __version__

        try:
            sys.stdout.write(f"kiqdoctor {__version__}\n")
            sys.stdout.flush()
        except OSError:
            pass  # told below, with the words of every command
        else:
            return 0
    if sys.argv[1:2] == ["--supervise"]:  # what `work` becomes: a small parent of its processes
        from kiqdoctor.runtime.supervising.orders import read
        from kiqdoctor.runtime.supervising.supervisor import Supervisor

        return Supervisor(read(sys.argv[2])).run()
    if sys.argv[1:2] != ["work"]:  # the others are done soon: a search for garbage after each 700 objects finds none
        gc.set_threshold(SELDOM)
    from kiqdoctor.cli import run
    from kiqdoctor.cli.streams import occupied

    occupied()
    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
