"""All probes, by group, in the order in which they are made."""

from __future__ import annotations

from enfilade.doctor.probe import Probe
from enfilade.doctor.probes import (
    browsers,
    exposure,
    files,
    framing,
    host,
    http2,
    limits,
    proxies,
    reuse,
    slow,
    targets,
    tls,
)

GROUPS: dict[str, tuple[Probe, ...]] = {
    "framing": framing.PROBES,
    "host": host.PROBES,
    "target": targets.PROBES,
    "reuse": reuse.PROBES,
    "limits": limits.PROBES,
    "slow": slow.PROBES,
    "http2": http2.PROBES,
    "tls": tls.PROBES,
    "proxy": proxies.PROBES,
    "browser": browsers.PROBES,
    "files": files.PROBES,
    "exposure": exposure.PROBES,
}
