"""Servers to try notebook 60 with, on this machine alone. Yours run already: you need their addresses only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


class Servers:
    """A PostgreSQL and a Sail, in a temporary folder that ends with them; PostgreSQL does not run as root."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="servers-"))
        self.user = "postgres" if os.getuid() == 0 else None
        self.quiet = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.started: list[subprocess.Popen[bytes]] = []
        shutil.chown(self.folder, self.user or os.getuid())

    def postgresql(self) -> str:
        """Start Debian's PostgreSQL (`apt-get install postgresql`) on a socket in the folder; return its address."""
        programs = max(
            Path("/usr/lib/postgresql").glob("*/bin"), default=Path("install postgresql, then run this again")
        )
        setup = [programs / "initdb", "-D", "data", "-A", "trust", "-N", "-E", "UTF8", "-U", "analyst"]
        subprocess.run(setup, check=True, user=self.user, **self.quiet)
        server = [programs / "postgres", "-D", "data", "-k", self.folder, "-h", "", "-F"]
        self.started.append(subprocess.Popen(server, user=self.user, **self.quiet))
        while subprocess.run([programs / "pg_isready", "-q", "-h", self.folder], check=False).returncode:
            time.sleep(0.1)
        return f"postgresql://analyst@/postgres?host={self.folder}"

    def load(self, address: str, table: str, rows: pd.DataFrame) -> None:
        """Create a table of PostgreSQL: columns whose names end with `_at` are times with a zone, all others text."""
        rows.to_csv(file := self.folder / "rows.csv", index=False)
        columns = ", ".join(f"{c} {'timestamptz' if c.endswith('_at') else 'text'}" for c in rows)
        schema = f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}"
        steps = [
            "SET client_min_messages TO warning",
            schema,
            f"CREATE TABLE {table} ({columns})",
            rf"\copy {table} FROM '{file}' CSV HEADER",
        ]
        subprocess.run(["psql", "-q", address, *(word for step in steps for word in ("-c", step))], check=True)

    def ask(self, address: str, query: str) -> str:
        """Return what PostgreSQL answers to a query, as text."""
        return subprocess.check_output(["psql", "-Atc", query, address], text=True)

    def sail(self) -> str:
        """Start Sail (`pip install pysail`), which answers as a Spark cluster would; return its address."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "pysail", "spark", "server", "--port", str(port)]
        self.started.append(subprocess.Popen(command, env={**os.environ, "RUST_LOG": "error"}, **self.quiet))
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.1)
        return f"sc://127.0.0.1:{port}"

    def stop(self) -> None:
        """End the servers now, and remove the folder."""
        for server in self.started:
            server.send_signal(signal.SIGINT)  # PostgreSQL waits for no client then
            server.wait()
        shutil.rmtree(self.folder)
