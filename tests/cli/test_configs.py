from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import write_pem

from enfilade.cli.configs import HTTP, HTTPS, Listen, run_config, serve_config
from enfilade.config import App, Config, ConfigError, Tls

APP = App(target="m:app")
PEM = Path(__file__).parent.parent / "golden" / "config" / "files"


DEFAULT = Listen()


def run(listen: Listen = DEFAULT, root_path: str = "") -> Config:
    return run_config(APP, listen, root_path=root_path, log=True)


@pytest.mark.parametrize(
    ("listen", "http", "https", "tls"),
    [
        (Listen(), [HTTP], [], None),
        (Listen(tls=True), [HTTP], [HTTPS], "internal"),
        (Listen(http=[":1", "unix:/x"]), [":1", "unix:/x"], [], None),
        (Listen(https=[":2"]), [], [":2"], "internal"),
        (Listen(http=[":1"], https=[":2"], tls=True), [":1"], [":2"], "internal"),
    ],
)
def test_where_it_listens(listen: Listen, http: list[str], https: list[str], tls: str | None) -> None:
    config = run(listen)
    assert (config.server.http, config.server.https, config.sites["*"].tls) == (http, https, tls)


def test_a_certificate_means_tls(tmp_path: Path) -> None:
    write_pem(tmp_path, "web", "localhost")
    cert, key = str(tmp_path / "web.pem"), str(tmp_path / "web.key")
    config = run(Listen(cert=cert, key=key))
    assert config.server.https == [HTTPS]
    assert config.sites["*"].tls == Tls(certificate=cert, key=key)


def test_run_mounts_the_application() -> None:
    assert run().sites["*"].routes["/*"].mount is True
    assert run(root_path="/shop").sites["*"].routes["/*"].mount == "/shop"


@pytest.mark.parametrize(
    ("inline", "workers", "edges", "own"),
    [(False, 1, 1, 1), (False, 8, 2, 8), (False, "auto", "auto", "auto"), (True, 3, 3, "auto")],
)
def test_workers_are_the_applications_own_or_edge_workers(
    inline: bool, workers: Any, edges: int | str, own: int | str
) -> None:
    config = run_config(App(target="m:app", inline=inline, workers=workers), Listen(), root_path="", log=True)
    assert (config.server.workers, config.apps["app"].workers) == (edges, own)


def test_run_imports_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run().apps["app"].path == str(tmp_path)


def test_what_is_wrong_has_the_name_of_its_place() -> None:
    with pytest.raises(ConfigError, match=r'^command line: apps.app.target: "m:" is not a target'):
        run_config(App(target="m:"), Listen(), root_path="", log=True)


def test_serve(tmp_path: Path) -> None:
    config = serve_config(str(tmp_path), Listen(), workers="auto", spa=True, listing=True, log=False)
    route = config.sites["*"].routes["/*"]
    assert (route.files, route.spa, route.listing) == (str(tmp_path), True, True)
    assert (config.server.workers, config.sites["*"].log) == ("auto", False)
