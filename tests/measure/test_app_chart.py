"""The chart of `bench app` is the same for the same figures, small, and names all ways and places."""

from __future__ import annotations

from pathlib import Path

from tests.measure.test_app_reading import result, row

from enfilade.measure.app_chart import app_chart
from enfilade.measure.app_rows import MODES
from enfilade.measure.app_ways import WAYS
from enfilade.measure.charts import save


def test_an_svg_is_the_same_again_and_small_and_names_everything(tmp_path: Path) -> None:
    rows = [row(route, 100, mode=mode, workers=workers) for route in WAYS for mode in MODES for workers in (1, 2)]
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        save(app_chart(result(*rows)), str(file))
    one, other = (file.read_text() for file in files)
    assert one == other
    assert len(one) < 200_000
    assert all(f">{way.title}<" in one for way in WAYS.values())
    assert all(f">{mode}, {workers}<" in one for mode in MODES for workers in ("1 worker", "2 workers"))


def test_one_kind_of_work_alone(tmp_path: Path) -> None:
    save(app_chart(result(row("compute/def", 100))), str(tmp_path / "a.svg"))
    assert "computing 5 ms" in (tmp_path / "a.svg").read_text()
