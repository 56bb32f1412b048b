"""``make audit``: ask pip-audit about the environment; a package that it could not look up is not one without a fault.

pip-audit ends with 0 and "No known vulnerabilities found" if it found no package at all in its database, as behind a
mirror that has none. Here that is exit code 2, and says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def verdict(dependencies: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code and the lines to print: 0 all are known to be sound, 1 a vulnerability, 2 not known."""
    found = [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or 'none'}"
        for package in dependencies
        for fault in package.get("vulns", ())
    ]
    unknown = [p["name"] for p in dependencies if "skip_reason" in p and p["name"] != "customer-toolkit"]
    lines = [*found]
    if unknown or not dependencies:
        lines.append(
            f"The database of vulnerabilities knows nothing about {len(unknown)} of {len(dependencies)} packages"
            f"{': ' + ', '.join(unknown[:5]) if unknown else ''}. They were not audited: run 'make audit' where it can "
            "be reached."
        )
    code = 1 if found else 2 if unknown or not dependencies else 0
    return code, lines or [f"No known vulnerability in {len(dependencies)} packages."]


def main(pip_audit: str, packages: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        form = ["--format", "json", "--output", str(report), "--progress-spinner", "off"]
        command = [pip_audit, "--path", packages, *form]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.is_file():  # it exits with 1 for a vulnerability and for a network that is not there
            why = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"The database of vulnerabilities cannot be reached, and nothing was audited: {why[:300]}")
            return 2
        code, lines = verdict(json.loads(report.read_text(encoding="utf-8"))["dependencies"])
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
