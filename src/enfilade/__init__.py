"""Enfilade: every tier of a client-server system, from the socket to the application, in readable Python."""

__version__ = "0.1.0"
