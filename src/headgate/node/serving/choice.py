"""Which engine serves: the one place that chooses."""

from headgate.engines.native.engine import NativeEngine
from headgate.node.about import version
from headgate.node.link import SupervisorLink
from headgate.node.options import Options
from headgate.node.ports import Serving
from headgate.node.serving.native import NativeServing


def make_serving(options: Options, link: SupervisorLink) -> Serving:
    """The engine that the options name."""
    return NativeServing(NativeEngine(version()), link, options.workers)
