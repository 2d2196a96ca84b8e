"""Instances that come and go, in short; and whether what is wrong would be found."""

import pytest

from bff_core.wire import Instance
from bff_core.wire.http1 import Http1Wire
from tests.soak.instances import change
from tests.soak.wire.soak import Left

pytestmark = pytest.mark.real


async def test_instances_come_and_go_under_load_and_no_call_fails_and_nothing_is_left() -> None:
    result = await change(1, 2.0)
    assert result.changes > 50
    assert result.calls > 200


class Keeping(Http1Wire):
    """Keeps the connections of what is gone."""

    def connections(self, instance: Instance) -> None:
        """See ``Wire.connections``."""

    def retire(self, instance: Instance) -> None:
        pass


async def test_what_is_kept_of_instances_that_are_gone_is_found() -> None:
    with pytest.raises(Left, match="connections to what is gone"):
        await change(1, 0.3, tidying=0.5, make_wire=Keeping)
