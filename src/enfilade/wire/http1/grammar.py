"""The grammar of HTTP/1 messages (RFC 9112 sections 2 to 7), compiled."""

from __future__ import annotations

import re

from enfilade.http.grammar import TCHAR

_TEXT = rb"\t\x20-\x7e\x80-\xff"

# The target may hold any bytes but controls and blanks here: `http/uri.py` judges it.
match_request_line = re.compile(rb"([" + TCHAR + rb"]+) ([^\x00-\x20\x7f]+) HTTP/([0-9]\.[0-9])").fullmatch
# The blank before an empty phrase is often missing in the wild, and nobody reads it otherwise.
match_status_line = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9]{2})(?: [" + _TEXT + rb"]*)?").fullmatch
# Section 5.1: no blank before the colon; 5.2: no folded lines. Blanks around the value are for the reader to strip.
match_field_line = re.compile(rb"([" + TCHAR + rb"]+):([" + _TEXT + rb"]*)").fullmatch
match_field_text = re.compile(rb"[" + _TEXT + rb"]*").fullmatch
search_bare_lf = re.compile(rb"(?<!\r)\n").search

# Section 7.1.1, less the blanks that it allows around ";" and "=": smugglers use them, clients do not.
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[' + _TEXT + rb'])*"'
_EXTENSION = rb";[" + TCHAR + rb"]+(?:=(?:[" + TCHAR + rb"]+|" + _QUOTED + rb"))?"
match_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,15})((?:" + _EXTENSION + rb")*)\r\n").fullmatch

match_absolute = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL).fullmatch
# What a client may send as its target: origin-form or asterisk-form.
match_target = re.compile(rb"/[!-\"$-~]*|\*").fullmatch
