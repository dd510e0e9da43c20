"""Advice about configurations: each rule against one that has nothing to be advised about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.certificates import self_signed
from tests.cli.kit import enfilade

from enfilade.assemble.trial import try_out
from enfilade.config import load
from enfilade.doctor.located import Located, advise_in

RIGHT = """\
[server]
http = ":80"
https = ":443"
user = "nobody"
admin = "127.0.0.1:2019"
trusted_proxies = ["10.0.0.0/8"]

[server.limits]
connections = 100

[firewall]
connections_per_address = 100

[sites."shop.example.com"]
tls = { certificate = "site.pem", key = "site.key" }
security_headers = true
csrf = true
limit = "100/m"
"/api/*" = { proxy = "up" }
"/admin/*" = { auth = { basic = { file = "users" } }, proxy = "up" }
"/*" = { files = "web" }

[upstreams.up]
peers = ["https://10.0.0.1"]
"""
USERS = f"ada:$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA${'A' * 43}\n"
PLAIN = """\
[sites."plain.example.com"]
security_headers = true
"/*" = { respond = "hello" }

"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = self_signed(["shop.example.com"])
    for name, text in (("site.pem", made.chain), ("site.key", made.key), ("users", USERS.encode())):
        (tmp_path / name).write_bytes(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("hello")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def advice(text: str) -> list[Located]:
    Path("enfilade.toml").write_text(text)
    return advise_in(load("enfilade.toml", try_out), "enfilade.toml")


def test_nothing_to_say(place: Path) -> None:
    assert [str(found.problem) for found in advice(RIGHT)] == []


@pytest.mark.parametrize(
    ("old", "new", "grade", "said"),
    [
        ("[upstreams.up]", PLAIN + "[upstreams.up]", "unclear", "everything travels in the clear"),
        ("csrf = true\n", 'csrf = true\nhttp = "serve"\n', "unclear", "the same as HTTPS"),
        ("csrf = true\n", 'csrf = true\nhttp = "serve"\n', "bad", "what lets somebody in travels in the clear"),
        ("shop.example.com", "*", "unclear", "every host name"),
        (
            'admin = "127.0.0.1:2019"',
            'admin = ":2019"\nadmin_token = "0123456789abcdef"',
            "unclear",
            "from other machines",
        ),
        ('admin = "127.0.0.1:2019"', 'admin = "127.0.0.1:2019"\nadmin_token = "a"', "bad", "a token of 1 characters"),
        ("10.0.0.0/8", "0.0.0.0/0", "bad", "everybody may say"),
        ("10.0.0.0/8", "10.0.0.0/7", "bad", "33,554,432 addresses may say"),
        ("connections = 100", "connections = 100\nbody = 0", "bad", "have no end"),
        ("connections = 100", "connections = 100\nmin_rate = 0", "bad", "never dropped"),
        ("connections_per_address = 100", "", "unclear", "one client may hold"),
        ("connections = 100", "", "unclear", "have no limit but the descriptors"),
        ("connections = 100", "connections = 100000000", "unclear", "so many cannot be had"),
        ('limit = "100/m"\n', "", "unclear", "passwords may be tried"),
        ('limit = "100/m"\n', "", "unclear", "as often as they like"),
        ("security_headers = true\n", "", "unclear", "not told to be careful"),
        ("csrf = true\n", "", "unclear", "pages of other sites"),
        ('files = "web"', 'files = "web", listing = true', "unclear", "which files there are"),
        ('files = "web"', 'files = "."', "bad", "this configuration can be fetched"),
        ('files = "web"', 'files = "."', "bad", "private key of shop.example.com can be fetched"),
        ('files = "web"', 'files = "."', "bad", "the file of users can be fetched"),
        ('proxy = "up" }', 'proxy = "up", body_limit = 0 }', "unclear", "no end here"),
        ('"https://10.0.0.1"]', '"https://10.0.0.1"]\ntls = { verify = false }', "bad", "in between"),
        ('user = "nobody"', 'user = "nobody"\ntrace = true', "unclear", "TRACE"),
        ("csrf = true\n", "csrf = true\ntiming = true\n", "unclear", "how long each step takes"),
    ],
)
def test_one_mistake(place: Path, old: str, new: str, grade: str, said: str) -> None:
    assert old in RIGHT
    found = advice(RIGHT.replace(old, new, 1))
    meant = [one for one in found if said in one.problem.text]
    assert len(meant) == 1, [one.problem.text for one in found]
    assert meant[0].grade.value == grade
    assert meant[0].problem.line > 0 and meant[0].instead


def test_root_stays_root(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = RIGHT.replace('user = "nobody"\n', "")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert [one.instead for one in advice(text)] == ['user = "www-data"']
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert advice(text) == []


def test_a_key_that_everybody_may_read(place: Path) -> None:
    (place / "site.key").chmod(0o644)
    [found] = advice(RIGHT)
    assert found.grade.value == "bad" and found.instead == f"chmod o-r {place / 'site.key'}"


def test_names_that_look_like_secrets(place: Path) -> None:
    for name in ("backup.sql", ".hidden.key", "index.js"):
        (place / "web" / name).write_text("")
    (place / "web" / ".git").mkdir()
    (place / "web" / ".git" / "a.key").write_text("")
    assert [one.problem.text for one in advice(RIGHT)] == [f"{place / 'web' / 'backup.sql'} can be fetched"]


def test_advice_that_is_the_same_comes_once(place: Path) -> None:
    text = RIGHT.replace('"/*" =', '"/more/*" = { proxy = "up" }\n"/*" =').replace("csrf = true\n", "")
    assert len(advice(text)) == 1


def test_on_the_command_line(place: Path) -> None:
    Path("enfilade.toml").write_text(RIGHT)
    right = enfilade("doctor", "enfilade.toml")
    assert (right.exit_code, right.stdout) == (0, "enfilade.toml: nothing to say\n")
    Path("enfilade.toml").write_text(RIGHT.replace("10.0.0.0/8", "::/0"))
    wrong = enfilade("doctor", "enfilade.toml")
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith(
        "bad      enfilade.toml:6:20: everybody may say that they are somebody else\n    trusted_proxies"
    )
    [listed] = json.loads(enfilade("doctor", "enfilade.toml", "--json").stdout)
    assert (listed["grade"], listed["line"], listed["column"]) == ("bad", 6, 20)
    Path("enfilade.toml").write_text("[server]\nhtpp = 1\n")
    broken = enfilade("doctor", "enfilade.toml")
    assert broken.exit_code == 1 and "enfilade.toml:2:1: " in broken.stdout
    assert enfilade("doctor", "enfilade.toml", "--yes").exit_code == 2
