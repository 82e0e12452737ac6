"""Metrics as OpenMetrics spells them: families with explicit zeros, and no series that grows with jobs."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OF_ONE_JOB: Final = frozenset({"jid", "bid", "args", "payload", "error_message"})  # a series for each job ever run


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family, with label names and values."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One OpenMetrics family; zero where no samples are given. A counter's name goes without ``_total``.

    Raises:
        ValueError: a name that OpenMetrics does not allow, or a label that would make a series of each job.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[Sample, ...] = (Sample(0),)

    def __post_init__(self) -> None:
        """Refuse what would spoil the whole exposition."""
        if not _NAME.fullmatch(self.name) or self.name.endswith("_total"):
            raise ValueError(f"no name for a metric: {self.name!r}")
        for label in {name for sample in self.samples for name, _ in sample.labels}:
            if not _LABEL.fullmatch(label) or label in _OF_ONE_JOB:
                raise ValueError(f"no label for {self.name}: {label!r}")


def by_label(metric: Metric, label: str, counts: Mapping[str, float], every: Iterable[str]) -> Metric:
    """The family with one sample for each name in ``every`` and in ``counts``; zero where nothing was counted."""
    names = dict.fromkeys((*every, *counts))
    samples = tuple(Sample(counts.get(name, 0), ((label, name),)) for name in names)
    return Metric(metric.name, metric.kind, metric.help, samples)


def exposition(metrics: Iterable[Metric]) -> str:
    """OpenMetrics text, ended by ``# EOF``."""
    return "\n".join([*(line for metric in metrics for line in _family(metric)), "# EOF", ""])


def _family(metric: Metric) -> Iterator[str]:
    yield f"# TYPE {metric.name} {metric.kind}"
    yield f"# HELP {metric.name} {_escaped(metric.help)}"
    name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
    for sample in metric.samples:
        labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels)
        yield f"{name}{{{labels}}} {_number(sample.value)}" if labels else f"{name} {_number(sample.value)}"


def _escaped(text: str) -> str:
    sound = text.encode("utf-8", "backslashreplace").decode()
    return sound.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(int(value)) if value == int(value) else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
