"""Probes become readings: a refusal, a crash, a hang and an absence each in its own way, and nothing waits for ever."""

import threading
from dataclasses import dataclass

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.carry_out import carry_out
from kiqdoctor.doctor.check import Check, Need
from kiqdoctor.doctor.plan import Plan, halves, plan, sides
from kiqdoctor.doctor.probe import AbsenceError, Lane, Probe, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.doctor.tools import Settings
from kiqdoctor.doctor.verdict import Severity


@dataclass(frozen=True)
class Limit:
    number: int


@dataclass(frozen=True)
class Half:
    number: int


@dataclass(frozen=True)
class Other:
    text: str


@probe(Read("LIMIT", "+limit"), lane=Lane.REDIS)
def limit(settings: Settings) -> Limit:
    return Limit(settings.redis_limit or 0)


@probe(lane=Lane.FILES)
def half(limit: Limit) -> Half:
    return Half(limit.number // 2)


def run(*probes: Probe, tools: object = None) -> Snapshot:
    return carry_out(Plan((), probes), {Settings: tools or Settings(10)}, {}, 0.0, SYSTEM)


def test_a_probe_may_need_what_another_lane_reads() -> None:
    assert run(limit, half).get(Half) == Half(5)


def test_a_refusal_keeps_its_key_and_reaches_what_depends_on_it() -> None:
    @probe(lane=Lane.REDIS)
    def refused(settings: Settings) -> Limit:
        raise RefusalError("NOPERM", "+info")

    snapshot = run(refused, half)

    assert snapshot.get(Limit) == Refused("NOPERM", "+info")
    assert snapshot.get(Half) == Refused("NOPERM", "+info")


def test_a_crash_is_a_refusal_that_says_so() -> None:
    @probe(lane=Lane.REDIS)
    def crashing(settings: Settings) -> Limit:
        raise ZeroDivisionError("by nought")

    value = run(crashing).get(Limit)

    assert isinstance(value, Refused)
    assert "ZeroDivisionError: by nought" in value.reason


def test_a_hanging_probe_is_left_behind() -> None:
    never = threading.Event()

    @probe(lane=Lane.REDIS, deadline_s=0.05)
    def hanging(settings: Settings) -> Limit:
        never.wait()
        return Limit(1)

    value = run(hanging).get(Limit)
    never.set()

    assert isinstance(value, Refused)
    assert "did not finish within 0.05 s" in value.reason


def test_the_examination_s_own_time_ends_every_probe_and_what_was_read_by_then_stands() -> None:
    never = threading.Event()

    @probe(lane=Lane.FILES)
    def hanging(settings: Settings) -> Other:
        never.wait()
        return Other("late")

    @probe(lane=Lane.FILES)
    def behind(settings: Settings) -> Half:
        return Half(1)

    plan = Plan((), (limit, hanging, behind))
    snapshot = carry_out(plan, {Settings: Settings(10)}, {}, 0.0, SYSTEM, within_s=0.3)
    never.set()

    up = "was not read: the time for the examination was up"
    assert snapshot.get(Limit) == Limit(10)
    assert snapshot.get(Other) == Refused(f"hanging {up}", "--timeout SECONDS", crashed=True)
    assert snapshot.get(Half) == Refused(f"behind {up}", "--timeout SECONDS", crashed=True)


def test_what_still_hangs_is_not_started_a_second_time() -> None:
    never, starts = threading.Event(), [0]

    @probe(lane=Lane.REDIS, deadline_s=0.05)
    def hanging(settings: Settings) -> Limit:
        starts[0] += 1
        never.wait()
        return Limit(1)

    run(hanging)
    again = run(hanging).get(Limit)
    never.set()

    assert again == Refused("hanging crashed: it hangs since an earlier reading", "restart the doctor", crashed=True)
    assert starts == [1]


def test_a_fact_of_another_kind_is_a_crash() -> None:
    @probe(lane=Lane.REDIS)
    def other_kind(settings: Settings) -> Limit:
        return None  # type: ignore[return-value]

    value = run(other_kind).get(Limit)

    assert isinstance(value, Refused)
    assert value.reason == "other_kind crashed: it read a NoneType, not a Limit"


def test_nothing_to_look_at_is_absent() -> None:
    @probe(lane=Lane.FILES)
    def nothing(settings: Settings) -> Other:
        raise AbsenceError("no Gemfile.lock")

    assert run(nothing).get(Other) == Absent("no Gemfile.lock")


def test_an_absent_tool_makes_its_facts_absent() -> None:
    assert run(limit, tools=Absent("not selected")).get(Limit) == Absent("not selected")


def judged_from(*needs: Need) -> Check:
    return Check("TST001", "some", "test", Severity.LOW, lambda: (), needs, "")


def test_the_plan_of_a_check_holds_only_its_probes_dependencies_first() -> None:
    chosen = plan([judged_from(Need("half", Half))], (half, limit, probe(lane=Lane.REDIS)(other)))

    assert [one.name for one in chosen.probes] == ["limit", "half"]


def other(settings: Settings) -> Other:
    return Other("")


def test_which_half_a_check_belongs_to_follows_from_its_facts() -> None:
    def judged_in(*needs: Need) -> tuple[bool, bool]:
        side = sides(judged_from(*needs), halves((limit, half)))
        return side.live, side.static

    assert judged_in(Need("limit", Limit)) == (True, False)
    assert judged_in(Need("half", Half)) == (False, True)
    assert judged_in(Need("limit", Limit, optional=True), Need("half", Half, optional=True)) == (True, True)
    assert judged_in(Need("limit", Limit), Need("half", Half, optional=True)) == (True, False)
