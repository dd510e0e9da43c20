"""Whom the listeners let in, and where servers may lie that we connect to."""

from typing import Annotated, Literal

from enfilade.config.schema.leaves import Count, Duration, FilePath, Files, Rate, Table, Text


class Lists(Table, frozen=True):
    """How the lists of the firewall that stand at URLs are fetched."""

    keep: Annotated[FilePath, Text("The directory with a copy of each: what a start or reload begins with.")]
    every: Annotated[Duration, Text("How often each is asked for again, by one of the workers.")] = 3600.0
    wait: Annotated[
        Duration, Text("How long a start or reload waits for a list of which there is no copy; then it is refused.")
    ] = 5.0
    allow: Annotated[
        list[str],
        Text("Networks in which they may lie besides the public ones. With it URLs may begin with `http://`, too."),
    ] = []
    authority: Annotated[
        FilePath | None,
        Text("PEM file of those who vouch for their servers, instead of the system's authorities."),
    ] = None


class Countries(Table, frozen=True):
    """Whom the firewall lets in by the country of their address, where none of its lists names them."""

    file: Annotated[FilePath, Text("A database in MaxMind's format (`.mmdb`) with countries, which is watched.")]
    allow: Annotated[
        list[str], Text('Countries (ISO 3166-1) such as `"DE"`: nobody else is let in, nor who is in no country.')
    ] = []
    deny: Annotated[list[str], Text("Countries from which nobody is let in.")] = []


class Outbound(Table, frozen=True):
    """Where the servers may lie that requests and streams are handed on to: what their names mean, whatever a file or a
    registration says. The most specific network decides, and `allow` between two that are the same."""

    allow: Annotated[list[str], Text('Networks such as `"10.0.0.0/8"`, and addresses.')] = []
    deny: Annotated[
        tuple[str, ...],
        Text("Where none may lie, written as in `allow`. Without it, link-local addresses, where clouds tell secrets."),
    ] = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254")
    default: Annotated[Literal["allow", "deny"], Text("What holds for all that are in neither list.")] = "allow"


class Firewall(Table, frozen=True):
    """Whom every listener but `admin` lets in, and how many connections. The most specific network decides, and `allow` between
    two that are the same."""

    allow: Annotated[
        Files,
        Text(
            'Networks such as `"10.0.0.0/8"`, addresses, `"unix"` for Unix sockets, `"file:PATH"`: a file with one of them a '
            'line, which is watched, or `"https://..."`: the same, fetched now and then.'
        ),
    ] = []
    deny: Annotated[Files, Text("Who is refused, written as in `allow`.")] = []
    default: Annotated[Literal["allow", "deny"], Text("What holds for all who are in neither list.")] = "allow"
    lists: Annotated[Lists | None, Text("How lists at URLs are fetched, and where they are kept.")] = None
    countries: Annotated[
        Countries | None, Text("Who is in neither list is looked up here, before `default` counts.")
    ] = None
    connections_per_address: Annotated[
        Count, Text("Connections of one address (of IPv6, its /64) at once, over all workers; 0: any number.")
    ] = 0
    new_connections: Annotated[
        Rate | None, Text('How many connections may come, such as `"1000/s"`, from all addresses together.')
    ] = None
    new_connections_per_address: Annotated[
        Rate | None, Text('How many may come from one address (of IPv6, its /64), such as `"50/s"`.')
    ] = None
    outbound: Annotated[Outbound, Text("Where the servers may lie that requests and streams are handed on to.")] = (
        Outbound()
    )

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return self.default == "allow" and not self.deny and self.countries is None

    @property
    def counts(self) -> bool:
        """Whether it matters how many connections somebody has."""
        return bool(self.connections_per_address or self.new_connections or self.new_connections_per_address)
