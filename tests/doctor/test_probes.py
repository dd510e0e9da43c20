"""The tables of probes, and the verdicts that only one of them has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from enfilade.doctor.answers import Answer, Ending, Seen
from enfilade.doctor.probe import Grade, Usual
from enfilade.doctor.probes import GROUPS, browsers, exposure, files, host, proxies, slow, targets, tls
from enfilade.doctor.rows import ROWS
from enfilade.doctor.runner import plan

PROBES = [probe for probes in GROUPS.values() for probe in probes]
USUAL = Usual(Answer(200, body=b"x" * 1000))
GOOD, UNCLEAR, BAD, SKIPPED = Grade.GOOD, Grade.UNCLEAR, Grade.BAD, Grade.SKIPPED


def one(status: int, body: bytes = b"", *fields: tuple[str, str]) -> Seen:
    return Seen((Answer(status, fields, body),))


def test_every_probe_has_a_name_of_its_own_and_a_row() -> None:
    names = [probe.name for probe in PROBES]
    assert len(set(names)) == len(names)
    assert {probe.row for probe in PROBES} == set(ROWS)


def test_groups_can_be_chosen() -> None:
    assert [item.probe for item in plan(())] == PROBES
    assert {item.group for item in plan(("tls", "host"))} == {"tls", "host"}


def test_cookies() -> None:
    def cookie(line: str, tls: bool) -> Grade:
        return browsers.cookies(Answer(200, (("set-cookie", line),)), tls).grade

    assert cookie("a=b; Secure; HttpOnly; SameSite=Lax", True) is GOOD
    assert cookie("a=b; HttpOnly; SameSite=Lax", True) is BAD
    assert cookie("a=b; HttpOnly; SameSite=Lax", False) is GOOD
    assert cookie("a=b; Secure; SameSite=Lax", True) is UNCLEAR
    assert browsers.cookies(Answer(200), True).grade is SKIPPED


def test_origins_that_are_reflected() -> None:
    def told(origin: str, credentials: str = "") -> Grade:
        fields = (("access-control-allow-origin", origin), ("access-control-allow-credentials", credentials))
        return browsers.reflects(Answer(200, fields)).grade

    assert told("https://doctor.invalid", "true") is BAD
    assert told("null", "true") is BAD
    assert told("https://doctor.invalid") is UNCLEAR
    assert told("*") is GOOD and told("https://shop.example.com", "true") is GOOD


def test_a_policy_may_say_what_a_field_says() -> None:
    judge = browsers.has("x-frame-options", "frame-ancestors")
    assert judge(one(200), USUAL).grade is UNCLEAR
    assert judge(one(200, b"", ("content-security-policy", "frame-ancestors 'none'")), USUAL).grade is GOOD


@pytest.mark.parametrize(
    ("pattern", "body"),
    [
        (files.PASSWD, b"root:x:0:0:root:/root:/bin/bash\n"),
        (files.GIT, b"ref: refs/heads/main\n"),
        (files.ENV, b"DEBUG=1\nSECRET_KEY=a\n"),
        (files.KEY, b"-----BEGIN EC PRIVATE KEY-----"),
    ],
)
def test_files_that_are_nobodys_business(pattern: object, body: bytes) -> None:
    judge = files.without(pattern, "it is there")  # type: ignore[arg-type]
    assert judge(one(200, body), USUAL).grade is BAD
    assert judge(one(404, body), USUAL).grade is GOOD
    assert judge(one(200, b"<html>"), USUAL).grade is GOOD


def test_ranges() -> None:
    assert files.overlapping(one(206, b"x" * 5000), USUAL).grade is BAD
    assert files.overlapping(one(206, b"x" * 1000), USUAL).grade is GOOD
    assert files.few_parts(one(206, b"\r\nContent-Range: bytes 1-1/9" * 500), USUAL).grade is UNCLEAR
    assert files.backwards(one(206), USUAL).grade is BAD


def test_trace_and_versions() -> None:
    echo = b"TRACE / HTTP/1.1\r\nAuthorization: doctor-secret"
    assert exposure.traced(one(200, echo, ("content-type", "message/http")), USUAL).grade is BAD
    assert exposure.traced(one(200, echo), USUAL).grade is UNCLEAR
    assert exposure.traced(one(405), USUAL).grade is GOOD
    assert exposure.version(one(200, b"", ("server", "nginx/1.22.1")), USUAL).grade is UNCLEAR
    assert exposure.version(one(200, b"", ("server", "nginx")), USUAL).grade is GOOD
    assert exposure.crashed(one(500, b"Traceback (most recent call last):"), USUAL).grade is BAD


def test_names_that_nobody_has() -> None:
    assert host.other_name(one(421), USUAL).grade is GOOD
    assert host.other_name(one(200), USUAL).grade is UNCLEAR
    assert host.other_name(one(301, b"", ("location", "https://doctor.invalid/")), USUAL).grade is BAD


def test_a_tunnel() -> None:
    assert targets.tunnel(one(200), USUAL).grade is BAD
    assert targets.tunnel(one(200, b"", ("content-length", "0")), USUAL).grade is UNCLEAR
    assert targets.tunnel(one(405), USUAL).grade is GOOD


def test_websockets() -> None:
    switched, refused = Seen(interim=(101,)), one(403)
    assert proxies.origin_checked((switched, switched), USUAL).grade is UNCLEAR
    assert proxies.origin_checked((switched, refused), USUAL).grade is GOOD
    assert proxies.origin_checked((refused, refused), USUAL).grade is SKIPPED
    assert proxies.frame_refused(switched, USUAL).grade is BAD
    assert proxies.frame_refused(switched._replace(ending=Ending.CLOSED), USUAL).grade is GOOD


def test_slow_clients() -> None:
    assert slow.held(slow.Held(10.0, 30.0, Answer(408)), USUAL).grade is GOOD
    assert slow.held(slow.Held(None, 30.0), USUAL).grade is UNCLEAR
    assert slow.held(slow.Held(0.1, 30.0, Answer(405)), USUAL).grade is SKIPPED
    assert slow.held(slow.Held(None, 30.0, served=False), USUAL).grade is BAD
    assert slow.held(None, USUAL).grade is SKIPPED


@pytest.mark.parametrize(("left", "life", "grade"), [(80, 90, GOOD), (5, 90, UNCLEAR), (5, 6, GOOD), (-1, 90, BAD)])
def test_certificates_run_out(left: int, life: int, grade: Grade) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    end = datetime.now(UTC) + timedelta(days=left, hours=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, end - timedelta(days=life), end)
    der = made.sign(key, hashes.SHA256()).public_bytes(encoding=Encoding.DER)
    assert tls.in_time(der, USUAL).grade is grade
    assert tls.strong(der, USUAL).grade is GOOD


def test_handshakes() -> None:
    assert tls.must_not(tls.Shaken("TLSv1"), USUAL).grade is BAD
    assert tls.must_not(tls.Shaken(refused="alert"), USUAL).grade is GOOD
    assert tls.must_not(tls.Shaken(possible=False), USUAL).grade is SKIPPED
    assert tls.to_https(one(200), USUAL).grade is BAD
    assert tls.to_https(one(308, b"", ("location", "https://a/")), USUAL).grade is GOOD
