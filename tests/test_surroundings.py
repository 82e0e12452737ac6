"""The environment of whoever runs the tests says nothing to what they test."""

import os

import surroundings

from kiqdoctor.cli.gate import SYSTEMS
from kiqdoctor.runtime.digests import REVISIONS


def test_all_that_the_product_hears_is_known() -> None:
    heard = {*(one.variable for one in SYSTEMS), *REVISIONS}

    assert {name for name in heard if not name.startswith(surroundings.PREFIX)} <= surroundings.NAMES
    assert not (surroundings.CI_SYSTEMS | surroundings.REVISIONS) & os.environ.keys()


def test_what_is_said_to_the_tests_stays() -> None:
    environ = {"CI": "true", "KIQDOCTOR_SNAPSHOTS": "write", "KIQDOCTOR_FAIL_ON": "low", "REDIS_URL": "x", "HOME": "/h"}
    surroundings.leave(environ)

    assert environ == {"CI": "true", "KIQDOCTOR_SNAPSHOTS": "write", "HOME": "/h"}
