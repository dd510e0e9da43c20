"""The rules that come with the server: the common probes, each in words and expressions of our own. `docs/rules.md` lists them.

At the first level one critical hit refuses a request; what honest people write, too, stands at the second.
"""

from __future__ import annotations

from enfilade.rules.shipped.injections import INJECTIONS
from enfilade.rules.shipped.probes import PROBES

RULES = (*PROBES, *INJECTIONS)
OWN = "own"
"""The group of all that are configured."""
GROUPS = (*dict.fromkeys(rule.tags[0] for rule in RULES), OWN)
"""What rules are counted by."""
