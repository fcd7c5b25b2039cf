from __future__ import annotations

import msgspec
import pytest

from harness.cli.cluster_run import check_cap
from harness.errors import UsageError
from harness.load.cluster.client import Distribution
from harness.profiles import BASES


@pytest.mark.parametrize("local", [True, False])
def test_every_worker_must_have_a_session_that_it_may_use(local: bool) -> None:
    few = msgspec.structs.replace(BASES["quick"], arrival_rate=5.0, max_in_flight=2)
    with pytest.raises(UsageError, match="3 workers cannot share 2 sessions in flight") as refused:
        check_cap(Distribution(workers=3, local=local), few)
    assert "--max-in-flight 3" in refused.value.hint
    check_cap(Distribution(workers=2, local=local), few)
    check_cap(None, few)
    check_cap(Distribution(workers=3, local=local), msgspec.structs.replace(few, arrival_rate=None))
