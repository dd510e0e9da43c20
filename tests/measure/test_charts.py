"""Charts are the same for the same measurement, small, and their labels do not lie upon one another."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.measure.figures import measurement, sample

from enfilade.measure.charts import LOOKS, models_chart, save, spread
from enfilade.measure.samples import Measurement
from enfilade.models.table import MODELS


def everything() -> Measurement:
    return measurement(
        *(sample(name, clients, rate=100.0 * clients + i) for clients in (1, 100) for i, name in enumerate(MODELS)),
        sample("uvloop_streams", 100, rate=7e4, awaited=True),
        sample("single", 1000, rate=0.0, served=0),
        kind="io",
        seconds=0.005,
    )


def test_every_model_has_its_own_look() -> None:
    assert set(LOOKS) == set(MODELS)
    assert len(set(LOOKS.values())) == len(LOOKS)


def svg(file: Path, found: Measurement) -> str:
    save(models_chart(found), str(file))
    return file.read_text()


def test_an_svg_is_small_and_names_all_lines(tmp_path: Path) -> None:
    drawn = svg(tmp_path / "a.svg", everything())
    assert len(drawn) < 200_000
    assert all(f">{name}<" in drawn for name in (*MODELS, "uvloop_streams (await)"))


def test_an_svg_is_the_same_again(tmp_path: Path) -> None:
    one, other = (svg(tmp_path / name, measurement(sample("epoll"))) for name in ("a.svg", "b.svg"))
    assert one == other
    assert "dc:date" not in one


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([0.1, 0.9], [0.1, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.5, 0.5, 0.5], [0.4, 0.5, 0.6]),
        ([0.1, 0.5, 0.52], [0.1, 0.46, 0.56]),
        ([0.40, 0.42, 0.54], [0.3533, 0.4533, 0.5533]),  # pushed apart, the first two come upon the third
        ([0.0, 0.02, 0.99, 1.0], [0.0, 0.1, 0.9, 1.0]),  # they stay beside the chart
    ],
)
def test_labels_keep_their_distance_and_stay_near(wanted: list[float], places: list[float]) -> None:
    found = spread(wanted, 0.1)
    assert found == pytest.approx(places, abs=1e-3)
    assert all(b - a > 0.0999 for a, b in pairwise(found))
