"""HTTP/1.1 and HTTP/1.0 on the wire (RFC 9112), sans-IO, for both roles.

In the order in which bytes meet them:

- `limits.py`      how large, how many, how long; each default with its precedent
- `grammar.py`     the patterns of heads and chunks
- `head.py`        pure functions from the bytes of a head to what it means, or to the reason why it is refused
- `reader.py`      bodies from the wire: counted, chunked, until close
- `writer.py`      heads and bodies to the wire, and what is remembered of them
- `states.py`      the rules: which state follows on what, as tables; `docs/states/http1.md` is made from them
- `connection.py`  what both roles share; `server.py` and `client.py`: the roles

Strict where leniency lets two readers differ: lines end with CRLF, nothing is folded, one framing or none.
A peer that breaks these rules is answered once and then not listened to any more.
"""
