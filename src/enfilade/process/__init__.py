"""The processes: a supervisor that handles no traffic, and the workers that it forks.

`serve` (supervisor.py) is generic: it knows no configuration, only how to make a `Plan` (plan.py) of it. A worker is the `run`
of its crew, called in a forked child with its sockets, its column of the board and a `Control`.
"""
