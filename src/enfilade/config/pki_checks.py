"""What our own authority must hold."""

from __future__ import annotations

import os

from enfilade.config.report import Report
from enfilade.config.schema import Pki

LONGEST = 90 * 86400.0
"""Seconds that a certificate may be valid: what is renewed by itself need not last."""


def check_pki(pki: Pki, report: Report) -> None:
    """Report what is wrong with it."""
    if not 1 <= pki.lifetime <= LONGEST:
        text = "pki.lifetime: a certificate is valid for 1 second at least, and for 90 days at most"
        report(("pki", "lifetime"), False, text)
    if pki.root is not None and not os.path.isdir(pki.root):
        above = os.path.dirname(pki.root)
        if os.path.lexists(pki.root):
            report(("pki", "root"), False, f'pki.root: "{pki.root}" is not a directory')
        elif not os.path.isdir(above):
            report(("pki", "root"), False, f'pki.root: the directory "{above}" does not exist')
