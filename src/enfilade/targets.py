"""From `package.module:attribute` to what it names."""

from __future__ import annotations

import importlib
import sys


class LoadError(Exception):
    """The target cannot be served; the text says what to change."""


def import_module(name: str, target: str, path: str | None = None) -> object:
    """The module called `name`, for which `path` is put in front of `sys.path`. Raises LoadError, which speaks of `target`; what
    the module itself raises, passes through."""
    if path is not None and path not in sys.path:
        sys.path.insert(0, path)
    if not name:
        raise LoadError(f"{target!r} names no module: write module:attribute")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(missing + "."):
            owner, _, last = name.rpartition(".")
            hint = f"; if {last!r} is in a module, write {owner}:{last}" if owner and name == target else ""
            raise LoadError(f"{target}: there is no module {missing!r} on the path{hint}") from None
        raise LoadError(f"{target}: {name!r} needs the module {missing!r}, which is not installed") from error


def attribute_of(owner: object, attributes: str, target: str) -> object:
    """What `owner` has by the dotted name `attributes`. Raises LoadError."""
    for name in attributes.split("."):
        try:
            owner = getattr(owner, name)
        except AttributeError:
            from difflib import get_close_matches  # noqa: PLC0415  # for mistakes only

            near = get_close_matches(name, [n for n in dir(owner) if not n.startswith("__")], 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise LoadError(f"{target}: {owner!r} has no {name!r}{hint}") from None
    return owner


def find(target: str, path: str | None = None) -> object:
    """What `target` names, "module:attribute.attribute". Raises LoadError as `import_module`."""
    module_name, colon, attribute = target.partition(":")
    if not (colon and attribute):
        raise LoadError(f"{target!r} names no attribute of a module: write module:callable")
    return attribute_of(import_module(module_name, target, path), attribute, target)
