"""What is read from wrk, and what makes a run void."""

import pytest

from bench.load import Load, Void, read

GOOD = """Running 5s test @ http://127.0.0.1:8090
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.00ms    1.00ms  20.00ms   90.00%

bench: {"pages": 1200, "seconds": 5.010000, "p50": 6.000, "p99": 11.500, "errors": {"refused": 0, "partial": 0, "connect": 0, "read": 0, "write": 0, "timeout": 0}}
"""  # noqa: E501  as wrk says it


def test_pages_time_and_percentiles_are_read() -> None:
    assert read("ours", GOOD) == Load(pages=1200, seconds=5.01, p50=6.0, p99=11.5)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("refused", "3 replies that were no 200"),
        ("partial", "3 pages with parts missing"),
        ("connect", "3 connect errors"),
        ("read", "3 read errors"),
        ("write", "3 write errors"),
        ("timeout", "3 pages too late"),
    ],
)
def test_a_single_kind_of_error_makes_a_run_void_and_is_named(kind: str, told: str) -> None:
    with pytest.raises(Void, match=f"^Node: the run is void: {told}$"):
        read("Node", GOOD.replace(f'"{kind}": 0', f'"{kind}": 3'))


def test_what_wrk_says_instead_is_shown() -> None:
    with pytest.raises(Void, match="Node: wrk said nothing of use: unable to connect"):
        read("Node", "unable to connect to 127.0.0.1:8090 Connection refused\n")
