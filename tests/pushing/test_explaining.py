"""The catalogue of the vendor's codes, and what an interrupted push says."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.place import Place
from toolkit.errors import InputError, Interrupted
from toolkit.pushing import explain, push_report


def test_what_is_written_is_read_and_shown_beside_the_code(place: Place, customers) -> None:
    frame = customers(3)
    frame.loc[frame.index[0], "source"] = "nobody"
    report = place.push(place.plan(frame))
    code = report.refused["code"].iloc[0]
    seen = explain(code, settings=place.settings)
    assert seen.frame["rows"].tolist() == [1]
    assert f"{code} is not explained yet (seen in 1 row): tk.explain('{code}'" in seen.summary()
    explain(code, means="an unknown <b>source", settings=place.settings)
    explain(code, do="write customer", settings=place.settings)
    refused = push_report(settings=place.settings).refused
    assert refused[["means", "do"]].iloc[0].tolist() == ["an unknown <b>source", "write customer"]
    assert "<b>source" not in explain(settings=place.settings).body()


def test_the_catalogue_is_private_and_a_damaged_one_is_said(place: Place, customers) -> None:
    settings = place.settings
    explain("DI_E_00001", means="m", settings=settings)
    path = settings.folder() / "codes.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="a code and texts"):
        explain(means="m", settings=settings)
    path.write_text('{"DI_E_00001": 3}')
    with pytest.raises(InputError, match="fix the file, or delete it"):  # it would be written over
        explain("DI_E_00001", do="d", settings=settings)
    frame = customers(3)
    frame.loc[frame.index[0], "source"] = "nobody"
    with pytest.warns(UserWarning, match="fix the file, or delete it") as pushed:
        report = place.push(place.plan(frame))
    assert (report.n_accepted, report.n_refused) == (2, 1)
    with pytest.warns(UserWarning, match="The report is without its words") as reported:
        refused = push_report(settings=settings).refused
    lines = [Path(each.filename).name for each in (*pushed, *reported)]  # of whom called the toolkit
    assert lines == ["place.py", "test_explaining.py"]
    assert "means" not in refused
    assert len(refused) == 1
    assert path.read_text() == '{"DI_E_00001": 3}'


def test_an_interrupted_push_counts_and_says_how_to_go_on(place: Place, customers) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    plan, n = place.plan(customers(1_200)), iter(range(99))
    pace = replace(place.clock.pace, connections=1, sleep=lambda s: interrupt(s) if next(n) > 0 else None)
    with pytest.raises(Interrupted, match=r"^Interrupted: [\d,]+ of 1,200 rows accepted.*\.") as error:
        place.push(plan, pace=pace)
    assert error.value.report.n_rows == 1_200
    assert f"{error.value.report.n_accepted:,} of" in str(error.value)
