"""Where the program begins: `PYTHON .../enfilade/appworker/boot.py FD`, FD being the program's end of its channel.

The interpreter is the application's, whose packages must be its own: so of all that stands beside this package, nothing can be
imported but the package itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def find_package(name: str, folder: str) -> None:
    """Make the package `name` that is in `folder`, and what it holds, importable from there."""
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    if sys.path and os.path.abspath(sys.path[0]) == HERE:  # Python puts it there unless it is told not to
        del sys.path[0]
    find_package("enfilade", os.path.dirname(HERE))
    importlib.import_module("enfilade.appworker.main").main(int(sys.argv.pop(1)))
