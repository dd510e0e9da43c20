"""`trust`: this machine and its browsers trust the root of the internal authority."""

from __future__ import annotations

import os
import shlex
import shutil

import click

from enfilade.cli.common import config_file, config_option, fail, load_or_fail
from enfilade.pki.kept import root_path
from enfilade.pki.trust import Root, Store, TrustError, browser_stores, read_root, system_stores


@click.command()
@click.argument("root", required=False, metavar="[PEM]")
@config_option
@click.option("--remove", is_flag=True, help="Trust it no more.")
@click.option("--print", "show", is_flag=True, help="Print it (PEM), and change nothing.")
@click.option("--only", type=click.Choice(["system", "browsers"]), help="Leave the others alone.")
def trust(root: str | None, file: str | None, remove: bool, show: bool, only: str | None) -> None:
    """Have this machine and your browsers trust the root that [pki] keeps, or the one in the file PEM.

    The system's store needs root; browsers have one for each user. It says what it did, and what it could not.

    \b
    Examples:
      enfilade trust --only browsers
      sudo enfilade trust --only system
      enfilade trust --print | ssh other 'cat > root.pem && sudo enfilade trust root.pem'
    """
    path = root or _kept(config_file(file))
    try:
        found = read_root(path)
    except (OSError, TrustError) as error:
        fail(f"{path} {error.strerror}" if isinstance(error, OSError) else str(error))
    if show:
        click.echo(found.pem, nl=False)
        return
    stores = [] if only == "browsers" else system_stores()
    stores += [] if only == "system" else browser_stores(os.path.expanduser("~"))
    if not stores:
        fail("no store is known here; enfilade trust --print prints the root, for you to install")
    results = [_apply(store, found, remove) for store in stores]
    raise SystemExit(0 if all(results) else 1)


def _kept(file: str) -> str:
    directory = load_or_fail(file).pki.root
    if directory is None:
        fail(f'{file}: no root is kept; write root = "DIRECTORY" in [pki]')
    path = root_path(directory)
    if not os.path.exists(path):
        fail(f"{path} is not there; the first start of the server makes it")
    return path


def _apply(store: Store, root: Root, remove: bool) -> bool:
    """Whether it could be done; says what was."""
    try:
        done = store.remove(root) if remove else store.add(root)
    except PermissionError:
        options = ["--only", "system", *(["--remove"] if remove else [])]
        command = shlex.join(["sudo", shutil.which("enfilade") or "enfilade", "trust", *options, root.path])
        click.echo(f"{store.where}: only root may: {command}", err=True)
        return False
    except (OSError, TrustError) as error:
        click.echo(f"{store.where}: {error}", err=True)
        return False
    state = "trusts it no more" if remove else "trusts it"
    before = "" if done else "nothing to do: "
    click.echo("\n  ".join([f"{store.where}: {before}{state}", *done]))
    return True
