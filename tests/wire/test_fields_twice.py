"""A field that is there twice: Ruby reads the last, and would write one of them only."""

import pytest

from kiqdoctor.wire import payload
from kiqdoctor.wire.stamps import spelt


@pytest.mark.parametrize("twice", [b'"queue":"q"', b'"jid":"k"', b'"args":[1]', b'"created_at":1.5', b'"retry":true'])
def test_a_first_failure_keeps_no_field_twice(twice: bytes) -> None:
    plain = b'{"retry":true,"queue":"q","class":"A","args":[1],"jid":"j","created_at":1.5'

    def failed(raw: bytes) -> str | None:
        return payload.failed_first(raw, payload.known_payload(raw), "E", "no", spelt(2.5))

    assert failed(b"%b,%b}" % (plain, twice)) is None
    assert failed(plain + b',"enqueued_at":1.5}') is not None
