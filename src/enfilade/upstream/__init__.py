"""Upstreams: groups of peers that answer for us, elsewhere or started by ourselves. Who of them gets which request, and what
is made of those that do not answer. Nothing here does I/O or asks for the time: connections are `Channel`s, `now` is passed in.
"""
