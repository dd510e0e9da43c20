"""The command `enfilade`. Each command's module is imported when it is called: `check` and `--help` load no server."""

from __future__ import annotations

import gc
from importlib import import_module

import click

from enfilade import __version__

COMMANDS = {
    "run": ("enfilade.cli.serve", "Serve an ASGI or WSGI application."),
    "serve": ("enfilade.cli.serve", "Serve a directory of files."),
    "proxy": ("enfilade.cli.serve", "Hand requests on to other servers."),
    "stream": ("enfilade.cli.stream", "Serve a raw TCP or UDP protocol, by one of the concurrency models."),
    "up": ("enfilade.cli.serve", "Serve what enfilade.toml says."),
    "check": ("enfilade.cli.check", "Say whether a configuration can be used."),
    "explain": ("enfilade.cli.explain", "Show the way of a request through the rooms, without making it."),
    "schema": ("enfilade.cli.inspect", "Print the JSON Schema of enfilade.toml, for editors."),
    "reload": ("enfilade.cli.control", "Make a running server take its configuration anew."),
    "stop": ("enfilade.cli.control", "Stop a running server."),
    "status": ("enfilade.cli.control", "Show a running server and its workers."),
    "purge": ("enfilade.cli.cache", "Let answers that a running server has stored not be used again."),
    "cache": ("enfilade.cli.cache", "Show what a running server has stored."),
    "doctor": ("enfilade.cli.doctor", "Look for what is wrong with a running server, or a configuration."),
    "bans": ("enfilade.cli.bans", "List who is banned on a running server, ban by hand, and lift bans."),
    "password": ("enfilade.cli.password", "Print a line with a hashed password, for auth.basic."),
    "trust": ("enfilade.cli.trust", "Have this machine and its browsers trust the internal authority."),
    "register": ("enfilade.cli.register", "Tell edges that a server is there, as long as it runs."),
    "ask": ("enfilade.cli.ask", "Ask a raw TCP or UDP service, and print its answers."),
    "bench": ("enfilade.cli.bench", "Measure the concurrency models, and what blocks web applications."),
    "version": ("enfilade.cli.inspect", "Print the version."),
}
"""Each command: the module that has it, and a line for the list of commands."""


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        if name not in COMMANDS:
            from enfilade.config.errors import did_you_mean  # noqa: PLC0415

            ctx.fail(f'there is no command "{name}"; {did_you_mean(name, COMMANDS) or "enfilade --help lists them"}')
        # What modules make stays. To look for garbage among it costs 5 % of a start, and in a forked worker it would copy
        # what is shared with the supervisor.
        gc.disable()
        try:
            module = import_module(COMMANDS[name][0])
        finally:
            gc.freeze()
            gc.enable()
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="enfilade", message="%(prog)s %(version)s")
def main() -> None:
    """Every tier of a client-server system, from the socket to the application.

    \b
    Examples:
      enfilade run shop.main:app
      enfilade serve web/dist --spa
      enfilade up -c /etc/enfilade.toml
      enfilade explain GET https://shop.example.com/api/orders
    """
