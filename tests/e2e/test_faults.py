"""`fault` with real processes: requests that wait, are refused, and are counted."""

from pathlib import Path

from running_node import RunningNode, Upstream, config, get
from told import until_metric, until_metric_at_least
from waiting import until

COUNT = 'headgate_middleware_results_total{kind="fault",middleware="chaos",result="%s"}'


def _config(port: int, upstream: Upstream, fault: str) -> str:
    text = config(port, upstream.address)
    assert text.count("[routes.all]\n") == 1, text
    text = text.replace("[routes.all]\n", '[routes.all]\nmiddlewares = ["chaos"]\n')
    return text + f"\n[middlewares.chaos]\nfault = {fault}\n"


def test_faults_delay_refuse_and_count_and_a_reload_ends_them(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, _config(port, one, '{ delay = "50ms" }')).until_ready() as node:
        assert get(port) == (200, b"one")
        until_metric(node, COUNT % "delay", 1)
        node.write(_config(port, one, "{ abort = 418 }"))
        until(lambda: get(port)[0] == 418, "the refusal")
        until_metric_at_least(node, 'headgate_rejects_total{reason="fault"}', 1)
        until_metric_at_least(node, COUNT % "delay", 1)
        node.write(_config(port, one, "{ abort = 418, abort_percent = 0 }"))
        until(lambda: get(port) == (200, b"one"), "the end of the refusals")
        until(lambda: node.metric(COUNT % "pass") >= 1, "a request that passed")
