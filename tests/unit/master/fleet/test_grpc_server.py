"""A frame to an agent whose connection ends meanwhile is lost, and no fault of the master's."""

from typing import Any

import grpc.aio
import loops
import pytest
from grpc._cython import cygrpc

from headgate.fleet.frames import Goodbye, MasterFrame
from headgate.master.fleet.grpc_server import _GrpcCarrier


class Ended:
    """A call on whose connection nothing can be written any more."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def write(self, _data: bytes) -> None:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        cygrpc.ExecuteBatchError('Failed "execute_batch"'),
        grpc.aio.UsageError("RPC already finished."),
        grpc.RpcError("cancelled"),
    ],
)
def test_a_write_to_an_ended_connection(error: BaseException) -> None:
    context: Any = Ended(error)
    with pytest.raises(ConnectionError, match=str(error)):
        loops.run(_GrpcCarrier(context, None).send(MasterFrame(1, 1, Goodbye("shutdown", "bye"))))
