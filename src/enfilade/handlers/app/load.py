"""From `package.module:attribute` to an application, and from an application to its interface."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from enfilade.targets import LoadError, attribute_of, import_module

Interface = Literal["asgi", "wsgi"]

NAMES = ("app", "application")
FACTORY = "create_app"
"""Where the application is looked for, in this order, if the target names only a module; FACTORY is called."""


def load(target: str, path: str | None = None, *, factory: bool = False) -> Callable[..., Any]:
    """Import the application that `target` names: `module:attribute.attribute`, or `module` alone (see NAMES).

    `path` is put in front of `sys.path` first. `factory`: the target makes the application when it is called. Raises LoadError;
    what the module itself raises, passes through.
    """
    module_name, _, attribute = target.partition(":")
    module = import_module(module_name, target, path)
    attribute = attribute or _default_name(module, module_name, factory)
    found: Any = attribute_of(module, attribute, target)
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


def _default_name(module: object, module_name: str, factory: bool) -> str:
    names = (FACTORY,) if factory else (*NAMES, FACTORY)
    for name in names:
        if hasattr(module, name):
            return name
    raise LoadError(f"{module_name}: there is no {' or '.join(names)} in it: write {module_name}:NAME")
