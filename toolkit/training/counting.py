"""What is counted of quotes and sales, in SQL that every engine runs: each quote as of its date, then what is wrong.

It needs the tables ``quotes``, ``sales`` and ``merchants`` and one of versions, with the columns that `staging` gives
them. The statements stay within subqueries, plain joins, windows and CASE.

A quote belongs to the version that was current at its moment: ``since <= moment < ends``. The first version of a
customer also takes the quotes before it, and the last one those without a moment. So each quote of a known customer
meets exactly one version, and the states of all quotes add up. Of two versions of one moment the second counts.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from toolkit.engine import Session, to_frame
from toolkit.model import FEATURES

LISTED = 100_000
"""The most customers, or merchants, that are listed of each finding; all of them are counted."""

_FEATURES = [f"feature_{n}" for n in range(len(FEATURES))]
_LACKS = [f"lacks_{n}" for n in range(len(FEATURES))]
_ANY = f"({' + '.join(_LACKS)})"
# Of equal moments the order is that of the cells, so that the same one counts each time.
_EACH = "PARTITION BY id ORDER BY moment, " + ", ".join(f"coalesce({c}, '')" for c in (*_FEATURES, "price_list"))
_EMPTY = ", ".join(f"CASE WHEN trim({c}) <> '' THEN 0 ELSE 1 END AS lacks_{n}" for n, c in enumerate(_FEATURES))
_TIMELINE = f"""
    SELECT v.*, min(since) OVER (PARTITION BY id) AS first_since,
           max(CASE WHEN ends IS NULL AND {_ANY} = 0 THEN 1 ELSE 0 END) OVER (PARTITION BY id) AS filled_now
    FROM (SELECT id, moment AS since, price_list, feature_0 AS category, {_EMPTY},
                 lag(moment) OVER ({_EACH}) AS earlier, lead(moment) OVER ({_EACH}) AS ends
          FROM {{}} WHERE id IS NOT NULL AND moment IS NOT NULL) AS v"""
_JUDGED = f"""
    (SELECT q.id, q.moment, q.value, q.price_list, t.price_list AS its_price_list, t.category, {", ".join(_LACKS)},
            CAST(extract(year FROM q.moment) * 12 + extract(month FROM q.moment) - 1 AS INTEGER) AS month,
            CASE WHEN q.id IS NULL OR q.moment IS NULL THEN 'unusable' WHEN t.id IS NULL THEN 'missing'
                 WHEN q.moment < t.since THEN 'early' WHEN {_ANY} = 0 THEN 'ready'
                 WHEN filled_now = 1 THEN 'late' ELSE 'incomplete' END AS state,
            CASE WHEN q.moment >= t.since AND q.price_list <> t.price_list THEN 1 ELSE 0 END AS differs
     FROM quotes q LEFT JOIN timeline t ON t.id = q.id
     WHERE t.id IS NULL OR (q.moment IS NULL AND t.ends IS NULL)
        OR ((t.earlier IS NULL OR t.since <= q.moment) AND (t.ends IS NULL OR q.moment < t.ends))) AS judged"""
_CELLS = f"month, category, state, {', '.join(_LACKS)}"
_WHEN = "min(moment) AS first_at, max(moment) AS last_at"
_QUOTED = f"""
    SELECT id, state, differs, count(*) AS quotes, 0 AS sales, sum(value) AS value, {_WHEN}
    FROM {_JUDGED} GROUP BY id, state, differs"""
_COUNTED = "id, quotes, sales, value, first_at, last_at"
_OF_NEWEST = """
    SELECT '{}' AS finding, t.id, coalesce(q.quotes, 0) AS quotes, 0 AS sales, value, first_at, last_at
    FROM timeline t LEFT JOIN quoted q ON q.id = t.id WHERE t.ends IS NULL AND {}"""
_FINDINGS = f"""
    SELECT state AS finding, {_COUNTED} FROM quoted WHERE state NOT IN ('ready', 'unusable')
    UNION ALL SELECT 'price_list' AS finding, {_COUNTED} FROM quoted WHERE differs = 1
    UNION ALL {_OF_NEWEST.format("never", "q.id IS NULL")}
    UNION ALL {_OF_NEWEST.format("stale", "t.since < CAST('{stale}' AS TIMESTAMP)")}
    UNION ALL SELECT 'missing' AS finding, id, 0 AS quotes, count(*) AS sales, sum(value) AS value, {_WHEN}
    FROM (SELECT s.* FROM sales s LEFT JOIN timeline t ON t.id = s.id WHERE t.id IS NULL) AS lost
    WHERE id IS NOT NULL GROUP BY id"""
_OF_MERCHANTS = f"""
    UNION ALL SELECT 'merchant' AS finding, merchant AS id, count(*) AS quotes, 0 AS sales, sum(value) AS value, {_WHEN}
    FROM (SELECT q.* FROM quotes q LEFT JOIN merchants m ON m.id = q.merchant WHERE m.id IS NULL) AS lost
    WHERE merchant IS NOT NULL GROUP BY merchant"""
_FOLDED = "trim(LEADING '0' FROM lower(trim({})))"
_SUMS = ", ".join(f"CAST(sum({n}) AS BIGINT) AS {n}" for n in ("quotes", "sales")) + ", sum(value) AS value"
_FOUND = f"""
    SELECT f.*, CASE WHEN f.finding = 'early' THEN t.first_since ELSE t.since END AS version_at, n.near
    FROM (SELECT finding, id, {_SUMS}, min(first_at) AS first_at, max(last_at) AS last_at
          FROM ({{}}) AS every GROUP BY finding, id) AS f
    LEFT JOIN timeline t ON t.ends IS NULL AND t.id = CASE WHEN f.finding <> 'merchant' THEN f.id END
    LEFT JOIN (SELECT {_FOLDED.format("id")} AS folded, min(id) AS near FROM timeline
               GROUP BY {_FOLDED.format("id")}) AS n
        ON n.folded <> '' AND n.folded = CASE WHEN f.finding = 'missing' THEN {_FOLDED.format("f.id")} END"""
_MOMENTS = ("first_at", "last_at", "version_at")
_NAMED = "CASE WHEN near IS NULL THEN finding ELSE 'rewritten' END"


def count(session: Session, versions: str, *, stale: pd.Timestamp, merchants: bool) -> dict[str, Any]:
    """Count what the quotes and sales of the session say of the customers in the table `versions`.

    Parameters
    ----------
    stale
        A customer whose newest version is older is stale.
    merchants
        Whether there is a table of merchants.

    Returns
    -------
    dict
        Fields of `Readiness`.
    """
    every = _FINDINGS.replace("{stale}", str(stale.tz_localize(None))) + _OF_MERCHANTS * merchants
    tables = {"timeline": _TIMELINE.format(versions), "quoted": _QUOTED, "found": _FOUND.format(every)}
    for name, select in tables.items():
        session.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}")
    cells = session.table(f"SELECT {_CELLS}, count(*) AS quotes FROM {_JUDGED} GROUP BY {_CELLS}")
    price_lists = session.table(f"""
        SELECT its_price_list, price_list, count(*) AS quotes, count(DISTINCT id) AS customers FROM {_JUDGED}
        WHERE differs = 1 GROUP BY its_price_list, price_list ORDER BY quotes DESC, its_price_list, price_list""")
    totals = session.table(f"SELECT {_NAMED} AS finding, count(*) AS ids, {_SUMS} FROM found GROUP BY {_NAMED}")
    findings = session.table(f"""
        SELECT named AS finding, {_COUNTED}, version_at, near FROM (
            SELECT f.*, {_NAMED} AS named,
                   row_number() OVER (PARTITION BY {_NAMED} ORDER BY quotes DESC, sales DESC, id) AS place
            FROM found f) AS numbered WHERE place <= {LISTED} ORDER BY named, place""")
    return {
        "cells": to_frame(cells.rename_columns(["month", "category", "state", *FEATURES, "quotes"])),
        "findings": to_frame(findings).assign(**{c: lambda f, c=c: f[c].dt.tz_localize("UTC") for c in _MOMENTS}),
        "totals": to_frame(totals),
        "price_lists": to_frame(price_lists),
        "n_customers": session.scalar("SELECT count(*) FROM timeline WHERE ends IS NULL"),
        "n_versions": session.scalar("SELECT count(*) FROM timeline"),
        "n_sales": session.scalar("SELECT count(*) FROM sales"),
    }


def after_push(operation: str) -> str:
    """Return the SQL for the versions once the table ``planned`` was sent: an UPSERT replaces a version."""
    columns = ", ".join(f"a.{c}" for c in ("id", "moment", "price_list", *_FEATURES))
    new, old = ("planned", "versions") if operation == "UPSERT" else ("versions", "planned")
    return f"""SELECT {columns} FROM {new} a UNION ALL
        SELECT {columns} FROM {old} a LEFT JOIN {new} b ON b.id = a.id AND b.moment = a.moment WHERE b.id IS NULL"""
