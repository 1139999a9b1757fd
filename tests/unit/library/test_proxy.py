"""A node inside a program: what is refused before one is started."""

import pytest

from headgate import Listener, Proxy


@pytest.mark.parametrize("workers", [0, 129])
def test_a_number_of_workers_that_no_node_has_is_refused(workers: int) -> None:
    with pytest.raises(ValueError, match=f"workers is {workers}; write 1 to 128"):
        Proxy({"listeners": {"web": Listener()}}, workers=workers)
