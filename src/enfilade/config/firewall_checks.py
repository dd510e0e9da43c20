"""What the firewall's table must hold beyond the types of its values. Reads the lists that it names."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.config.errors import Path, dotted
from enfilade.config.networks import read_networks
from enfilade.config.report import Report
from enfilade.config.schema import Firewall
from enfilade.config.units import rate


def check_firewall(firewall: Firewall, report: Report) -> None:
    """Report what cannot work in `firewall`."""
    for key in ("allow", "deny"):
        for i, text in enumerate(getattr(firewall, key)):
            _check(_read_all, text, ("firewall", key, i), report)
    if firewall.default == "deny" and not firewall.allow and report.complete(("firewall",)):
        report(("firewall", "default"), False, "firewall.default: nobody is let in", "name networks in allow")
    for key in ("new_connections", "new_connections_per_address"):
        text = getattr(firewall, key)
        if text is not None:
            _check(rate, text, ("firewall", key), report)


def _check(parse: Callable[[str], object], text: str, path: Path, report: Report) -> None:
    """Report what `parse` raises for `text`, the value at `path`."""
    try:
        parse(text)
    except ValueError as error:
        report(path, False, f"{dotted(path)}: {error}")


def _read_all(entry: str) -> None:
    for _ in read_networks([entry]):
        pass
