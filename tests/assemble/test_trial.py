"""What constructors refuse is refused before the start, with the place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assemble.kit import config_of, write_pem

from enfilade.assemble.trial import try_out
from enfilade.config import ConfigError
from enfilade.config.load import validate
from enfilade.config.schema import Config, Route, Site


@pytest.mark.parametrize(
    ("line", "place", "text"),
    [
        ('log = { format = "{metod}" }', "2:18", 'sites."*".log.format: the access log has no field \'metod\''),
        ('"/" = { respond = 200, log = { format = [] } }', "2:41", "the access log's list of fields is empty"),
        ('"/{a}" = { redirect = "/x/{b}" }', "2:23", "there is no {b} in this route"),
        ('"/" = { redirect = { to = "nowhere" } }', "2:27", 'sites."*"."/".redirect.to: \'nowhere\' is not an address'),
        ('"/" = { respond = { status = 204, body = "x" } }', "2:19", "an answer with status 204 has no body"),
        ('log = { to = "none/access.log" }', "2:14", 'none" does not exist'),
        ("cors = true", "2:8", "does not say whose"),
        ("auth = true", "2:8", "does not say who may come in"),
        ('auth = { basic = { file = "none" } }', "2:27", "No such file"),
        ('auth = { basic = { file = "/dev/null" } }', "2:27", "lists no users"),
        ('auth = { basic = { realm = "x" } }', "2:10", 'the key "file" is missing'),
        ('"/" = { respond = 200, log = { to = "." } }', "2:37", "is a directory"),
        ('limit = "100/day"', "2:9", 'sites."*".limit: "100/day" is not a rate; write "10/s"'),
        ('limit = "0/s"', "2:9", '"0/s" is not a rate'),
        ('limit = true', "2:9", 'expected a rate such as "10/s", "100/m", "1000/h" or "5000/d"'),
        ('limit = ["1/s", "x"]', "2:17", '"x" is not a rate'),
        ('"/" = { respond = 200, limit = { rate = "1/w" } }', "2:41", '"/".limit.rate: "1/w" is not a rate'),
        ('limit = { burst = 2 }', "2:1", 'the key "rate" is missing'),
        ('limit = { rate = "1/s", burst = 0 }', "2:33", "expected a whole number of at least 1"),
        ('limit = { rate = "1/s", bye = "route" }', "2:25", 'unknown key "bye"'),
        ('limit = { rate = "1/s", by = "ip" }', "2:30", '"ip" is nothing to count by: write "address"'),
        ('limit = ["1/s", { rate = "1/s", by = ["address", "cookie"] }]', "2:38", '"cookie" is not a part of a request'),
        ('"/" = { respond = 200, limit = { rate = "1/s", by = "header a b" } }', "2:53", "is not a part of a request"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(line: str, place: str, text: str) -> None:
    routes = "" if line.startswith('"/') else '\n"/" = { respond = 200 }'
    with pytest.raises(ConfigError) as raised:
        config_of(f'[sites."*"]\n{line}{routes}\n')
    assert str(raised.value).startswith(f"e.toml:{place}: ")
    assert text in str(raised.value)


def test_a_certificate_must_fit_its_key(tmp_path: Path) -> None:
    write_pem(tmp_path, "a", "a.example")
    write_pem(tmp_path, "b", "b.example")
    text = '[server]\nhttps = ":443"\n[sites."*"]\ntls = { certificate = "a.pem", key = "%s.key" }\n"/" = { respond = 200 }\n'
    assert config_of(text % "a", tmp_path)
    with pytest.raises(ConfigError, match=r"e.toml:4:23: .*tls.certificate: cannot be used: "):
        config_of(text % "b", tmp_path)


@pytest.mark.parametrize(
    ("clients", "why"),
    [
        ('authority = "none.pem"', "No such file"),
        ('authority = "a.key"', "cannot be used: the authority of clients"),
        ('authority = "a.pem", revoked = "a.key"', "cannot be used: what is revoked of clients"),
        ('authority = "a.pem", revoked = "none.pem"', "No such file"),
        ('authority = "raw"', "cannot be used: the authority of clients"),
    ],
)
def test_whom_to_ask_for_certificates_must_be_readable(tmp_path: Path, clients: str, why: str) -> None:
    """FAILURES 31."""
    write_pem(tmp_path, "a", "a.example")
    (tmp_path / "raw").write_bytes(b"\xff\x00")
    table = f'{{ certificate = "a.pem", key = "a.key", clients = {{ {clients} }} }}'
    with pytest.raises(ConfigError, match=rf"e.toml:4:\d+: .*tls.*{why}"):
        config_of(f'[server]\nhttps = ":443"\n[sites."*"]\ntls = {table}\n"/" = {{ respond = 200 }}\n', tmp_path)


def test_every_mistake_is_told_at_once() -> None:
    text = '[sites."*"]\n"/a" = { redirect = "x" }\n"/b" = { redirect = "y" }\n'
    with pytest.raises(ConfigError) as raised:
        config_of(text)
    assert [problem.line for problem in raised.value.problems] == [2, 3]


def test_the_python_form_is_tried_out_too() -> None:
    config = Config(sites={"*": Site(routes={"/": Route(redirect="nowhere")})})
    with pytest.raises(ConfigError, match="'nowhere' is not an address"):
        validate(config, "e.py", ".", try_out)


def test_mistakes_of_every_kind_are_told_in_one_run() -> None:
    text = (
        '[sites."*"]\n'
        'colour = "red"\n'  # the builder's
        '"/a" = { app = "nobody" }\n'  # the checks'
        '"/b" = { redirect = "nowhere", lgo = false }\n'  # a constructor's, beside one of the builder's
        '"/c" = { redirect = { status = 301 } }\n'  # and nothing of what follows from it
    )
    with pytest.raises(ConfigError) as raised:
        config_of(text)
    assert [(problem.line, problem.column) for problem in raised.value.problems] == [
        (2, 1), (3, 16), (4, 21), (4, 32), (5, 10),
    ]  # fmt: skip


def test_what_the_checks_have_refused_is_not_tried_out(tmp_path: Path) -> None:
    text = '[server]\nhttps = ":443"\n[sites."*"]\ntls = { certificate = "a.pem" }\n'
    text += '"/" = { respond = { body = "x", type = " " } }\n'
    with pytest.raises(ConfigError) as raised:
        config_of(text, tmp_path)
    assert [(problem.line, problem.column) for problem in raised.value.problems] == [(4, 1), (4, 23), (5, 40)]
