"""From `package.module:attribute` to an application, and from an application to its interface."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal

Interface = Literal["asgi", "wsgi"]

NAMES = ("app", "application")
FACTORY = "create_app"
"""Where the application is looked for, in this order, if the target names only a module; FACTORY is called."""


class LoadError(Exception):
    """The target cannot be served; the text says what to change."""


def load(target: str, path: str | None = None, *, factory: bool = False) -> Callable[..., Any]:
    """Import the application that `target` names: `module:attribute.attribute`, or `module` alone (see NAMES).

    `path` is put in front of `sys.path` first. `factory`: the target makes the application when it is called. Raises LoadError;
    what the module itself raises, passes through.
    """
    if path is not None and path not in sys.path:
        sys.path.insert(0, path)
    module_name, _, attribute = target.partition(":")
    found: Any = _import(module_name, target)
    if not attribute:
        attribute = _default_name(found, module_name, factory)
    for name in attribute.split("."):
        found = _attribute(found, name, target)
    if factory or (attribute == FACTORY and ":" not in target):
        found = found()
    if not callable(found):
        raise LoadError(f"{target}: a value of type {type(found).__name__} is not callable, so it is no application")
    application: Callable[..., Any] = found
    return single_callable(application) if is_double_callable(application) else application


def interface_of(app: Callable[..., Any]) -> Interface:
    """Whether `app` is an ASGI or a WSGI application, by its looks. Raises LoadError if it looks like both or neither."""
    if _is_coroutine_function(app) or is_double_callable(app):
        return "asgi"
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        raise _ambiguous(app) from None
    fits = [interface for interface, count in _ARGUMENTS.items() if _accepts(signature, count)]
    if len(fits) == 1:
        return fits[0]
    if not signature.parameters:
        raise LoadError(
            f"{app!r} takes no arguments: if it makes the application, say so: --factory, or factory = true"
        )
    raise _ambiguous(app)


def is_double_callable(app: Callable[..., Any]) -> bool:
    """Whether `app` is of ASGI 2: called with the scope, it gives a coroutine function of `receive` and `send`."""
    if not inspect.isclass(app):
        return False
    call = inspect.getattr_static(app, "__call__", None)
    return inspect.iscoroutinefunction(call) and len(inspect.signature(app).parameters) == 1


def single_callable(app: Callable[..., Any]) -> Callable[..., Any]:
    """An application of ASGI 2 as one of ASGI 3."""

    async def call(scope: object, receive: object, send: object) -> None:
        await app(scope)(receive, send)

    return call


_ARGUMENTS: dict[Interface, int] = {"asgi": 3, "wsgi": 2}


def _is_coroutine_function(app: Callable[..., Any]) -> bool:
    seen = (app, inspect.unwrap(app), type(app).__call__)
    return any(inspect.iscoroutinefunction(function) for function in seen)


def _accepts(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _ambiguous(app: object) -> LoadError:
    return LoadError(f'{app!r} could be ASGI or WSGI: say which, with interface = "asgi" or interface = "wsgi"')


def _import(name: str, target: str) -> object:
    if not name:
        raise LoadError(f"{target!r} names no module: write module:attribute")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(missing + "."):
            owner, _, last = name.rpartition(".")
            hint = (
                f"; if {last!r} is the application in a module, write {owner}:{last}"
                if owner and name == target
                else ""
            )
            raise LoadError(f"{target}: there is no module {missing!r} on the path{hint}") from None
        raise LoadError(f"{target}: {name!r} needs the module {missing!r}, which is not installed") from error


def _attribute(owner: object, name: str, target: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        from difflib import get_close_matches  # noqa: PLC0415  # for mistakes only

        near = get_close_matches(name, [n for n in dir(owner) if not n.startswith("__")], 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise LoadError(f"{target}: {owner!r} has no {name!r}{hint}") from None


def _default_name(module: object, module_name: str, factory: bool) -> str:
    names = (FACTORY,) if factory else (*NAMES, FACTORY)
    for name in names:
        if hasattr(module, name):
            return name
    raise LoadError(f"{module_name}: there is no {' or '.join(names)} in it: write {module_name}:NAME")
