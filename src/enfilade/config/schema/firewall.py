"""Whom the listeners let in."""

from typing import Annotated, Literal

from enfilade.config.schema.leaves import Files, Table, Text


class Firewall(Table, frozen=True):
    """Whom every listener but `admin` lets in. The most specific network decides, and `allow` between two that are the same."""

    allow: Annotated[
        Files,
        Text(
            'Networks such as `"10.0.0.0/8"`, addresses, `"unix"` for Unix sockets, or `"file:PATH"`: a file with one of them a '
            "line, which is watched."
        ),
    ] = []
    deny: Annotated[Files, Text("Who is refused, written as in `allow`.")] = []
    default: Annotated[Literal["allow", "deny"], Text("What holds for all who are in neither list.")] = "allow"

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return self.default == "allow" and not self.deny
