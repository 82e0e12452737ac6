"""A plan is only looked at: whatever remedy it is of, Redis counts no change and runs no command that writes."""

from typing import Any, Final

import pytest
from servers import RedisServer
from test_fixing import CASES
from test_remedies import FAULTS, run, value

from kiqdoctor.examining.remedies import BY_NAME, CHECKS

FAULTY: Final = {**FAULTS, **{check: (check, make) for check, make in CASES.items()}}


def whole(redis: Any) -> dict[bytes, tuple[object, int]]:
    """All of every key, our own too, and when it ends."""
    return {key: (value(redis, key), redis.pexpiretime(key)) for key in sorted(redis.keys("*"))}


def written(redis: Any) -> set[str]:
    """Commands that write, of those that ran since they were last counted."""
    ran = [name.removeprefix("cmdstat_").partition("|")[0] for name in redis.info("commandstats")]
    about = redis.execute_command("COMMAND", "INFO", *ran)
    found = (
        about.values()
        if isinstance(about, dict)
        else [dict(zip(("name", "arity", "flags"), one, strict=False)) for one in about]
    )
    return {str(one["name"]) for one in found if b"write" in one["flags"] or "write" in one["flags"]}


def test_every_remedy_has_a_fault_here() -> None:
    assert {check for check, _ in FAULTY.values()} == set(CHECKS) - {"PRO003"}, "PRO003 writes nothing: test_stopping"
    assert "PRO003" in BY_NAME


@pytest.mark.parametrize("fault", FAULTY)
def test_a_plan_changes_nothing(fault: str, redis: Any, redis_server: RedisServer) -> None:
    check, make = FAULTY[fault]
    make(redis)
    before, changes = whole(redis), redis.info("persistence")["rdb_changes_since_last_save"]
    redis.config_resetstat()

    plan = run(redis_server, check)

    assert (plan.status, plan.export, plan.applied, bool(plan.steps)) == (1, None, False, True)
    assert redis.info("persistence")["rdb_changes_since_last_save"] == changes
    assert written(redis) == set()
    assert whole(redis) == before
