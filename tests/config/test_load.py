from __future__ import annotations

import os
from pathlib import Path

import pytest

from enfilade.config import App, Config, ConfigError, Route, Server, Site, load, loads, validate

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "configurations"
SMALL = '[sites."*"]\n"/" = { respond = 204 }\n'


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "a.toml").write_text('[sites."*"]\n"/*" = { files = "web" }\n[apps]\nx.target = "x:app"\n')
    monkeypatch.chdir("/")
    config = load(tmp_path / "a.toml")
    assert config.sites["*"].routes["/*"].files == str(tmp_path / "web")
    assert config.apps["x"].path == str(tmp_path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file or directory"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="not UTF-8: byte 2 is 0xff"):
        load(tmp_path / "a.toml")


def test_a_certificate_that_is_not_readable(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.symlink("loop", tmp_path / "loop")  # root reads everything, but not this
    else:
        (tmp_path / "loop").touch(0)
    text = (
        f'[server]\nhttps = ":1"\n[sites.a]\ntls = {{ certificate = "loop", key = "loop" }}\n{SMALL.splitlines()[1]}\n'
    )
    with pytest.raises(ConfigError, match=r"certificate: .*loop.* cannot be read \("):
        loads(text, base=tmp_path)


def test_windows_line_ends() -> None:
    with pytest.raises(ConfigError) as error:
        loads(SMALL.replace("\n", "\r\n") + "colour = 1\r\n")
    assert [(p.line, p.column, p.source) for p in error.value.problems] == [(3, 1, "colour = 1")]


def test_problems_stand_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigError) as error:
        loads('[sites."*"]\nb = 1\na = 1\n[server]\nhttp = 1\n')
    assert [p.line for p in error.value.problems] == [2, 3, 5]


def test_every_example_is_accepted() -> None:
    for path in [*EXAMPLES.glob("*.toml"), EXAMPLES / "enfilade_conf.py"]:
        config = load(path)
        assert config.sites or config.streams


# -- the Python form


def test_python_and_toml_mean_the_same() -> None:
    made = validate(Config(server=Server(http=":1"), sites={"*": Site(routes={"/": Route(respond=204)})}), "here")
    assert made == loads('[server]\nhttp = ":1"\n' + SMALL)


def test_python_goes_through_the_same_checks() -> None:
    config = Config(sites={"*": Site(routes={"/": Route(app="shpo")})}, apps={"shop": App(target="shop.py:")})
    with pytest.raises(ConfigError) as error:
        validate(config, "conf.py")
    assert [str(p) for p in error.value.problems] == [
        'conf.py: sites."*"."/".app: there is no application "shpo"; did you mean "shop"?',
        'conf.py: apps.shop.target: "shop.py:" is not a target; write module:attribute, as in "shop.main:app"',
    ]


def test_a_wrong_type_in_python() -> None:
    with pytest.raises(ConfigError, match=r"server.workers: expected .*, not 1.5"):
        validate(Config(server=Server(workers=1.5)), "conf.py")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="has no place in a configuration"):
        validate(Config(server=Server(user=object())), "conf.py")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n", "no global `config`"),
        ("x = 1\nconfig = y\n", r"conf\.py:2:1: NameError: name 'y' is not defined"),
        ("x = (\n", r"conf\.py:1:1: SyntaxError"),
    ],
)
def test_python_that_makes_no_config(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "conf.py").write_text(text)
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path / "conf.py")


def test_a_python_file_is_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "conf.py").write_text(
        "from pathlib import Path\nfrom enfilade.config import *\n"
        "config = Config(sites={'*': Site(routes={'/*': Route(files=Path('web'))})})\n"
    )
    assert load(tmp_path / "conf.py").sites["*"].routes["/*"].files == str(tmp_path / "web")
