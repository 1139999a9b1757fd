"""Starts Aegis's data plane and gives it its config, as its control plane does; waits for its end.

python aegis_start.py PROGRAM CHECKOUT PORT BACKEND_PORT
"""

import subprocess
import sys
from pathlib import Path

import grpc

_CONTROL = "127.0.0.1:50051"
"""The address where the program listens for its control plane; it cannot be configured."""
_START_S = 30
_OUT_OF_REACH = 1_000_000_000


def main(program: str, checkout: str, port: str, backend_port: str) -> int:
    """Returns the program's exit code."""
    sys.path.insert(0, str(Path(checkout, "proto")))
    messages, services = grpc.protos_and_services("proxy.proto")
    at, backend = f"127.0.0.1:{port}", {"address": f"127.0.0.1:{backend_port}"}
    backends = [messages.Backend(weight=100, healthy=True, **backend)]
    limit = messages.RateLimitConfig(requests_per_second=_OUT_OF_REACH, burst=_OUT_OF_REACH)
    timeout = messages.TimeoutConfig(connect_seconds=5, idle_seconds=600, read_seconds=600)
    config = messages.ProxyConfig(
        listen=messages.ListenConfig(tcp_address=at, udp_address=at),
        backends=backends,
        udp_backends=backends,
        load_balancing=messages.LoadBalancingConfig(algorithm="round_robin"),
        traffic=messages.TrafficConfig(rate_limit=limit, timeout=timeout),
        circuit_breaker=messages.CircuitBreakerConfig(
            error_threshold=_OUT_OF_REACH, timeout_seconds=30
        ),
    )
    process = subprocess.Popen([program])
    with grpc.insecure_channel(_CONTROL) as channel:
        control = services.ProxyControlStub(channel)
        control.UpdateConfig(config, wait_for_ready=True, timeout=_START_S)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
