"""`make fuzz MINUTES=10`: the engines' properties on random conversations, in turns, until the time is up or one fails.

What fails is kept where pytest finds it again: run the test that is named, and it shows the shortest such conversation.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from tests.fuzz import test_engines
from tests.wire.hpack import test_decoder, test_encoder, test_huffman
from tests.wire.http1 import test_oracles
from tests.wire.http2 import test_memory, test_states
from tests.wire.link import test_fuzz

TURN = 5.0
"""Seconds for one property before the next one has its turn."""
SIZES = (64, 256, 1024, 8192)
"""Bytes of chance that one example is made of."""


def properties() -> list[Callable[..., None]]:
    """Every test that hypothesis drives, engines against oracles first."""
    modules = (
        test_oracles,
        test_engines,
        test_memory,
        test_states,
        test_fuzz,
        test_decoder,
        test_encoder,
        test_huffman,
    )
    found = [value for module in modules for value in vars(module).values() if hasattr(value, "hypothesis")]
    return list(dict.fromkeys(found))


def run(prop: Callable[..., None], until: float) -> int:
    """How many examples there was time for."""
    fuzz = prop.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    count = 0
    while time.monotonic() < until:
        count += fuzz(random.randbytes(random.choice(SIZES))) is not None
    return count


def main(minutes: float) -> int:
    began = time.monotonic()
    end = began + 60 * minutes
    total = 0
    while time.monotonic() < end:
        for prop in properties():
            name = f"{prop.__module__}.{prop.__name__}"
            try:
                total += run(prop, min(end, time.monotonic() + TURN))
            except Exception as e:
                print(f"\n{name} failed: {e!r}\nRun `pytest {prop.__module__.replace('.', '/')}.py` to see it shrunk.")
                return 1
            print(f"{time.monotonic() - began:6.0f} s  {total:9} examples  {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
