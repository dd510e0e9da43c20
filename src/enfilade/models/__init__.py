"""The concurrency models: a socket, a handler, and how to serve many clients at once.

`table.py` says which there are; each is one short file, named like it. What they have in common is `server.py` (what is
served, to whom, within which limits), `conversation.py` (bytes in, bytes out), and a way to wait: `blocking.py` for those that
give each client somebody who waits for it, `readiness.py` for those that wait for all clients at once by a system call, and
asyncio for the rest.
"""
