"""The reverse proxy: what is asked of a peer in place of a client's request, and what the client is told in place of its answer.

Both are written anew: a head is never relayed as it was received (RFC 9110 section 7.6).
"""
