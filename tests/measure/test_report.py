"""Tables for the terminal and for pages."""

from __future__ import annotations

import pytest
from tests.measure.figures import measurement, sample

from enfilade.measure import report
from enfilade.measure.table import count, markdown, number, paragraphs, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.04217, "0.0422"),
        (1, "1"),
        (12.345, "12.3"),
        (99.99, "100"),
        (123.4, "123"),
        (12_345.6, "12,300"),
        (999_999, "1,000,000"),
    ],
)
def test_numbers_have_three_digits_that_mean_something(value: float, shown: str) -> None:
    assert number(value) == shown


def test_columns_are_as_wide_as_they_must_be() -> None:
    assert list(text(["model", "n"], [["epoll", "1,000"], ["x", "2"]])) == [
        "  model      n",
        "  epoll  1,000",
        "  x          2",
    ]


def test_tables_for_pages() -> None:
    assert list(markdown(["model", "n"], [["epoll", "1"]])) == ["| model | n |", "| --- | ---: |", "| epoll | 1 |"]


def test_there_is_a_table_for_each_number_of_clients() -> None:
    found = measurement(sample("epoll", 1, 500), sample("epoll", 1000, 300, served=7))
    shown = "\n".join(report.lines(found))
    assert "\n1 client\n" in shown and "\n1,000 clients\n" in shown
    assert "7/1000" in shown and "answered most" in shown


def test_what_went_wrong_stands_below_its_table() -> None:
    found = measurement(
        sample("epoll", errors={"broken_pipe": 2}, sent_again=3, late=1), sample("fork", problem="no memory")
    )
    assert list(report.troubles(found, 100)) == [
        "epoll: 2 broken pipe, 3 datagrams sent again, 1 late answers",
        "fork was not measured: no memory",
    ]


def test_without_proc_the_columns_of_it_are_empty() -> None:
    (row,) = list(report.page(measurement(sample("epoll", processes=0, threads=0, memory=0)), 100))[2:]
    assert row.endswith("| - | - | - | - | - | - |")


def test_one_is_no_many() -> None:
    assert [count(1, "client"), count(0, "client"), count(1000, "process")] == [
        "1 client",
        "0 clients",
        "1,000 processes",
    ]


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("200", 110)])
def test_paragraphs_are_as_wide_as_the_terminal_and_no_wider_than_can_be_read(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert [len(line) for line in "".join(paragraphs(["x " * 300])).splitlines()[1:3]] == [width - 1, width - 1]
