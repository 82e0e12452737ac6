"""Why the kernel does not let this process read another one's memory, by what /proc shows of both.

The kernel's own rule (ptrace(2), "Ptrace access mode checking") in its own order: Yama's "nobody", the user, what Yama
asks of the same user, capabilities, whether the process lets itself be read. Called after a refusal, so that nothing
is refused by a guess.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.probes.host.files import link, read
from kiqdoctor.text import clean, decode

CAP_SYS_PTRACE: Final = 19  # bit of a capability mask
GRANT: Final = "--cap-add SYS_PTRACE / securityContext.capabilities.add: [SYS_PTRACE]"
OF_A_POD: Final = "securityContext: {capabilities: {add: [SYS_PTRACE]}} at this container in the pod's manifest"
OF_A_CONTAINER: Final = "cap_add: [SYS_PTRACE] at this service in compose.yaml, or {program} run --cap-add SYS_PTRACE"
LOOSEN: Final = "sysctl kernel.yama.ptrace_scope=0"
NOBODY: Final = 3  # ptrace_scope that no privilege overrides
FIRST_PID_SPACE: Final = 0xEFFFFFFC  # the kernel's own inode for the host's
RESTRICTED: Final = 1  # ptrace_scope from which the same user is not enough

Status = Mapping[str, str]


def fields(path: Path) -> Status:
    """``Name: value`` lines of a status file; empty where it cannot be read."""
    lines = decode(read(path) or b"").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def refusal(pid: int, proc: Path) -> RefusalError:
    """The one permission that is missing, and the line that gives it."""
    ours, theirs = fields(proc / "self" / "status"), fields(proc / str(pid) / "status")
    scope = _scope(proc)
    if scope >= NOBODY:
        return RefusalError(
            f"kernel.yama.ptrace_scope is {scope}: nobody, not even root, may read process {pid}",
            "boot with kernel.yama.ptrace_scope=1: it cannot be lowered while the system runs",
        )
    if _has(ours, "CapEff"):
        return _despite_the_capability(pid, proc, ours)
    return _by_user(pid, proc, ours, theirs) or _as_the_same_user(pid, proc, ours, theirs, scope)


def grant(proc: Path) -> str:
    """The line that gives the capability where this process runs, by what its container shows of itself."""
    if b"KUBERNETES_SERVICE_HOST=" in (read(proc / "self" / "environ") or b""):
        return OF_A_POD
    for mark, program in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (proc.parent / mark).exists():
            return OF_A_CONTAINER.format(program=program)
    return GRANT


def outside_of(pid: int, proc: Path) -> str:
    """Why a process may be none here that is there for others: pids are numbered anew in each PID namespace."""
    space = link(proc / "self" / "ns" / "pid")
    if space is None or space == f"pid:[{FIRST_PID_SPACE}]":
        return f"no process {pid} on this host"
    return f"no process {pid} in this PID namespace, where the pids of the host and of other containers are not known"


def _by_user(pid: int, proc: Path, ours: Status, theirs: Status) -> RefusalError | None:
    """Every user and group id of the process must be ours."""
    mine, my_group = _ids(ours, "Uid")[0], _ids(ours, "Gid")[0]
    users, groups = _ids(theirs, "Uid")[:3], _ids(theirs, "Gid")[:3]
    if {*users} == {mine} and {*groups} == {my_group}:
        return None
    if len({*users}) > 1 or len({*groups}) > 1:
        changed = f"uid {', '.join(users)}; gid {', '.join(groups)}: real, effective, saved"
        return RefusalError(
            f"process {pid} has changed its user ({changed}): no user may read it", _privilege(ours, proc)
        )
    them = f"uid {users[0]}" if users[0] == groups[0] else f"uid {users[0]} gid {groups[0]}"
    us = f"uid {mine}" if users[0] != mine else f"uid {mine} gid {my_group}"
    reason = f"process {pid} runs as {them}, and this one as {us} without CAP_SYS_PTRACE"
    if mine == "0":
        return RefusalError(reason, f"{grant(proc)}, or run as {them}")
    root = "root" if _has(ours, "CapBnd") else f"as root with {grant(proc)}"
    return RefusalError(reason, f"run as {them} or {root}")


def _as_the_same_user(pid: int, proc: Path, ours: Status, theirs: Status, scope: int) -> RefusalError:
    if scope >= RESTRICTED:
        who = "only the process's ancestors" if scope == RESTRICTED else "only CAP_SYS_PTRACE"
        return RefusalError(
            f"kernel.yama.ptrace_scope is {scope}: {who} may read process {pid}, not every process of its user",
            f"{LOOSEN}, or {_privilege(ours, proc)}",
        )
    if _mask(theirs, "CapPrm") & ~_mask(ours, "CapPrm"):
        return RefusalError(f"process {pid} has capabilities that this one has not", _privilege(ours, proc))
    space, other = link(proc / "self" / "ns" / "user"), link(proc / str(pid) / "ns" / "user")
    if other is not None and space != other:
        return RefusalError(f"process {pid} is of another user namespace", "run it where that namespace was made")
    return RefusalError(
        f"process {pid} forbids it for its own user: it is not dumpable (setuid, or prctl PR_SET_DUMPABLE 0)",
        _privilege(ours, proc),
    )


def _despite_the_capability(pid: int, proc: Path, ours: Status) -> RefusalError:
    """A capability counts in its own user namespace; a security module may forbid what it allows."""
    space, other = link(proc / "self" / "ns" / "user"), link(proc / str(pid) / "ns" / "user")
    whole = decode(read(proc / "self" / "uid_map") or b"").split() in ([], ["0", "0", "4294967295"])
    if not whole and space != other:
        return RefusalError(
            f"CAP_SYS_PTRACE is held in this user namespace only, and process {pid} is of another",
            "run as root outside this user namespace, on the host",
        )
    if ours.get("Seccomp") == "2":
        return RefusalError(
            f"a seccomp filter or a security module forbids to read process {pid}, although CAP_SYS_PTRACE is held",
            "--security-opt seccomp=unconfined / securityContext.seccompProfile.type: Unconfined",
        )
    label = clean(decode(read(proc / str(pid) / "attr" / "current") or b"").strip("\0\n ")) or "it"
    return RefusalError(
        f"a security module (SELinux, AppArmor) forbids to read process {pid}, although CAP_SYS_PTRACE is held",
        f"a policy that allows ptrace of {label}",
    )


def _privilege(ours: Status, proc: Path) -> str:
    """Being root, where root has the capability."""
    return "run as root" if _ids(ours, "Uid")[0] != "0" and _has(ours, "CapBnd") else grant(proc)


def _scope(proc: Path) -> int:
    """Yama's; 0 where there is none."""
    text = decode(read(proc / "sys" / "kernel" / "yama" / "ptrace_scope") or b"").strip()
    return int(text) if text.isdigit() else 0


def _ids(status: Status, name: str) -> list[str]:
    """Real, effective, saved, of the file system; ``?`` where the process is gone meanwhile."""
    return status.get(name, "").split() or ["?"]


def _mask(status: Status, name: str) -> int:
    return int(status.get(name, "0"), 16)


def _has(status: Status, name: str) -> bool:
    return bool(_mask(status, name) >> CAP_SYS_PTRACE & 1)
