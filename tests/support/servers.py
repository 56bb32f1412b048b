"""Real servers from Debian's packages between us and the vendor: on loopback, with files of their own only."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.certificates import Certificate

PATH = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
_PATIENCE_S = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def running(name: str, port: int, *arguments: str | Path) -> Iterator[None]:
    """Run a server until the block ends; skip the test where the program is not there."""
    program = shutil.which(name, path=PATH)
    if program is None:
        pytest.skip(f"{name} is not installed on this machine: .ci/run installs it from Debian's packages")
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            _await(server, port)
            yield
        finally:
            server.terminate()


def _await(server: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + _PATIENCE_S
    while server.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    server.kill()
    raise AssertionError(f"{server.args} does not listen: {server.communicate()[0]}")


@contextmanager
def nginx(folder: Path, made: Certificate, upstream: str, *, zone: str = "", rules: str = "") -> Iterator[str]:
    """Serve the vendor over TLS behind nginx; `zone` are lines of its http block, `rules` those of the location."""
    port = free_port()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"""{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{}}
        http {{ access_log off; {temporary} {zone}
        server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {made.path}; ssl_certificate_key {made.key};
        location / {{ proxy_pass {upstream}; proxy_set_header Host 127.0.0.1; {rules} }} }} }}"""
    )
    with running("nginx", port, "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"):
        yield f"https://127.0.0.1:{port}"


@contextmanager
def haproxy(
    folder: Path, made: Certificate, upstream: str, *, front: str = "", server: str = "", timeouts: str = ""
) -> Iterator[str]:
    """Serve the vendor over TLS behind haproxy; `front` are lines of its frontend, `server` words of its server."""
    port = free_port()
    (folder / "haproxy.cfg").write_text(
        f"""
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  {timeouts}
frontend ours
  bind 127.0.0.1:{port} ssl crt {made.both}
  {front}
  default_backend vendor
backend vendor
  server one {upstream.removeprefix("http://")} {server}
"""
    )
    with running("haproxy", port, "-db", "-f", folder / "haproxy.cfg"):
        yield f"https://127.0.0.1:{port}"


@contextmanager
def tinyproxy(folder: Path, *, rules: str) -> Iterator[str]:
    """Run tinyproxy as a proxy; `rules` are lines of its file."""
    port = free_port()
    (folder / "tinyproxy.conf").write_text(
        f'Port {port}\nListen 127.0.0.1\nTimeout 20\nMaxClients 20\nLogFile "{folder}/tinyproxy.log"\n{rules}\n'
    )
    with running("tinyproxy", port, "-d", "-c", folder / "tinyproxy.conf"):
        yield f"127.0.0.1:{port}"


@contextmanager
def squid(folder: Path, *, rules: str) -> Iterator[str]:
    """Run squid as a proxy that knows the user me with the password right; `rules` are lines of its file.

    What it logged is in `folder` afterwards. Started by root it runs as another user, who cannot enter the tests' own
    folders, so its files are elsewhere meanwhile.
    """
    port, user = free_port(), "proxy" if os.geteuid() == 0 else getpass.getuser()
    with tempfile.TemporaryDirectory() as own:
        shutil.chown(own, user)
        check = Path(own, "check.sh")
        check.touch(0o644)
        check.write_text('while read -r who; do [ "$who" = "me right" ] && echo OK || echo ERR; done\n')
        lines = f"""http_port 127.0.0.1:{port}
            cache_effective_user {user}
            pid_filename none
            cache_log {own}/cache.log
            access_log stdio:{own}/squid.log
            cache deny all
            coredump_dir none
            pinger_enable off
            max_filedescriptors 256
            shutdown_lifetime 0 seconds
            auth_param basic program /bin/sh {check}
            auth_param basic children 1
            acl known proxy_auth REQUIRED
            {rules}"""
        conf = Path(own, "squid.conf")
        conf.write_text("".join(f"{line.strip()}\n" for line in lines.splitlines()))  # an indented line would go on
        try:
            with running("squid", port, "-N", "-d", "1", "-n", f"ours{port}", "-f", conf):
                yield f"127.0.0.1:{port}"
        finally:
            if (log := Path(own, "squid.log")).exists():
                shutil.copy(log, folder)
