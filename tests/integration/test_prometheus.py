"""Both Prometheus clients against real servers: plain, behind basic authentication, and behind mutual TLS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.adapters.prometheus import ApiClientSource, PrometheusOptions, PrometheusSource
from aiops.domain.errors import SourceRejectedError, SourceUnavailableError
from tests.testbed import certificates, web
from tests.testbed.process import Server, eventually
from tests.testbed.prometheus import Prometheus, Target

CLOCK = SystemClock()
Source = PrometheusSource | ApiClientSource


@pytest.fixture(params=[PrometheusSource, ApiClientSource], ids=["ours", "api-client"])
def kind(request: pytest.FixtureRequest) -> type[Source]:
    chosen: type[Source] = request.param
    return chosen


def source_for(kind: type[Source], url: str, options: PrometheusOptions | None = None, **http: Any) -> Source:
    return kind("prom", HttpClient("prom", HttpOptions(url, deadline=60.0, **http), CLOCK), options)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Prometheus]:
    server = Prometheus(basic_auth=("reader", "correct horse"))
    try:
        server.start()
        eventually(lambda: web.call("GET", f"{server.url}/-/ready", headers={"Authorization": "Basic cmVhZGVyOmNvcnJlY3QgaG9yc2U="}).status == 200, what="ready")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def mutual() -> Iterator[Prometheus]:
    server = Prometheus(mutual_tls=True)
    server.start()
    made = server.certificates
    assert made is not None
    source = source_for(PrometheusSource, server.url, ca_file=str(made.ca), cert_file=str(made.client_cert), key_file=str(made.client_key))
    try:
        # `start` can see its port only; it answers 503 until it is ready.
        eventually(lambda: answers(source), what="Prometheus is ready")
        yield server
    finally:
        server.stop()


def answers(source: Source) -> bool:
    try:
        source.instant("1", CLOCK.now())
    except SourceUnavailableError:
        return False
    return True


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_values_that_are_no_ordinary_numbers(prometheus_server: Prometheus, kind: type[Source], method: str) -> None:
    source = source_for(kind, prometheus_server.url, PrometheusOptions(method=method))
    answers = {query: source.instant(query, CLOCK.now()) for query in ("1/0", "-1/0", "0/0", "vector(1/0)", "vector(0/0)", "-vector(1/0)", "1.5e-300")}
    assert {query: repr(float(batch.values[0])) for query, batch in answers.items()} == {
        "1/0": "inf",
        "-1/0": "-inf",
        "0/0": "nan",
        "vector(1/0)": "inf",
        "vector(0/0)": "nan",
        "-vector(1/0)": "-inf",
        "1.5e-300": "1.5e-300",
    }
    assert all(dict(batch.labels[0]) == {} for batch in answers.values())


def test_labels_and_times_are_what_the_server_has(prometheus_server: Prometheus, kind: type[Source]) -> None:
    hostile = 'a"}],"x\\n\u00e9\u202e:{'
    prometheus_server.scrape(Target("own", f"{prometheus_server.url}/metrics", labels={"hostile": hostile}))
    try:
        prometheus_server.wait_up("own")
        source = source_for(kind, prometheus_server.url)
        at = CLOCK.now()
        for _ in range(2):  # the second answer meets known labels
            batch = source.instant('up{job="own"}', at)
            assert [dict(labels) for labels in batch.labels] == [
                {"__name__": "up", "job": "own", "hostile": hostile, "instance": prometheus_server.url.removeprefix("http://")}
            ]
            assert batch.times == pytest.approx([at], abs=0.0011)
        many = source.instant('{job="own"}', at)
        assert len(many) > 300
        assert not many.partial
        assert len({tuple(sorted(labels.items())) for labels in many.labels}) == len(many)
    finally:
        prometheus_server.forget("own")


def test_an_empty_answer_is_an_answer(prometheus_server: Prometheus, kind: type[Source]) -> None:
    source = source_for(kind, prometheus_server.url)
    assert len(source.instant("nothing_of_that_name", CLOCK.now())) == 0
    assert source.range("nothing_of_that_name", 0, 100, 10).series == ()


def test_a_range_over_the_servers_limit_is_joined(prometheus_server: Prometheus, kind: type[Source]) -> None:
    batch = source_for(kind, prometheus_server.url).range("time()", 1_000.25, 31_000.25, 1.0)
    (series,) = batch.series
    assert series.times.tolist() == [1_000.25 + i for i in range(30_001)]
    assert (series.values == series.times).all()
    small = source_for(kind, prometheus_server.url, PrometheusOptions(max_points=3)).range("time()", 0.0, 1.0, 0.1)
    assert small.series[0].times.tolist() == pytest.approx([i / 10 for i in range(11)])


@pytest.mark.parametrize("query", ["sum(", "up[5m]", '"text"', "rate(up)", 'label_replace(vector(1), "a-b", "", "", "")'])
def test_bad_queries_are_rejected_with_the_servers_words(prometheus_server: Prometheus, kind: type[Source], query: str) -> None:
    with pytest.raises(SourceRejectedError) as refused:
        source_for(kind, prometheus_server.url).instant(query, CLOCK.now())
    assert refused.value.reason == "BadQuery"
    assert refused.value.detail


@pytest.mark.parametrize(("start", "end", "step"), [(10.0, 5.0, 1.0), (0.0, 10.0, 0.0), (0.0, 10.0, -1.0)])
def test_ranges_that_are_none_are_rejected(prometheus_server: Prometheus, kind: type[Source], start: float, end: float, step: float) -> None:
    with pytest.raises(SourceRejectedError, match="BadQuery"):
        source_for(kind, prometheus_server.url).range("up", start, end, step)


def test_raw_samples_are_those_scraped(prometheus_server: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    prometheus_server.scrape(Target("raw", f"{prometheus_server.url}/metrics"))
    try:
        prometheus_server.wait_up("raw")
        eventually(lambda: prometheus_server.instant('count_over_time(up{job="raw"}[1m])')[0][1] >= 5, what="five scrapes")
        source = source_for(PrometheusSource, prometheus_server.url)
        assert isinstance(source, PrometheusSource)
        at = CLOCK.now()
        whole = source.samples('up{job="raw"}', at - 60, at)
        (series,) = whole.series
        assert len(series.times) >= 5
        assert (series.values == 1).any()
        # Of the last that was there: what was being scraped at `at` may have come since.
        at, third = float(series.times[-1]), float(series.times[2])
        (later,) = source.samples('up{job="raw"}', third, at).series
        assert later.times.tolist() == series.times[3:].tolist()  # after `start`, not at it
        monkeypatch.setattr("aiops.adapters.prometheus.source.RAW_SPAN_MS", 700)
        (pieced,) = source.samples('up{job="raw"}', float(series.times[0]) - 0.5, at).series
        assert pieced.times.tolist() == series.times.tolist()
        assert source.samples('up{job="raw"}', at, at).series == ()
    finally:
        prometheus_server.forget("raw")


def test_the_servers_clock_is_compared_with_ours(prometheus_server: Prometheus, kind: type[Source]) -> None:
    class Behind(SystemClock):
        def now(self) -> float:
            return super().now() - 100

    source = kind("prom", HttpClient("prom", HttpOptions(prometheus_server.url), Behind()))
    assert source.last_skew is None
    source.instant("1", CLOCK.now())
    assert source.last_skew == pytest.approx(100, abs=20)


def test_basic_authentication(guarded: Prometheus, kind: type[Source], tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    source = source_for(kind, guarded.url, username="reader", password_file=str(secret))
    with pytest.raises(SourceRejectedError, match="Unauthorized"):
        source.instant("1", CLOCK.now())
    secret.write_text("correct horse\n")  # the same source: the file is read again
    assert source.instant("1", CLOCK.now()).values.tolist() == [1.0]
    with pytest.raises(SourceRejectedError, match="Unauthorized"):
        source_for(kind, guarded.url).instant("1", CLOCK.now())


def test_mutual_tls(mutual: Prometheus, kind: type[Source], tmp_path: Path) -> None:
    made = mutual.certificates
    assert made is not None
    ca = str(made.ca)
    with_certificate = source_for(kind, mutual.url, ca_file=ca, cert_file=str(made.client_cert), key_file=str(made.client_key))
    assert with_certificate.instant("1", CLOCK.now()).values.tolist() == [1.0]
    with pytest.raises(SourceUnavailableError) as nobody:
        source_for(kind, mutual.url, ca_file=ca).instant("1", CLOCK.now())
    assert nobody.value.reason in ("TlsFailed", "Refused")
    stranger = certificates.make(tmp_path / "stranger")
    with pytest.raises(SourceUnavailableError) as unknown:
        source_for(kind, mutual.url, ca_file=ca, cert_file=str(stranger.client_cert), key_file=str(stranger.client_key)).instant("1", CLOCK.now())
    assert unknown.value.reason in ("TlsFailed", "Refused")
    with pytest.raises(SourceUnavailableError, match=r"TlsFailed.*certificate"):
        source_for(kind, mutual.url, ca_file=str(stranger.ca), cert_file=str(made.client_cert), key_file=str(made.client_key)).instant("1", CLOCK.now())


def test_the_servers_name_may_differ_from_the_host(mutual: Prometheus, kind: type[Source]) -> None:
    made = mutual.certificates
    assert made is not None
    common: dict[str, Any] = {"ca_file": str(made.ca), "cert_file": str(made.client_cert), "key_file": str(made.client_key)}
    assert len(source_for(kind, mutual.url, server_name="localhost", **common).instant("1", CLOCK.now())) == 1
    with pytest.raises(SourceUnavailableError, match="TlsFailed"):
        source_for(kind, mutual.url, server_name="elsewhere.example", **common).instant("1", CLOCK.now())


def test_a_renewed_client_certificate_is_used(mutual: Prometheus, kind: type[Source], tmp_path: Path) -> None:
    made = mutual.certificates
    assert made is not None
    stranger = certificates.make(tmp_path / "stranger")
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    shutil.copy(stranger.client_cert, cert)
    shutil.copy(stranger.client_key, key)
    source = source_for(kind, mutual.url, ca_file=str(made.ca), cert_file=str(cert), key_file=str(key))
    with pytest.raises(SourceUnavailableError):
        source.instant("1", CLOCK.now())
    shutil.copy(made.client_cert, cert)
    shutil.copy(made.client_key, key)
    assert source.instant("1", CLOCK.now()).values.tolist() == [1.0]


def frozen(server: Server) -> bool:
    """Freeze it and see that every thread has stopped: the signal takes its time on a busy machine."""
    server.freeze()
    return all(status.read_text().rpartition(")")[2].split()[0] == "T" for status in Path(f"/proc/{server.pid}/task").glob("*/stat"))


def test_a_server_that_hangs_comes_back_and_ends(kind: type[Source]) -> None:
    server = Prometheus()
    server.start()
    try:
        source, hasty = source_for(kind, server.url), kind("prom", HttpClient("prom", HttpOptions(server.url, deadline=1.0), CLOCK))
        assert len(source.instant("1", CLOCK.now())) == 1
        eventually(lambda: frozen(server.server), what="it hangs")
        with pytest.raises(SourceUnavailableError, match="Timeout"):
            hasty.instant("1", CLOCK.now())
        server.server.thaw()
        server.restart()  # the kept-alive connection is dead now; the next query must not notice
        assert len(source.instant("1", CLOCK.now())) == 1
        server.server.kill()
        with pytest.raises(SourceUnavailableError, match="Refused"):
            source.instant("1", CLOCK.now())
    finally:
        server.stop()
