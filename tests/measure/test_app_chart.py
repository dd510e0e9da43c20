"""The chart of `bench app` is the same for the same figures, small, and names all ways and places."""

from __future__ import annotations

from pathlib import Path

from tests.measure.test_app_reading import result, row

from enfilade.measure.app_chart import app_chart
from enfilade.measure.app_rows import MODES, Row
from enfilade.measure.app_ways import WAYS
from enfilade.measure.charts import save


def svg(file: Path, *rows: Row) -> str:
    save(app_chart(result(*rows)), str(file))
    return file.read_text()


def test_an_svg_is_small_and_names_everything(tmp_path: Path) -> None:
    rows = [row(route, 100, mode=mode, workers=workers) for route in WAYS for mode in MODES for workers in (1, 2)]
    drawn = svg(tmp_path / "a.svg", *rows)
    assert len(drawn) < 200_000
    assert all(f">{way.title}<" in drawn for way in WAYS.values())
    assert all(f">{mode}, {workers}<" in drawn for mode in MODES for workers in ("1 worker", "2 workers"))


def test_an_svg_of_one_kind_of_work_alone_is_the_same_again(tmp_path: Path) -> None:
    one, other = (svg(tmp_path / name, row("compute/def", 100)) for name in ("a.svg", "b.svg"))
    assert "computing 5 ms" in one
    assert one == other
