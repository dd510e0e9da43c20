"""A page that has a browser work for a moment before it goes on: cheap for one visitor, dear for who asks thousands of times.

Nothing is kept on the server. The page names a seal, which only we can make; its script looks for a number that, behind the seal,
has a SHA-256 that begins with BITS zeros, and keeps both in a cookie.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.addresses import subscriber
from enfilade.http.cookies import cookie_reader
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

RULE_CHALLENGED = reason("rule_challenged")
COOKIE = "enfilade-proof"
BITS = 16
"""65,536 tries on average: a fraction of a second."""
LIFETIME = 3600
"""Seconds that a proof is good for."""
_NONCE = 10
"""Digits of the longest number that is looked at."""

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }
h1 { font-size: 1.4rem; font-weight: 600; margin: 0 }
"""
# SHA-256 in full (FIPS 180-4): browsers have their own only over TLS. One block is enough, and of the digest its first word.
_SCRIPT = """
"use strict";
const { seal, expiry, bits, cookie, lifetime } = document.documentElement.dataset;
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const rotate = (x, n) => (x >>> n) | (x << (32 - n));
const start = [], constants = [];
for (let n = 2; constants.length < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) prime &&= n % d !== 0;
  if (!prime) continue;
  if (start.length < 8) start.push(fraction(Math.sqrt(n)));
  constants.push(fraction(Math.cbrt(n)));
}
function firstWord(text) {
  const w = new Int32Array(64), end = text.length;
  for (let i = 0; i < end; i++) w[i >> 2] |= text.charCodeAt(i) << (24 - 8 * (i & 3));
  w[end >> 2] |= 0x80 << (24 - 8 * (end & 3));
  w[15] = end * 8;
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15], y = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)) + (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = start;
  for (let i = 0; i < 64; i++) {
    const s = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
    const t = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + s) | 0, c, b, a, (s + t) | 0];
  }
  return (a + start[0]) >>> 0;
}
function look(nonce) {
  for (const end = nonce + 2000; nonce < end; nonce++) {
    if (firstWord(`${seal}.${nonce}`) >>> (32 - bits) === 0) {
      const proof = `${cookie}=${expiry}.${seal}.${nonce}`;
      const secure = location.protocol === "https:" ? "; secure" : "";
      document.cookie = `${proof}; path=/; max-age=${lifetime}; samesite=lax${secure}`;
      if (document.cookie.includes(proof)) location.reload();
      else document.getElementById("text").textContent = "This page needs cookies.";
      return;
    }
  }
  setTimeout(look, 0, nonce);
}
look(0);
"""
_PAGE = """<!doctype html>
<html lang="en" data-seal="{seal}" data-expiry="{expiry}" data-bits="{bits}" data-cookie="{cookie}" data-lifetime="{lifetime}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>One moment</title>
<style>{style}</style>
<h1>One moment</h1>
<p id="text">Your browser is working something out. The page follows by itself.</p>
<noscript><p>This page needs JavaScript.</p></noscript>
<script>{script}</script>
</html>
"""


def _source(text: str) -> str:
    """How Content-Security-Policy names what may stand in a page (CSP Level 3, section 2.3.1)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; frame-ancestors 'none'"
_FIELDS = Fields(
    [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", _POLICY.encode()),
        (b"referrer-policy", b"same-origin"),
    ]
)


class Challenge:
    """`secret`: of all workers, known to nobody else. `clock`: seconds since 1970."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._read = cookie_reader(COOKIE)

    def is_met(self, x: Exchange) -> bool:
        """Whether the request has a proof, for its address and host, that is still good."""
        expiry, _, rest = (self._read(x.request.fields) or b"").decode("latin-1").partition(".")
        seal, _, nonce = rest.partition(".")
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= _NONCE and 0 < len(nonce) <= _NONCE):
            return False
        if int(expiry) < self._clock() or not hmac.compare_digest(seal.encode(), self._seal(x, expiry).encode()):
            return False
        return int.from_bytes(sha256(f"{seal}.{nonce}".encode("latin-1")).digest()[:4], "big") >> (32 - BITS) == 0

    def answer(self, x: Exchange) -> Response:
        """The page, for browsers that ask for one; a refusal for whatever cannot show it."""
        request = x.request
        accept, mode = request.fields.values((b"accept", b"sec-fetch-mode"))
        shows = b"text/html" in (accept or b"") and mode in (None, b"navigate")
        if request.method != "GET" or request.protocol is not None or not shows:
            return error_response(RULE_CHALLENGED, x)
        expiry = str(int(self._clock()) + LIFETIME)
        page = _PAGE.format(
            seal=self._seal(x, expiry),
            expiry=expiry,
            bits=BITS,
            cookie=COOKIE,
            lifetime=LIFETIME,
            style=_STYLE,
            script=_SCRIPT,
        )
        return Response(RULE_CHALLENGED.status, _FIELDS, page.encode(), RULE_CHALLENGED)

    def _seal(self, x: Exchange, expiry: str) -> str:
        said = f"{expiry} {subscriber(x.ends.client_ip)} {x.request.host}"
        return hmac.new(self._secret, said.encode(), sha256).hexdigest()[:32]
