"""Our own authority."""

from typing import Annotated

from enfilade.config.schema.leaves import Duration, FilePath, Table, Text

DAY = 86400.0


class Pki(Table, frozen=True):
    """Our own authority, which signs the certificates of `tls = "internal"`."""

    root: Annotated[
        FilePath | None,
        Text(
            "Directory in which it is kept, and made where there is none. Without it there is another one at each start and "
            "reload, in memory."
        ),
    ] = None
    lifetime: Annotated[
        Duration, Text("How long certificates are valid, 90 days at most; they are renewed when half of it is over.")
    ] = 30 * DAY
    names: Annotated[
        list[str],
        Text(
            'For which names programs may have certificates by routes with `pki = "acme"`: `"db.internal"`, `"*.internal"` (all '
            'beneath it), `"10.0.0.0/8"`.'
        ),
    ] = []
    networks: Annotated[
        list[str],
        Text(
            "Networks and addresses in which it may be looked whether these programs have the names; public ones always."
        ),
    ] = []
    external_accounts: Annotated[
        FilePath | None,
        Text(
            "File with the accounts to which those of ACME must be bound, a line each: `NAME:KEY`, the key in base64url."
        ),
    ] = None
