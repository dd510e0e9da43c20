"""`enfilade doctor`: what a server does with what strangers send, seen from outside.

A `Probe` is a row of a table: what it sends (`look`), and a pure verdict on what came back (`judge`). The runner makes them, with
plain sockets: our own engines refuse to make most of what has to be sent here.
"""
