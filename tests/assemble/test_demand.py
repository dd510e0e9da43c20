"""Certificates on demand as the configuration has them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.assemble.kit import config_of
from tests.assemble.test_acme import prepared
from tests.certificates import self_signed

from enfilade.acme.disk import Disk
from enfilade.acme.state import Held, Wanted
from enfilade.acme.x509 import read_chain
from enfilade.assemble import demand
from enfilade.assemble.certificates import Certificates
from enfilade.assemble.demand import DemandContexts, asking, possible
from enfilade.config import ConfigError
from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.http.fields import NO_FIELDS, Pair
from enfilade.net.tls import NoContext, bare_context

CONFIG = """
[acme]
storage = "certificates"
terms_agreed = true
on_demand = { allow = ["*.customers.example.com", "shop.example.org"] }
[sites."*.customers.example.com"]
"/*" = { respond = 200 }
[sites."*"]
tls = "acme"
"/*" = { respond = 200 }
[sites."own.example.com"]
"/*" = { respond = 200 }
"""


def test_names_of_wildcards_and_of_the_default_site_are_had_on_demand(tmp_path: Path) -> None:
    config = config_of(CONFIG, tmp_path)
    assert [site.tls for site in config.sites.values()] == ["acme"] * 3
    contexts = Certificates(config).on_demand
    assert contexts is not None and len(contexts._sites) == 2


def test_only_what_is_allowed_and_public_is_possible(tmp_path: Path) -> None:
    acme = config_of(CONFIG, tmp_path).acme
    assert acme is not None
    names = [
        "a.customers.example.com",
        "shop.example.org",
        "a.b.customers.example.com",
        "example.org",
        "customers.example.com",
    ]
    assert [possible(acme)(name) for name in names] == [True, True, False, False, False]
    private = config_of(CONFIG.replace("example.org", "example.internal"), tmp_path).acme
    assert private is not None and not possible(private)("shop.example.internal")


@pytest.mark.parametrize(
    ("said", "instead", "what"),
    [
        ('allow = ["*.customers.example.com", "shop.example.org"]', "", "5:1: acme.on_demand does not say which"),
        ('"shop.example.org"', '"*"', r"5:51: acme.on_demand.allow\[1\]: this is every name"),
        ('"shop.example.org"', '"a.*.de"', r"5:51: acme.on_demand.allow\[1\]: .* is not a host name"),
        ('"shop.example.org"', '"*.Customers.example.com"', r"5:51: acme.on_demand.allow\[1\]: it is named twice"),
        ("] }", '], ask = "may" }', "acme.on_demand.ask: this is not a URL"),
        ('[sites."*.customers.example.com"]', '[sites."a.example.com"]', "5:1: .*: no site has certificates on demand"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, said: str, instead: str, what: str) -> None:
    text = CONFIG.replace(said, instead)
    if "no site" in what:
        text = text.replace('tls = "acme"\n', "")
    with pytest.raises(ConfigError, match=what):
        config_of(text, tmp_path)


def test_the_status_names_them_and_the_metrics_do_not(tmp_path: Path) -> None:
    _, certificates, worker = prepared(tmp_path, CONFIG)
    disk = Disk(str(tmp_path / "certificates"))
    for name in ("own.example.com", "shop.example.org"):
        made = self_signed([name])
        asyncio.run(disk.put("certificates", name, made.key + made.chain))
    asyncio.run(disk.put("wanted", "shop.example.org", msgspec.json.encode(Wanted(1.0, 1.0))))
    asyncio.run(worker.start())
    assert certificates.on_demand is not None and certificates.on_demand.find("shop.example.org") is not None
    with pytest.raises(NoContext):
        certificates.on_demand.find("other.example.org")
    assert [one["name"] for one in worker.status()] == ["own.example.com", "shop.example.org"]
    assert [labels for _, labels, _ in worker.samples()] == [(("name", "own.example.com"),)]


class Knowing:
    """Stands in for a Demand: `held` by name."""

    def __init__(self) -> None:
        self.certificates: dict[str, Held] = {}
        self.used: list[str] = []

    def held(self, name: str) -> Held | None:
        return self.certificates.get(name)

    def want(self, name: str) -> asyncio.Future[None] | None:
        return None

    def use(self, name: str) -> None:
        self.used.append(name)

    def hold(self, name: str) -> None:
        made = self_signed([name])
        self.certificates[name] = Held(made.key, read_chain(made.chain, made.key))


def test_contexts_are_made_when_they_are_asked_for_and_those_asked_for_last_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demand, "CONTEXTS", 2)
    wide, own = bare_context(), bare_context()
    contexts = DemandContexts(lambda host: own if host == "own" else wide, [wide])
    knowing = Knowing()
    contexts.demand = knowing  # type: ignore[assignment]
    for name in ("a", "b", "c"):
        knowing.hold(name)
    assert contexts.find("own") is own and not knowing.used
    with pytest.raises(NoContext):
        contexts.find("d")
    first: dict[str, ssl.SSLContext | None] = {name: contexts.find(name) for name in ("a", "b")}
    assert contexts.find("a") is first["a"] and first["a"].stands_for is wide  # type: ignore[union-attr]
    contexts.find("c")
    assert contexts.find("a") is first["a"] and contexts.find("b") is not first["b"]
    contexts.forget("b")
    assert set(contexts._contexts) == {"a"}
    contexts.keep_only([])
    assert not contexts._contexts and knowing.used == ["a", "b", "a", "c", "a", "b"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [("http://a/may", "http://a/may?domain=x.de"), ("https://a/?k=1#x", "https://a/?k=1&domain=x.de")],
)
@pytest.mark.parametrize(("status", "good"), [(200, True), (204, True), (302, False), (404, False), (0, False)])
def test_who_is_asked_says_yes_by_2xx(url: str, asked: str, status: int, good: bool) -> None:
    seen: list[tuple[str, str]] = []

    async def fetch(method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
        seen.append((method, url))
        if not status:
            raise FetchError("away")
        return Fetched(status, NO_FIELDS, b"")

    assert asyncio.run(asking(url, fetch)("x.de")) is good
    assert seen == [("GET", asked)]
