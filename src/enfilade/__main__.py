"""`python -m enfilade` is the command `enfilade`."""

from enfilade.cli.main import main

main(prog_name="enfilade")
