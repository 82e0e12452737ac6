"""How a host leaves a core when a worker crashes: where it goes, what must be set, and how it is read."""

from collections.abc import Iterator

SYSTEMD = "systemd-coredump"


def destination(pattern: str) -> str:
    """Where the kernel puts cores, by ``core_pattern``, in words."""
    if not pattern:
        return "nowhere: core_pattern is empty"
    if SYSTEMD in pattern:
        return "systemd-coredump keeps them: coredumpctl list, coredumpctl dump PID -o FILE"
    if pattern.startswith("|"):
        return f"they are piped to {pattern[1:].split(' ', 1)[0]}, which decides what it keeps"
    if pattern.startswith("/"):
        return f"{pattern}, as the worker's own file system has it"
    return f"the worker's directory, as {pattern}: it must be able to write there"


def limit(*, unit: str = "", container: bool = False) -> str:
    """The line that lets a worker leave one."""
    if unit:
        return f"systemctl edit {unit}: [Service] LimitCORE=infinity; then restart it"
    if container:
        return "docker run --ulimit core=-1, in compose ulimits: {core: -1}; Kubernetes: the runtime's default ulimits"
    return "ulimit -c unlimited before it starts, in a systemd unit LimitCORE=infinity"


def kit(pattern: str, *, container: bool = False) -> Iterator[str]:
    """What to set so that the next crash can be read, for this host."""
    yield f"cores go to: {destination(pattern)}"
    if not pattern:
        yield "sysctl kernel.core_pattern=/var/crash/core.%e.%p, in a folder that exists and only root reads"
    elif container and not pattern.startswith("|"):
        yield "core_pattern is the host's, its path the container's: a volume keeps the core when the container goes"
    elif container:
        yield "core_pattern is the host's, and its program runs there: look for the core on the host"
    yield f"the limit: {limit(container=container)}; grep core /proc/PID/limits shows it"
    yield "Python: PYTHONFAULTHANDLER=1 (kiqdoctor work has it on); Ruby writes a [BUG] report into its log by itself"
    yield "a core holds job arguments and what secrets it knew: readable by root alone, never attached to an issue"
