"""What is said follows from the figures, and nothing is said that they do not show."""

from __future__ import annotations

from typing import Literal

import pytest
from tests.measure.figures import measurement, sample

from enfilade.measure.reading import reading
from enfilade.measure.samples import Measurement, Sample


def said(found: Measurement) -> str:
    return "\n".join(reading(found))


def test_what_was_measured_comes_first() -> None:
    first = reading(measurement(sample("epoll"), kind="io", seconds=0.005))[0]
    assert "after a wait of 5 ms" in first and "2 s each, over TCP" in first and "2 cores" in first


# -- winners


def test_who_answered_most_wins_with_each_number_of_clients() -> None:
    text = said(
        measurement(
            sample("thread", 1, 900), sample("epoll", 1, 500), sample("thread", 100, 300), sample("epoll", 100, 2000)
        )
    )
    assert "With 1 client, thread answered most: 900 requests a second, p99 2 ms; the least did epoll, 500." in text
    assert "With 100 clients, epoll answered most: 2,000 requests a second" in text


def test_rates_that_hardly_differ_are_the_same() -> None:
    text = said(measurement(sample("poll", rate=980), sample("epoll", rate=1000), sample("thread", rate=10)))
    assert (
        "epoll answered most: 1,000 requests a second, p99 2 ms; as good as that: poll; the least did thread, 10."
        in text
    )


def test_nothing_answered() -> None:
    text = said(measurement(sample("epoll", rate=0, served=0, errors={"refused": 3})))
    assert "answered" not in text.partition("\n")[2].replace("A request is answered", "")
    assert "errors" in text


# -- none


def test_the_winner_wins_by_processor_time_only_if_it_takes_the_least() -> None:
    cheap = sample("epoll", rate=2000, cpu_request=10e-6, cpu=0.9)
    dear = sample("thread", rate=1000, cpu_request=60e-6, cpu=1.0)
    text = said(measurement(cheap, dear))
    assert "wins: epoll 10 us a request, thread 60 us." in text


def test_a_winner_that_takes_more_processor_time_is_told_of_as_such() -> None:
    dear = sample("process_pool", rate=2000, cpu_request=60e-6, cpu=1.8)
    text = said(measurement(dear, sample("epoll", rate=1000, cpu_request=10e-6, cpu=0.5)))
    assert "wins:" not in text
    assert "process_pool with 60 us answered more: it kept 1.80 cores busy, epoll 0.50." in text


def test_processor_times_that_hardly_differ_prove_nothing() -> None:
    poll, epoll = sample("poll", rate=2000, cpu_request=11e-6), sample("epoll", rate=1990, cpu_request=10e-6)
    assert "processor time" not in said(measurement(poll, epoll))
    poll, epoll = sample("poll", rate=2000, cpu_request=10e-6), sample("epoll", rate=1990, cpu_request=11e-6)
    assert "processor time" not in said(measurement(poll, epoll))


def test_context_switches_are_compared_where_they_differ() -> None:
    threads = sample("thread", threads=101, switches=2.0)
    loop = sample("epoll", switches=0.1)
    assert "2.00 context switches a request (thread). One thread that waits for all of them (epoll)" in said(
        measurement(threads, loop)
    )
    assert "context switches" not in said(measurement(threads, sample("epoll", switches=0.9)))


def test_growth_leaves_out_who_did_not_serve_all() -> None:
    text = said(
        measurement(
            sample("epoll", 1, 100),
            sample("epoll", 100, 300),
            sample("thread", 1, 200),
            sample("thread", 100, 150),
            sample("single", 1, 100),
            sample("single", 100, 9000, served=1),
        )
    )
    assert "From 1 client to 100 clients, epoll went from 100 to 300 requests a second, thread from 200 to 150." in text


def test_memory_of_those_that_served_all() -> None:
    text = said(
        measurement(
            sample("epoll", memory=8_000_000),
            sample("fork", memory=90_000_000, processes=101, threads=101),
            sample("single", memory=1, served=1),
        )
    )
    assert "all 100 clients at once, epoll took 8 MB with 1 thread, fork 90 MB with 101 processes." in text


# -- io


def io(*samples: Sample) -> str:
    return said(measurement(*samples, kind="io", seconds=0.005))


def test_a_handler_that_blocks_the_only_thread_serves_one_at_a_time() -> None:
    text = io(sample("single", rate=196, served=1), sample("epoll", rate=198, p50=0.5))
    assert "single and epoll answered 196 to 198 a second with 100 clients, where 1 / 5 ms is 200" in text
    assert "For epoll that means: an event loop" in text and "longer than 500 ms" in text


def test_several_threads_that_are_as_slow_as_one_are_not_said_to_block_each_other() -> None:
    slow = sample("thread", rate=196, threads=101), sample("asyncio_streams", rate=196, awaited=True)
    assert "at a time" not in io(*slow)


def test_who_serves_fewer_than_it_has_threads_is_no_pool() -> None:
    assert "waits for" not in io(sample("asyncio_streams", rate=8000, served=50, awaited=True))


def test_with_one_client_there_is_nothing_to_say_about_waiting_at_the_same_time() -> None:
    text = io(sample("single", 1, rate=196), sample("thread", 1, rate=198))
    assert "at a time" not in text and "same time" not in text and "To serve all" not in text


def test_a_pool_waits_for_as_many_as_it_has_threads() -> None:
    text = io(sample("thread_pool", rate=1590, served=8, threads=9))
    assert "thread_pool waits for 8.0 requests at a time, 1,590 requests a second: it serves 8 clients" in text
    assert "thread_pool 8 of 100" in text


def test_threads_wait_at_the_same_time() -> None:
    text = io(sample("thread", rate=19_000, threads=101))
    assert (
        "wait at the same time: thread 19,000 requests a second with 100 clients, where 100 / 5 ms would be 20,000"
        in text
    )
    assert "processor" not in text


def test_where_the_processor_is_the_limit_that_is_said() -> None:
    assert "thread is not held up by waiting, but by the processor" in io(sample("thread", rate=7000, cpu=1.01))
    assert "processor" not in io(sample("thread", rate=7000, cpu=0.3))


def test_awaiting_is_compared_with_blocking_on_the_same_loop() -> None:
    text = io(sample("asyncio_streams", rate=200), sample("asyncio_streams", rate=15_000, awaited=True))
    assert "asyncio_streams answered 75 times as many requests where its handler awaits as where it blocks" in text
    assert "times as many" not in io(
        sample("asyncio_streams", rate=200), sample("asyncio_streams", rate=201, awaited=True)
    )


def test_clients_that_had_no_turn_yet_are_not_said_to_be_kept_out() -> None:
    text = io(
        sample("epoll", 1000, rate=200, served=400),
        sample("poll", 1000, rate=0, served=0),
        sample("single", 1000, rate=200, served=1),
    )
    assert "Not every client was served: single 1 of 1,000." in text
    assert "Not every client had its turn in 2 s: epoll and poll." in text


# -- cpu


def cpu(*samples: Sample, cores: int = 2) -> str:
    return said(measurement(*samples, kind="cpu", seconds=0.001, cores=cores))


def test_processes_compute_on_several_cores_and_threads_do_not() -> None:
    text = cpu(
        sample("fork", rate=1800, processes=101, threads=101, cpu=1.9),
        sample("thread", rate=940, threads=101, cpu=1.0),
        sample("epoll", rate=950, cpu=0.98),
    )
    assert "fork answered 1,800 requests a second and kept 1.90 cores busy; one core can do 1 / 1 ms = 1,000." in text
    assert "Threads do not compute faster than one: thread answered 940 requests a second" in text
    assert "One thread is one core: epoll answered 950" in text


def test_processes_that_are_no_faster_are_not_said_to_be() -> None:
    assert "several cores" not in cpu(sample("fork", rate=1000, processes=101, threads=101, cpu=1.0))


def test_threads_that_had_nothing_to_do_at_the_same_time_prove_nothing() -> None:
    assert "Threads" not in cpu(sample("thread_pool", 1, rate=900, threads=9))
    assert "Threads" not in cpu(sample("thread", rate=0, served=0, threads=101, errors={"reset": 9}))


def test_threads_that_are_faster_are_not_said_not_to_be() -> None:
    assert "Threads do not compute faster" not in cpu(sample("thread", rate=1900, threads=101, cpu=1.9))


def test_one_core_is_no_place_to_compare() -> None:
    assert "There is one core only" in cpu(sample("fork", rate=900, processes=101), cores=1)


# -- doubts


@pytest.mark.parametrize("kind", ["none", "io", "cpu"])
@pytest.mark.parametrize(
    "samples",
    [
        [sample("epoll")],
        [sample("epoll", 1)],
        [sample("epoll", rate=0, served=0, p50=0.0, p99=0.0, errors={"refused": 300})],
        [sample(name, 1, 0, served=0, memory=0, threads=0, processes=0) for name in ("epoll", "fork")],
        [Sample(model=name, clients=100, problem="no memory") for name in ("epoll", "fork")],
        [sample("epoll", 1), Sample(model="epoll", clients=100, problem="no memory")],
    ],
)
def test_nobody_is_compared_with_nothing(kind: Literal["none", "io", "cpu"], samples: list[Sample]) -> None:
    first, *rest = reading(measurement(*samples, kind=kind, seconds=0.005))
    compared = "as good as", "the least did", "wins", "one core can", "took", "waits for", "Threads", "From"
    assert first and not [text for text in rest if any(words in text for words in compared)]


def test_clients_that_were_slow_themselves_are_named() -> None:
    assert "kept 0.97 cores busy with epoll (100 clients)" in said(measurement(sample("epoll", load_cpu=0.97)))
    assert "clients themselves" not in said(measurement(sample("epoll", load_cpu=0.5)))


def test_errors_are_named() -> None:
    found = measurement(sample("epoll", errors={"reset": 2}), sample("fork", rate=0, problem="no memory"))
    assert "errors, so these figures mean less: epoll (100 clients)" in said(found)
    assert "Not measured: fork (100 clients)" in said(found)
