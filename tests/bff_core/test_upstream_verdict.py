"""The table of failures, once: how an attempt counts, and whether it may be repeated."""

import pytest

from bff_core import errors
from bff_core.errors import (
    BadReply,
    BadStatus,
    Busy,
    CircuitOpen,
    DeadlinePassed,
    GatewayError,
    InvalidRequest,
    NoInstance,
    NotFound,
    StaleConnection,
    Throttled,
    TimedOut,
    Unreachable,
    UpstreamError,
)
from bff_core.upstream import Verdict, judge
from bff_core.upstream.tally import Tally

TABLE = [
    (NotFound("x"), "success", False),
    (InvalidRequest(("cursor", "x")), "success", False),
    *((BadStatus("x", status), "success", False) for status in (300, 301, 304, 399, 400, 401, 403, 409, 410, 422, 499)),
    (Unreachable("x", "refused"), "failure", True),
    (StaleConnection("x", "closed while it was idle"), "failure", True),
    (TimedOut("x", "late"), "failure", True),
    *((BadStatus("x", status), "failure", True) for status in (502, 503, 504)),
    *((Throttled("x", status, None), "neither", True) for status in (408, 425, 429)),
    *((BadStatus("x", status), "failure", False) for status in (500, 501, 505, 507, 599)),
    (BadReply("x", "nonsense"), "failure", False),
    (Busy("x", "full"), "ours", False),
    (CircuitOpen("x", 1.0), "ours", False),
    (NoInstance("x", "nobody knows"), "ours", False),
    (DeadlinePassed("x"), "ours", False),
]


@pytest.mark.parametrize(("error", "counts_as", "repeatable"), TABLE, ids=str)
def test_an_attempt_counts_as_the_table_says(error: GatewayError, counts_as: str, repeatable: bool) -> None:
    verdict = judge(error)
    assert (verdict.counts_as, verdict.repeatable) == (counts_as, repeatable)


def test_every_error_of_an_upstream_is_in_the_table() -> None:
    kinds = {error for name in errors.__all__ if issubclass(error := getattr(errors, name), UpstreamError)}
    assert kinds - {UpstreamError} <= {type(error) for error, _, _ in TABLE}


def test_a_tally_counts_what_ended_and_remembers_the_last_failure() -> None:
    tally = Tally()
    for verdict, failure in (
        (Verdict.SUCCESS, None),
        (Verdict.FAILURE, Unreachable("shop", "refused")),
        (Verdict.LASTING, BadReply("shop", "nonsense")),
        (Verdict.THROTTLED, Throttled("shop", 429, None)),
        (Verdict.OURS, None),
    ):
        tally.record(verdict, failure)
    assert tally.counts() == {"success": 1, "failure": 2, "neither": 1, "ours": 1}
    assert tally.last_failure == "shop: nonsense"
