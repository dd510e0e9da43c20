"""One row for each reason why a request is refused, a connection closed, or an answer cut short.

Logs, metrics, error pages and `docs/security.md` all come from this table. A row's place is its counter's place on the
board, so new rows may stand anywhere, but a name is never used twice.
"""

from __future__ import annotations

from enum import Enum


class Source(Enum):
    """Who caused it."""

    CLIENT = "client"
    APPLICATION = "application"
    UPSTREAM = "upstream"
    SERVER = "server"


class Reason:
    """`name` for logs and metric labels; `status` to answer with (0: nothing can be answered); `text` for people."""

    __slots__ = ("index", "level", "name", "source", "status", "text")

    def __init__(self, index: int, name: str, status: int, source: Source, level: str, text: str) -> None:
        self.index = index
        self.name = name
        self.status = status
        self.source = source
        self.level = level
        self.text = text

    def __repr__(self) -> str:
        return f"<Reason {self.name} {self.status}>"


_C, _A, _U, _S = Source.CLIENT, Source.APPLICATION, Source.UPSTREAM, Source.SERVER
_ROWS: tuple[tuple[str, int, Source, str, str], ...] = (
    # -- the head of a request (RFC 9112 sections 2 to 5, RFC 9113 section 8)
    ("bad_request_line", 400, _C, "info", "The request line is malformed."),
    ("bad_field", 400, _C, "info", "A header field is malformed."),
    ("bad_host", 400, _C, "info", "The Host field is missing, repeated, or not a host."),
    ("bad_target", 400, _C, "info", "The request target is malformed."),
    ("bad_version", 505, _C, "info", "This HTTP version is not spoken here."),
    ("uri_too_long", 414, _C, "info", "The request target is too long."),
    ("head_too_large", 431, _C, "info", "The header fields are too large."),
    ("too_many_fields", 431, _C, "info", "There are too many header fields."),
    ("expectation_failed", 417, _C, "info", "Only the expectation 100-continue is known here."),
    ("bad_upgrade", 400, _C, "info", "The upgrade is malformed."),
    ("connect_refused", 405, _C, "info", "CONNECT is refused: this is not a forward proxy."),
    # -- the length of a message (RFC 9112 section 6)
    ("bad_content_length", 400, _C, "info", "Content-Length is not one decimal number."),
    ("two_framings", 400, _C, "notice", "Content-Length and Transfer-Encoding are both there."),
    ("bad_transfer_encoding", 400, _C, "notice", "Transfer-Encoding is not exactly one final chunked."),
    ("bad_chunk", 400, _C, "notice", "The chunked body is malformed."),
    ("bad_trailer", 400, _C, "info", "A trailer field is malformed or not allowed."),
    ("body_too_large", 413, _C, "info", "The body is too large."),
    ("body_cut", 0, _C, "info", "The connection ended inside the body."),
    ("length_mismatch", 400, _C, "info", "The body is longer or shorter than Content-Length says."),
    # -- the coding of a body (RFC 9110 section 8.4)
    ("unknown_coding", 415, _C, "info", "The body is in a content coding that is not known here."),
    ("bad_coding", 400, _C, "info", "The body is not what its content coding says."),
    ("body_bomb", 413, _C, "notice", "The body is far larger than what was sent of it."),
    # -- time
    ("head_timeout", 408, _C, "info", "The request head took too long."),
    ("body_timeout", 408, _C, "info", "The request body came too slowly."),
    ("idle_timeout", 0, _C, "debug", "The connection was idle for too long."),
    ("read_timeout", 0, _C, "info", "The client reads the answer too slowly."),
    ("handshake_timeout", 0, _C, "info", "The TLS handshake took too long."),
    ("unknown_server_name", 0, _C, "info", "The TLS client asks for no server that is known here."),
    ("bad_proxy_header", 0, _C, "notice", "The header of the PROXY protocol is missing, malformed, or too late."),
    ("tls_error", 0, _C, "info", "The TLS handshake failed, or a TLS record is malformed."),
    # -- HTTP/2 (RFC 9113)
    ("protocol_error", 0, _C, "info", "The HTTP/2 connection is out of order."),
    ("frame_size", 0, _C, "info", "An HTTP/2 frame has a wrong size."),
    ("compression_error", 0, _C, "info", "An HPACK field block cannot be decoded."),
    ("flow_control", 0, _C, "info", "More was sent than the HTTP/2 window allows."),
    ("stream_closed", 0, _C, "info", "A frame came for an HTTP/2 stream that is closed."),
    ("stream_error", 0, _C, "info", "An HTTP/2 stream is out of order."),
    ("flood", 0, _C, "notice", "Too many frames that cost the peer nothing."),
    ("too_many_streams", 0, _C, "info", "More streams at once than were agreed."),
    ("reset_by_peer", 0, _C, "debug", "The client reset the stream."),
    # -- routes and methods
    ("no_site", 421, _C, "info", "No site of this name is served here."),
    ("no_route", 404, _C, "debug", "There is nothing at this path."),
    ("not_found", 404, _C, "debug", "There is nothing at this path."),
    ("method_not_allowed", 405, _C, "info", "This method is not allowed here."),
    ("method_unknown", 501, _C, "info", "This method is not known here."),
    ("precondition_failed", 412, _C, "debug", "A precondition does not hold."),
    ("range_not_satisfiable", 416, _C, "debug", "The range lies outside of the content."),
    ("not_acceptable", 406, _C, "debug", "No variant is acceptable."),
    ("not_cached", 504, _C, "debug", "Only a stored answer is wanted (only-if-cached), and none can be used."),
    ("client_gone", 499, _C, "info", "The client went away before its answer was complete."),
    ("bad_websocket", 400, _C, "info", "The WebSocket handshake is malformed."),
    ("websocket_version", 426, _C, "info", "Only version 13 of WebSocket is spoken here."),
    ("firewall_denied", 403, _C, "info", "The firewall lets nobody in from this address."),
    ("banned", 403, _C, "info", "Too many refused requests came from this address; it is banned for a while."),
    ("address_connection_limit", 0, _C, "info", "Too many connections of this address are open."),
    ("address_connection_rate", 0, _C, "info", "Too many connections came from this address in too short a time."),
    ("connection_rate", 0, _C, "notice", "Too many connections came in too short a time."),
    ("admin_refused", 403, _C, "notice", "The admin listener does not hear this request."),
    ("purge_refused", 401, _C, "notice", "Only who has the token may purge."),
    ("rule_challenged", 403, _C, "info", "Only a browser that proves to be one comes in here."),
    ("rule_denied", 403, _C, "notice", "The request looks like an attack."),
    ("rate_limited", 429, _C, "info", "Too many requests came in too short a time."),
    ("concurrency_limited", 503, _S, "notice", "Too many requests are in flight."),
    ("websocket_refused", 403, _A, "debug", "The application refused the WebSocket."),
    ("bad_frame", 0, _C, "info", "A WebSocket frame is malformed."),
    # -- pages of other origins (fetch.spec.whatwg.org)
    ("origin_refused", 403, _C, "info", "Scripts of this origin may not read what is here."),
    ("cross_origin", 403, _C, "info", "A page of another origin has sent this request."),
    # -- who may come in
    ("certificate_wanted", 403, _C, "info", "A certificate of the client is asked for here."),
    ("password_wanted", 401, _C, "info", "A name and its password are asked for here."),
    ("passwords_busy", 503, _S, "warning", "Too many passwords are being checked."),
    # -- tokens (RFC 6750)
    ("token_wanted", 401, _C, "info", "A token is asked for here."),
    ("token_refused", 401, _C, "info", "The token is not accepted here."),
    ("token_insufficient", 403, _C, "info", "The token is a good one, but does not allow this."),
    ("no_token_keys", 503, _S, "error", "The keys that tokens are signed with cannot be had."),
    # -- applications
    ("application_raised", 500, _A, "error", "The application raised an exception."),
    ("application_silent", 500, _A, "error", "The application ended without an answer."),
    ("application_protocol", 500, _A, "error", "The application broke the ASGI or WSGI protocol."),
    ("application_length", 500, _A, "error", "The application's body does not match its Content-Length."),
    ("pki_busy", 503, _S, "warning", "Too many requests for certificates wait."),
    ("application_loading", 503, _A, "warning", "The application has not started."),
    ("queue_full", 503, _A, "warning", "The application has too much to do."),
    # -- handlers of streams
    ("handler_failed", 0, _A, "error", "The handler of the stream raised an exception."),
    ("message_too_long", 0, _C, "info", "A message of the stream is longer than message_limit."),
    ("no_message", 0, _C, "info", "A datagram holds no whole message."),
    # -- what an upstream sends to us as its client; the rows of lengths above say the rest
    ("bad_response", 502, _U, "warning", "The upstream's response is malformed."),
    ("unasked_response", 502, _U, "warning", "The upstream sent what nobody had asked for."),
    ("upstream_gone", 502, _U, "warning", "The upstream closed the connection before its response was complete."),
    ("application_gone", 502, _U, "warning", "The application's process ended before its response was complete."),
    ("upstream_reset", 502, _U, "warning", "The upstream reset the stream before its response was complete."),
    ("connect_failed", 502, _U, "warning", "The upstream refused the connection, or cannot be reached."),
    ("upstream_tls", 502, _U, "warning", "The TLS handshake with the upstream failed."),
    ("connect_timeout", 504, _U, "warning", "The upstream took too long to accept the connection."),
    ("answer_timeout", 504, _U, "warning", "The upstream took too long to answer."),
    ("silence_timeout", 504, _U, "warning", "The upstream was silent for too long within its answer."),
    ("upload_timeout", 504, _U, "warning", "The upstream took too long to read the request's body."),
    ("total_timeout", 504, _U, "warning", "The exchange with the upstream took too long in all."),
    ("no_peer", 503, _U, "warning", "No server of the upstream can be used."),
    ("upstream_broken", 503, _U, "warning", "The upstream fails so often that it is left alone for a while."),
    ("upstream_busy", 503, _U, "warning", "All servers of the upstream have too much to do."),
    # -- ourselves
    ("internal", 500, _S, "error", "Something went wrong in the server."),
    ("no_socket", 503, _S, "warning", "The server has no descriptor or port left for one more connection."),
    ("no_tunnel", 502, _S, "warning", "The upstream speaks HTTP/2, but takes no WebSockets in it."),
    ("request_timeout", 503, _S, "warning", "The exchange took too long."),
    ("shutting_down", 503, _S, "info", "The server is shutting down."),
    ("connection_limit", 503, _S, "warning", "There are too many connections."),
    ("file_changed", 0, _S, "warning", "A file became shorter while it was sent."),
    ("write_failed", 0, _S, "debug", "The connection broke while it was written to."),
)

REASONS: dict[str, Reason] = {row[0]: Reason(i, *row) for i, row in enumerate(_ROWS)}
assert len(REASONS) == len(_ROWS), "a name stands twice in the table of reasons"


def reason(name: str) -> Reason:
    """The row called `name`; a KeyError is a programming error and comes at import time."""
    return REASONS[name]
