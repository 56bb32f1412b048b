"""The pictures of the README and the guide, made by `make screenshots`: results on the shipped deliveries.

Each is the top of a page that `to_html` wrote, in a real browser. The rows go to a sandbox that refuses two of
them, and nothing leaves the machine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import toolkit as tk
from toolkit.display import Result

ROOT = Path(__file__).parent.parent
DELIVERIES = ("2026-09-01_customers.csv", "2026-10-01_customers.xlsx")
CLOSED = "PL-ENT-004"
REASON = f"customer_price_list_id {CLOSED} is closed"
WIDTH, HEIGHT = 1000, 860
MAX_BYTES = 250_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def results() -> dict[str, Result]:
    """Return the results that are pictured, by the name of their picture."""
    with tk.Sandbox() as sandbox:
        tk.use(sandbox)
        ledger = tk.Ledger.of()
        files = [ROOT / "data" / name for name in DELIVERIES]
        first, second = (tk.read_customers(file, mapping=file.with_suffix(".toml")) for file in files)
        report = tk.validate(tk.correct(first))
        refused = set(report.good.query("customer_price_list_id == @CLOSED")["customer_id"].head(2))
        sandbox.vendor.refuse = lambda row: REASON if row["customer_id"] in refused else None
        pushed = tk.push(tk.plan_push(tk.diff(ledger.snapshot(), report)), reason="September", progress=False)
        sandbox.vendor.refuse = None
        tk.push(tk.repush(pushed, reason="the list is open again"), progress=False)
        later = tk.validate(tk.correct(second), before=ledger.snapshot())
        changes = tk.diff(ledger.snapshot(), later)
        return {"validation": report, "diff": changes, "plan": tk.plan_push(changes), "push": pushed}


def main(folder: Path) -> None:
    """Write the pictures to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        for name, result in results().items():
            page.goto(result.to_html(Path(place, f"{name}.html")).as_uri())
            picture = folder / f"{name}.png"
            content = page.locator("main").bounding_box() or {"height": HEIGHT}
            height = min(content["height"], HEIGHT)
            page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
            if picture.stat().st_size > MAX_BYTES:
                raise SystemExit(f"{picture} has {picture.stat().st_size:,} bytes, more than {MAX_BYTES:,}.")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
