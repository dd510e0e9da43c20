"""Which tokens are accepted (RFC 8725), and which keys are used."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from joserfc.jwk import ECKey, Key, OctKey, OKPKey
from tests.identity.kit import (
    DEFAULT,
    EC,
    ED,
    GOOD,
    NOW,
    OTHER_RSA,
    RSA,
    SECRET,
    jwk,
    jwks,
    keys,
    part,
    secret,
    sign,
    terms,
)

from enfilade.identity.algorithms import ALGORITHMS, PUBLIC, SHARED
from enfilade.identity.token import KEYS, Refused, UnknownKey, read_keys, secret_key, verify

SET = keys(jwk(RSA, kid="r"), jwk(EC, kid="e"), jwk(ED, kid="d"))
EDGE = 253402300799  # the year 9999


def refused(token: bytes, **changed: Any) -> str:
    with pytest.raises(Refused) as raised:
        verify(token, SET, terms(**changed), NOW)
    assert not raised.value.insufficient
    return str(raised.value)


@pytest.mark.parametrize(
    ("key", "alg", "kid"), [(RSA, "RS256", "r"), (EC, "ES256", "e"), (ED, "EdDSA", "d"), (ED, "Ed25519", "d")]
)
def test_a_good_one(key: Key, alg: str, kid: str) -> None:
    for token in (sign(key=key, alg=alg, kid=kid), sign(key=key, alg=alg), sign(key=key, alg=alg, typ="at+JWT")):
        identity, until = verify(token, SET, terms(), NOW)
        assert (identity.name, identity.claims["aud"], until) == ("ada", "api", NOW + 65)


@pytest.mark.parametrize(
    "alg", ["RS384", "RS512", "PS256", "PS384", "PS512", "ES384", "ES512", "HS256", "HS384", "HS512", "none", "None", "RS256 "]
)  # fmt: skip
def test_no_algorithm_but_those_that_are_named(alg: str) -> None:
    token = part({"alg": alg}) + b"." + part(GOOD) + b"."
    assert refused(token + b"eA") == "The algorithm is not accepted."


@pytest.mark.parametrize("alg", [n for n in ALGORITHMS if not n.startswith("HS")])
def test_each_public_algorithm_works_where_it_is_named(alg: str) -> None:
    made: dict[str, Key] = {
        "RSA": RSA, "P-256": EC, "P-384": ECKey.generate_key("P-384"), "P-521": ECKey.generate_key("P-521"), "Ed25519": ED
    }  # fmt: skip
    key = made[ALGORITHMS[alg].curve or ALGORITHMS[alg].kind]
    only = frozenset([alg])
    assert verify(sign(key=key, alg=alg), keys(jwk(key), algorithms=only), terms(algorithms=only), NOW)


def test_a_secret_goes_only_with_its_algorithms() -> None:
    shared, only = [secret_key(SECRET, SHARED)], frozenset(SHARED)
    assert verify(sign(key=secret(), alg="HS256"), shared, terms(algorithms=only), NOW)
    assert refused(sign(), algorithms=only) == "The algorithm is not accepted."
    with pytest.raises(ValueError, match="has at least 64 bytes, and this one 32"):
        secret_key(SECRET, ["HS256", "HS512"])


def test_a_public_key_is_no_secret() -> None:
    """The old confusion: a token that is signed by HMAC, with the bytes of the RSA key that everybody knows."""
    for known in (RSA.as_pem(), json.dumps(RSA.as_dict()).encode()):
        token = sign(key=OctKey(known, known), alg="HS256", kid="r")
        assert refused(token) == "The algorithm is not accepted."
        with pytest.raises(UnknownKey):  # not even where both are named
            verify(token, SET, terms(algorithms=DEFAULT | {"HS256"}), NOW)


def test_a_key_signs_only_by_what_it_is_for() -> None:
    for set_ in (keys(jwk(RSA, alg="RS256")), keys(jwk(RSA))):
        both = terms(algorithms=DEFAULT | {"RS512"})
        with pytest.raises(UnknownKey):
            verify(sign(alg="RS512"), set_, both, NOW)
    with pytest.raises(UnknownKey):
        verify(sign(key=EC, alg="ES256"), keys(jwk(RSA)), terms(), NOW)


def test_the_signature_counts() -> None:
    good = sign()
    assert refused(sign(key=OTHER_RSA)) == "The signature is wrong."
    assert refused(sign(key=ED, alg="Ed25519", kid="d")[:-4] + b"AAAA") == "The signature is wrong."
    head, _, signature = good.split(b".")
    assert refused(head + b"." + part({**GOOD, "sub": "root"}) + b"." + signature) == "The signature is wrong."


def test_a_key_that_is_named_is_the_one() -> None:
    two = keys(jwk(RSA, kid="a"), jwk(OTHER_RSA, kid="b"))
    assert verify(sign(kid="a"), two, terms(), NOW)
    assert verify(sign(), two, terms(), NOW), "without a name, any"
    with pytest.raises(Refused, match="signature"):
        verify(sign(kid="b"), two, terms(), NOW)
    with pytest.raises(UnknownKey):
        verify(sign(kid="c"), two, terms(), NOW)


def test_nothing_in_a_token_leads_to_a_key() -> None:
    ours = sign(key=OTHER_RSA, jwk=jwk(OTHER_RSA), jku="https://evil/keys", x5u="https://evil/x", x5c=["MIIB"])
    assert refused(ours) == "The signature is wrong."


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"b64": True}, {"crit": []}]
)
def test_extensions_are_not_passed_over(header: dict[str, object]) -> None:
    assert "extension" in refused(sign(**header))


@pytest.mark.parametrize("kind", ["dpop+jwt", "logout+jwt", "JOSE", "", 1, ["JWT"]])
def test_tokens_for_another_purpose(kind: object) -> None:
    assert refused(sign(typ=kind)) == "The token is for another purpose."


@pytest.mark.parametrize(
    "token",
    [
        b"", b".", b"..", b"a.b", b"a.b.c.d", b"a.b.c.d.e", b"\xff.\xff.\xff", b"e30.e30.e30", part("alg") + b".e30.eA",
        part([["alg"]]) + b".e30.eA", part(1) + b".e30.eA", part(b'{"alg":') + b".e30.eA", part(b"[" * 3000) + b".e30.eA",
        part(b'{"alg":' + b"[" * 3000) + b".e30.eA", part({"alg": 1}) + b".e30.eA", part({"alg": ["RS256"]}) + b".e30.eA",
        part({"alg": "RS256", "x": "y" * 5000}) + b".e30.eA", b"A" * 200_000 + b".e30.eA",
        part({"alg": "RS256", "kid": 1}) + b".e30.eA",
        sign(b"[]"), sign(b"1"), sign(b"{"), sign(b"\xff"), sign(b'{"exp":' + b"[" * 3000), sign([GOOD]),
        sign(b'{"exp": ' + b"9" * 5000 + b"}"),
    ],
)  # fmt: skip
def test_what_is_no_token(token: bytes) -> None:
    assert refused(token) in ("The token is malformed.", "The algorithm is not accepted.")


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"exp": NOW - 5}, "The token has expired."),
        ({"exp": NOW - 4}, ""),
        ({"exp": None}, "The token has no end."),
        ({"exp": "1e9"}, "The token is malformed."),
        ({"exp": True}, "The token is malformed."),
        ({"exp": math.nan}, "The token is malformed."),
        ({"exp": math.inf}, "The token is malformed."),
        ({"exp": 1e300}, "The token is malformed."),
        ({"exp": EDGE}, ""),
        ({"nbf": NOW + 6}, "The token does not hold yet."),
        ({"nbf": NOW + 5}, ""),
        ({"nbf": "soon"}, "The token is malformed."),
        ({"iss": "https://id/"}, "The issuer is not accepted."),
        ({"iss": None}, "The issuer is not accepted."),
        ({"iss": ["https://id"]}, "The issuer is not accepted."),
        ({"aud": "api2"}, "The token is for somebody else."),
        ({"aud": ["other", "api"]}, ""),
        ({"aud": []}, "The token is for somebody else."),
        ({"aud": None}, "The token is for somebody else."),
        ({"aud": {"api": 1}}, "The token is for somebody else."),
    ],
)
def test_what_it_must_hold(claims: dict[str, object], text: str) -> None:
    token = sign({k: v for k, v in {**GOOD, **claims}.items() if v is not None})
    if text:
        assert refused(token) == text
    else:
        assert verify(token, SET, terms(), NOW)


def test_without_issuers_or_audiences_anybody_and_for_anybody() -> None:
    bare = sign({"exp": NOW + 1})
    assert verify(bare, SET, terms(issuers=frozenset(), audiences=frozenset()), NOW).identity.name == ""
    assert refused(bare, audiences=frozenset())


@pytest.mark.parametrize(
    ("said", "ok"),
    [
        ({"role": "admin"}, True),
        ({"role": ["user", "admin"]}, True),
        ({"role": "Admin"}, False),
        ({"role": "admin user"}, False),
        ({"role": {"admin": True}}, False),
        ({}, False),
    ],
)
def test_claims_that_are_required(said: dict[str, object], ok: bool) -> None:
    wanted = terms(claims={"role": frozenset(["admin", "owner"])})
    token = sign({**GOOD, **said})
    if ok:
        assert verify(token, SET, wanted, NOW)
    else:
        with pytest.raises(Refused) as raised:
            verify(token, SET, wanted, NOW)
        assert raised.value.insufficient


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("scope", "write", {"scope": "read write"}),
        ("realm_access.roles", "admin", {"realm_access": {"roles": ["admin"]}}),
        ("https://e.com/role", "x", {"https://e.com/role": "x"}),
        ("verified", "true", {"verified": True}),
        ("tenant", "7", {"tenant": 7}),
    ],
)
def test_how_claims_are_named(name: str, value: str, said: dict[str, object]) -> None:
    assert verify(sign({**GOOD, **said}), SET, terms(claims={name: frozenset([value])}), NOW)


def test_keys_that_are_not_for_us_are_passed_over() -> None:
    weak = {**RSA.as_dict(), "n": RSA.as_dict()["n"][:170]}
    huge = {**RSA.as_dict(), "n": "A" * 5000}
    listed: list[Any] = [
        jwk(RSA, use="enc"), {"kty": "oct", "k": "c2VjcmV0"}, weak, huge, {"kty": "new"}, {"kty": "EC", "crv": "P-256", "x": "?"},
        jwk(ECKey.generate_key("secp256k1")), jwk(OKPKey.generate_key("X25519")), jwk(RSA, alg="RS512"), jwk(RSA, kid=7), "x",
        jwk(RSA, key_ops="x"), jwk(EC, kid="good"),
    ]  # fmt: skip
    assert [key.id for key in read_keys(json.dumps({"keys": listed}).encode(), DEFAULT)] == ["good"]


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 3000, jwks({"kty": "oct"}), b"\xff"]
)
def test_what_is_no_set_of_keys(data: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        read_keys(data, DEFAULT)


def test_no_more_keys_than_some() -> None:
    assert len(keys(*[jwk(EC, kid=str(i)) for i in range(KEYS + 5)])) == KEYS


def test_what_is_taken_where_nobody_says() -> None:
    assert {*PUBLIC, *SHARED} <= set(ALGORITHMS)
