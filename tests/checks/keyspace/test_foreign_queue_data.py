"""NSP004: left-over, live, and Resque-shaped."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.queues import QUEUE

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.keyspace import Foreign, Keyspace
from kiqdoctor.doctor.facts.queues import Queues, Sample
from kiqdoctor.doctor.report import Outcome

RESQUE = Foreign("Resque", "resque", ("failed", "workers"), (("resque:failed", "list", 3),), 4, 2, ("Resize",))


def among(*foreign: Foreign) -> Keyspace:
    return Keyspace(foreign=foreign, scanned=9, total=9)


def test_what_was_left_behind_is_a_warning_with_a_safe_remedy() -> None:
    [finding] = diagnose("NSP004", HEALTHY.with_(among(RESQUE))).findings

    assert finding.severity == "low"
    assert "Resque left 4 keys" in finding.finding.title
    assert "UNLINK exactly" in finding.finding.remedy
    assert "flush" not in finding.finding.remedy.lower()


def test_a_live_neighbour_is_information() -> None:
    assert (
        diagnose("NSP004", HEALTHY.with_(among(replace(RESQUE, live="w beat 3 s ago")))).findings[0].severity == "info"
    )


def test_without_a_prefix_sidekiq_s_own_names_are_spared() -> None:
    [finding] = diagnose("NSP004", HEALTHY.with_(among(replace(RESQUE, prefix="")))).findings

    assert "belong to Sidekiq" in finding.finding.remedy


def test_resque_s_payloads_in_a_queue_of_ours() -> None:
    shaped = replace(QUEUE, sample=(Sample(("args", "class"), "Resize"),))

    [finding] = diagnose("NSP004", HEALTHY.with_(Queues((shaped,)))).findings

    assert (finding.severity, finding.finding.subject) == ("medium", "queue:default")


def test_nothing_foreign() -> None:
    assert diagnose("NSP004", HEALTHY.with_(among())).outcome is Outcome.PASS


def test_a_scan_that_ended_early_is_unknown() -> None:
    assert diagnose("NSP004", HEALTHY.with_(Keyspace(scanned=1, total=5, complete=False))).outcome is Outcome.UNKNOWN
