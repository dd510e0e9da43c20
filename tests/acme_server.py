"""A real authority for tests: pebble, which validates by connecting, with a name server that leads every name here."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from tests.certificates import self_signed
from tests.ports import HOST, free_ports

START = 20.0


class AcmeServer:
    """`directory` is its URL; `authority` the file that vouches for its HTTPS; `http_port`, `tls_port`: where it connects to when
    it validates; `names`: where its name server is told records."""

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None, external: Mapping[str, str] | None = None,
                 http_port: int = 0, tls_port: int = 0, dns: str = "",
                 options: Mapping[str, object] | None = None) -> None:  # fmt: skip
        ports = free_ports(6)
        self.http_port, self.tls_port = http_port or ports[0], tls_port or ports[1]
        self._port, self._management, self._dns, names = ports[2:]
        self.names = f"http://{HOST}:{names}"
        self.directory = f"https://{HOST}:{self._port}/dir"
        self.authority = folder / "authority.pem"
        own = self_signed([HOST, "localhost"])
        self.authority.write_bytes(own.chain)
        (folder / "authority.key").write_bytes(own.key)
        config = {
            "listenAddress": f"{HOST}:{self._port}", "managementListenAddress": f"{HOST}:{self._management}",
            "certificate": str(self.authority), "privateKey": str(folder / "authority.key"),
            "httpPort": self.http_port, "tlsPort": self.tls_port, "ocspResponderURL": "",
            "externalAccountBindingRequired": external is not None, "externalAccountMACKeys": external or {}, **(options or {}),
        }  # fmt: skip
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self._environ = {
            **os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0", **(environ or {}),
        }  # fmt: skip
        self._log = (folder / "pebble.log").open("wb")
        self._running = [
            self._run("pebble-challtestsrv", "-defaultIPv6", "", "-dns01", f"{HOST}:{self._dns}", "-http01", "", "-https01", "",
                      "-tlsalpn01", "", "-management", f"{HOST}:{names}"),
            self._run("pebble", "-config", str(folder / "pebble.json"), "-dnsserver", dns or f"{HOST}:{self._dns}"),
        ]  # fmt: skip
        for port in (self._port, self._management, self._dns):
            self._wait(port)

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = shutil.which(name)
        assert program is not None, f"missing: {name}. On Debian: apt-get install pebble"
        return subprocess.Popen([program, *arguments], env=self._environ, stdout=self._log, stderr=self._log)

    def _wait(self, port: int) -> None:
        until = time.monotonic() + START
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < until and all(p.poll() is None for p in self._running), (
                    "pebble does not start"
                )
                time.sleep(0.02)

    def trust(self) -> ssl.SSLContext:
        """What a client has that trusts what is issued here."""
        own = ssl.create_default_context(cafile=str(self.authority))
        with urlopen(f"https://{HOST}:{self._management}/roots/0", context=own) as found:
            return ssl.create_default_context(cadata=found.read().decode())

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()
        self._log.close()


@contextmanager
def acme_server(folder: Path, **how: object) -> Iterator[AcmeServer]:
    folder.mkdir(exist_ok=True)
    server = AcmeServer(folder, **how)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.stop()
