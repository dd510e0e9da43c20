"""The program that runs one application in a process of its own, in whatever interpreter it has: Python 3.9 and later, with
nothing but the standard library.

The supervisor starts `boot.py`, says over a `process.channel.Channel` what is to be run (`spec.py`), and hands over links: Unix
sockets, each with an edge worker at its other end, which speaks `wire.link`.
"""
