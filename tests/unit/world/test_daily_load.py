"""The load of people who live by the clocks on the wall."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.testbed.world.files import WorldFileError
from tests.testbed.world.services import Load, read_services

BERLIN = ZoneInfo("Europe/Berlin")
SERVICE = "apiVersion: aiops-testbed/v1\nkind: Service\nname: a\nserviceTime: 40ms\nload: {load}\n"


def unix(*when: int) -> float:
    return datetime(*when, tzinfo=BERLIN).timestamp()  # type: ignore[misc,arg-type]


def read(tmp_path: Path, load: str) -> Load:
    (tmp_path / "a.yaml").write_text(SERVICE.format(load=load))
    return read_services([tmp_path])[0].load


def test_the_wave_follows_the_clocks(tmp_path: Path) -> None:
    load = read(tmp_path, "{rate: 100, timezone: Europe/Berlin, daily: {amplitude: 0.5, peak: 14h}}")
    for day in ((2026, 3, 28), (2026, 3, 29), (2026, 10, 24), (2026, 10, 25)):
        assert load.at(unix(*day, 14)) == pytest.approx(150.0)
        assert load.at(unix(*day, 20)) == pytest.approx(100.0)
    # The same hour of UTC is another one of the wall clock after the change.
    assert load.at(unix(2026, 3, 28, 18) + 86400.0) == pytest.approx(load.at(unix(2026, 3, 29, 19)))


def test_outside_of_its_hours_a_share_comes(tmp_path: Path) -> None:
    load = read(tmp_path, "{rate: 100, timezone: Europe/Berlin, hours: {from: 8h, until: 20h, closed: 0.2}}")
    day = (2026, 3, 29)
    assert [load.at(unix(*day, hour)) for hour in (5, 12, 19, 23)] == pytest.approx([20.0, 100.0, 100.0, 20.0])
    assert load.at(unix(*day, 8, 7, 30)) == pytest.approx(60.0)
    assert load.at(unix(*day, 20, 7, 30)) == pytest.approx(60.0)


def test_without_a_time_zone_it_is_utc(tmp_path: Path) -> None:
    load = read(tmp_path, "{rate: 100, daily: {amplitude: 0.5, peak: 0s}}")
    assert load.at(0.0) == pytest.approx(150.0)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ("{rate: 1, timezone: Mars/Olympus}", "timezone"),
        ("{rate: 1, hours: {from: 20h, until: 8h}}", "until"),
        ("{rate: 1, hours: {from: 20h, until: 25h}}", "until"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, load: str, said: str) -> None:
    with pytest.raises(WorldFileError, match=said):
        read(tmp_path, load)
