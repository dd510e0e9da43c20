"""The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).

The code is canonical: codes of one length follow each other in the order of their symbols. So the lengths are all there
is to write down. Decoding walks the tree four bits at a time: no code is shorter than five, so a step yields one symbol at most.
"""

from __future__ import annotations

# fmt: off
LENGTHS = (
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
)
# fmt: on
"""Bits of each symbol's code; the last one is EOS, which no string may contain."""

EOS = 256
_NOTHING = -1
_Step = tuple[int, int]  # (where to go on: 16 * node, symbol or _NOTHING)


class HuffmanError(Exception):
    """Not a Huffman string: EOS within, or a bad padding."""


def _codes() -> list[int]:
    codes = [0] * len(LENGTHS)
    code = length = 0
    for wanted, symbol in sorted((bits, symbol) for symbol, bits in enumerate(LENGTHS)):
        code <<= wanted - length
        codes[symbol], length = code, wanted
        code += 1
    return codes


def _tree(codes: list[int]) -> list[list[int]]:
    """Nodes as [child on 0, child on 1]; a leaf is `~symbol`; 0 is a child not there yet: nothing leads back to the root."""
    nodes = [[0, 0]]
    for symbol, code in enumerate(codes):
        node = 0
        for shift in range(LENGTHS[symbol] - 1, 0, -1):
            bit = code >> shift & 1
            if not nodes[node][bit]:
                nodes[node][bit] = len(nodes)
                nodes.append([0, 0])
            node = nodes[node][bit]
        nodes[node][code & 1] = ~symbol
    return nodes


def _steps(nodes: list[list[int]]) -> list[_Step | None]:
    """For 16 * node + nibble, the step to take; None where it would be EOS."""
    steps: list[_Step | None] = []
    for start in range(len(nodes)):
        for nibble in range(16):
            node, symbol = start, _NOTHING
            for shift in (3, 2, 1, 0):
                node = nodes[node][nibble >> shift & 1]
                if node < 0:
                    node, symbol = 0, ~node
            steps.append(None if symbol == EOS else (16 * node, symbol))
    return steps


def _endings(nodes: list[list[int]]) -> frozenset[int]:
    """Where a string may end: in front of a symbol, or behind at most seven bits of EOS (section 5.2)."""
    node, found = 0, [0]
    for _ in range(7):
        node = nodes[node][1]
        found.append(16 * node)
    return frozenset(found)


_CODES = _codes()
_TREE = _tree(_CODES)
_STEPS = _steps(_TREE)
_ENDINGS = _endings(_TREE)


def decode(data: bytes) -> bytes:
    """The string that `data` stands for. Raises HuffmanError."""
    out = bytearray()
    put = out.append
    steps = _STEPS
    at = 0
    try:
        for byte in data:
            at, symbol = steps[at + (byte >> 4)]  # type: ignore[misc]  # None is EOS, and raises
            if symbol >= 0:
                put(symbol)
            at, symbol = steps[at + (byte & 15)]  # type: ignore[misc]
            if symbol >= 0:
                put(symbol)
    except TypeError:
        raise HuffmanError("EOS in a string") from None
    if at not in _ENDINGS:
        raise HuffmanError("padding is not the beginning of EOS")
    return bytes(out)
