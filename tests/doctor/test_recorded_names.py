"""A recording names facts by their class: no two facts may bear one name."""

import inspect
import pkgutil
from collections import defaultdict
from importlib import import_module

from kiqdoctor.doctor import facts
from kiqdoctor.examining.parts import every_probe


def test_no_fact_of_a_probe_shares_its_name_with_another_record_of_a_subject() -> None:
    named = defaultdict(set)
    for found in pkgutil.walk_packages(facts.__path__, f"{facts.__name__}."):
        for name, kind in inspect.getmembers(import_module(found.name), inspect.isclass):
            if kind.__module__.startswith(facts.__name__):
                named[name].add(f"{kind.__module__}.{name}")
    recorded = {probe.fact.__name__ for probe in every_probe()}

    assert {name: kinds for name, kinds in named.items() if name in recorded and len(kinds) > 1} == {}
