"""Targets that people write, and the words they get where a target is wrong."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.handlers.app.support import answer, make, run

from enfilade.handlers.app.asgi import AsgiHandler
from enfilade.handlers.app.load import LoadError, interface_of, load

SOURCE = """
def wsgi(environ, start_response): ...
async def application(scope, receive, send): ...
class holder:
    @staticmethod
    def app(environ, start_response): ...
def create_app(): return wsgi
number = 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "enf_site.py").write_text(SOURCE)
    (tmp_path / "enf_factory.py").write_text("def create_app():\n    return lambda environ, start_response: []\n")
    (tmp_path / "enf_empty.py").write_text("")
    (tmp_path / "enf_needs.py").write_text("import not_installed_anywhere")
    (tmp_path / "enf_raises.py").write_text("1 / 0")
    before, modules = sys.path[:], set(sys.modules)
    yield str(tmp_path)
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if name.startswith("enf_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("enf_site:wsgi", "wsgi"),
        ("enf_site:holder.app", "app"),
        ("enf_site", "application"),
        ("enf_factory", "<lambda>"),
    ],
)
def test_targets(project: str, target: str, name: str) -> None:
    assert load(target, project).__name__ == name
    assert sys.path[0] == project


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("enf_sight:app", "no module 'enf_sight'"),
        ("enf_site.sub:app", "no module 'enf_site.sub'"),
        ("enf_needs:app", "'enf_needs' needs the module 'not_installed_anywhere'"),
        ("enf_site:aplication", "did you mean application"),
        ("enf_site:number", "not callable"),
        ("enf_empty", "no app or application or create_app in it: write enf_empty:NAME"),
        ("enf_site.app", "write enf_site:app"),
        ("enf_site:create_app()", "has no 'create_app\\(\\)'"),
        (":app", "names no module"),
    ],
)
def test_wrong_targets(project: str, target: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        load(target, project)


@pytest.mark.parametrize("target", ["enf_site:create_app", "enf_site"])
def test_a_factory_is_called(project: str, target: str) -> None:
    assert load(target, project, factory=True).__name__ == "wsgi"


def test_a_factory_that_is_not_there(project: str) -> None:
    with pytest.raises(LoadError, match="enf_empty: there is no create_app in it"):
        load("enf_empty", project, factory=True)


def test_what_the_module_raises_passes_through(project: str) -> None:
    with pytest.raises(ZeroDivisionError):
        load("enf_raises:app", project)


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...
def asgi_plain(scope: Any, receive: Any, send: Any) -> Any: ...
def wsgi(environ: Any, start_response: Any) -> Any: ...


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class DoubleCallable:
    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})


def decorated(f: Any) -> Any:
    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (asgi, "asgi"),
        (asgi_plain, "asgi"),
        (AsgiObject(), "asgi"),
        (AsgiObject().__call__, "asgi"),
        (DoubleCallable, "asgi"),
        (decorated(asgi), "asgi"),
        (decorated(asgi_plain), "asgi"),
        (functools.partial(lambda extra, scope, receive, send: None, 1), "asgi"),
        (wsgi, "wsgi"),
        (WsgiObject(), "wsgi"),
        (decorated(wsgi), "wsgi"),
        (lambda environ, start_response, extra=None, *, more=1: None, "ambiguous"),
        (lambda *args: None, "ambiguous"),
        (lambda a: None, "ambiguous"),
        (lambda: None, "takes no arguments"),
    ],
)
def test_interfaces(app: Any, interface: str) -> None:
    if interface in ("asgi", "wsgi"):
        assert interface_of(app) == interface
    else:
        with pytest.raises(LoadError, match="interface =" if interface == "ambiguous" else interface):
            interface_of(app)


def test_asgi_2_runs(project: str) -> None:
    Path(project, "enf_old.py").write_text("from tests.handlers.app.test_load import DoubleCallable as app")
    app = load("enf_old:app", project)
    assert interface_of(app) == "asgi"
    assert run(answer(AsgiHandler(app), make())).status == 204
