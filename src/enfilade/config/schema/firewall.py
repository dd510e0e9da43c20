"""Whom the listeners let in."""

from typing import Annotated, Literal

from enfilade.config.schema.leaves import Count, Files, Rate, Table, Text


class Firewall(Table, frozen=True):
    """Whom every listener but `admin` lets in, and how many connections. The most specific network decides, and `allow` between
    two that are the same."""

    allow: Annotated[
        Files,
        Text(
            'Networks such as `"10.0.0.0/8"`, addresses, `"unix"` for Unix sockets, or `"file:PATH"`: a file with one of them a '
            "line, which is watched."
        ),
    ] = []
    deny: Annotated[Files, Text("Who is refused, written as in `allow`.")] = []
    default: Annotated[Literal["allow", "deny"], Text("What holds for all who are in neither list.")] = "allow"
    connections_per_address: Annotated[
        Count, Text("Connections of one address (of IPv6, its /64) at once, over all workers; 0: any number.")
    ] = 0
    new_connections: Annotated[
        Rate | None, Text('How many connections may come, such as `"1000/s"`, from all addresses together.')
    ] = None
    new_connections_per_address: Annotated[
        Rate | None, Text('How many may come from one address (of IPv6, its /64), such as `"50/s"`.')
    ] = None

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return self.default == "allow" and not self.deny

    @property
    def counts(self) -> bool:
        """Whether it matters how many connections somebody has."""
        return bool(self.connections_per_address or self.new_connections or self.new_connections_per_address)
