"""WEB002 on plain facts; on the real UI: tests/interop/test_doctor_on_web_ui.py."""

from typing import Any

import msgspec
import pytest
from healthy import HEALTHY
from healthy.web import ASSETS, LOGO, SCRIPT, STYLE

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.web import WebAsset, WebAssets
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Refused


def judged(*files: WebAsset, **changes: object) -> Result:
    return diagnose("WEB002", HEALTHY.with_(msgspec.structs.replace(ASSETS, files=files, **changes)))


def but(one: WebAsset, **changes: object) -> WebAsset:
    return msgspec.structs.replace(one, **changes)


NGINX: dict[str, Any] = {"status": 404, "answered": "nginx", "head": "<html>", "content_type": "text/html"}


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ((but(STYLE, **NGINX), but(SCRIPT, **NGINX), LOGO), "extension"),
        ((but(STYLE, **NGINX), SCRIPT, but(LOGO, **NGINX)), "proxy"),
        ((but(STYLE, **NGINX, inside=False), but(SCRIPT, **NGINX, inside=False)), "prefix"),
        ((but(STYLE, size=0, sendfile="x-sendfile"), SCRIPT), "sendfile"),
        ((STYLE, but(SCRIPT, status=404, head="Not Found"), LOGO), "missing"),
        ((STYLE, but(SCRIPT, head="<!DOCTYPE html>")), "wrong"),
        ((STYLE, but(SCRIPT, content_type="text/plain")), "wrong"),
        ((but(STYLE, size=0), SCRIPT), "wrong"),
        ((STYLE, SCRIPT, but(LOGO, status=500)), "wrong"),
    ],
)  # fmt: skip
def test_files_that_do_not_arrive(files: tuple[WebAsset, ...], cause: str) -> None:
    [found] = judged(*files).findings

    assert (found.severity, found.fingerprint) == ("medium", f"WEB002:web:{cause}")


def test_its_twins_arrive() -> None:
    assert judged(STYLE, SCRIPT, LOGO).outcome is Outcome.PASS
    assert judged(but(STYLE, status=304, size=0, content_type=""), SCRIPT).outcome is Outcome.PASS
    assert judged(STYLE, but(LOGO, head="<svg", content_type="image/svg+xml")).outcome is Outcome.PASS
    assert judged(elsewhere=("https://cdn.example.org/application-0a1b.css",)).outcome is Outcome.PASS


def test_a_policy_that_forbids_its_scripts() -> None:
    assert judged(STYLE, SCRIPT, policy="it names a nonce that no script has").findings[0].finding.key == "policy"


def test_what_asks_for_credentials_or_is_no_page_is_no_pass() -> None:
    assert "--web-user" in (judged(but(STYLE, status=401), SCRIPT).reason or "")
    assert judged(but(STYLE, status=302), SCRIPT).outcome is Outcome.UNKNOWN
    assert judged().outcome is Outcome.UNKNOWN
    assert diagnose("WEB002", HEALTHY.without(WebAssets, Refused("401", "--web-user"))).outcome is Outcome.UNKNOWN
