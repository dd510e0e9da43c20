"""The documentation names only what exists."""

from __future__ import annotations

import re
import runpy
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from bench import failures

from enfilade.cli.main import COMMANDS, main
from enfilade.config import ConfigError, load
from enfilade.config.errors import Problem
from enfilade.measure.samples import read
from enfilade.models.handler import Kind, handler_of
from enfilade.models.table import MODELS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = runpy.run_path(str(DOCS / "make.py"))["PAGES"]
NOT_OURS = {"HTTP", "TLS", "ASGI", "WSGI", "WebSocket", "OpenSSL", "Task", "None"}


def defined() -> set[str]:
    """Every class and every name that is given to something at the top of a module in the sources."""
    found = re.compile(r"^(?:class |(?=\w+(?:: .*)? = ))(\w+)", re.MULTILINE)
    return {name for path in (ROOT / "src").rglob("*.py") for name in found.findall(path.read_text())}


def test_the_classes_on_the_way_of_a_request_exist() -> None:
    text = (ROOT / "docs" / "where-a-request-goes.md").read_text()
    spans = re.findall(r"`([A-Za-z_.]+)`", text)
    classes = {part for span in spans for part in span.split(".") if re.fullmatch(r"[A-Z][a-z]\w*", part)}
    assert len(classes) > 25
    assert classes - NOT_OURS <= defined()


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for file in re.findall(r"`((?:http|exchange|wire|net|route|filters|handlers|process|config)/[\w/]+\.py)`", text):
        assert (ROOT / "src" / "enfilade" / file).exists(), f"{page.name} names {file}"


@pytest.mark.parametrize("name", MADE)
def test_pages_made_from_the_code_are_current(name: str) -> None:
    assert (DOCS / name).read_text() == MADE[name](), "run make docs"


def test_the_page_of_failures_shows_the_configurations_that_were_looked_at() -> None:
    page = failures.PAGE.read_text()
    assert failures.put(page, "configurations", failures.configurations()) == page, "run python -m bench.failures"


PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
CONFIGURATIONS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
]


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_configurations_on_the_pages_are_right(block: str, tmp_path: Path) -> None:
    file = tmp_path / "enfilade.toml"
    file.write_text(block)
    problems: Sequence[Problem] = ()
    try:
        load(str(file))
    except ConfigError as error:
        problems = error.problems
    # The reader's files are not here.
    assert [str(p) for p in problems if "does not exist" not in p.text] == []


def test_the_figures_of_the_models_are_whole() -> None:
    names = [name for name in runpy.run_path(str(DOCS / "measure.py"))["COMMANDS"] if name.startswith("models")]
    assert names
    for name in names:
        found = read((DOCS / "measured" / f"{name}.json").read_bytes())
        assert {sample.model for sample in found.samples} == set(MODELS), name
        assert not [sample.problem for sample in found.samples if sample.problem], name


def test_handlers_on_the_page_of_models_are_of_the_kinds_that_it_says() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "concurrency.md").read_text(), re.DOTALL | re.MULTILINE)
    kinds = []
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        kinds.append(handler_of("it", list(names.values())[-1]).kind)
    assert kinds == [Kind.REQUEST, Kind.ASYNC_REQUEST, Kind.SESSION, Kind.ASYNC_SESSION]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for name, rest in re.findall(r"\benfilade ([a-z]+)((?: [^\s`|]+)*)", "\n".join(code_of(page.read_text()))):
        assert name in COMMANDS, f"{page.name}: enfilade {name}"
        command = main.get_command(click.Context(main), name)
        known = {option for parameter in command.params for option in parameter.opts}
        if isinstance(command, click.Group):
            below = [command.commands[word] for word in rest.split() if word in command.commands]
            known |= {option for one in below for parameter in one.params for option in parameter.opts}
        assert set(re.findall(r" (--?[a-z][a-z-]*)", rest)) <= known, f"{page.name}: enfilade {name}{rest}"


def code_of(text: str) -> list[str]:
    """The blocks and spans of code on a page, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [re.sub(r"\s#.*", "", line) for code in [*blocks, *spans] for line in code.splitlines()]
