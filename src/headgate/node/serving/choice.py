"""Chooses which engine serves; no other module does."""

from collections.abc import Callable

from headgate.compile.located import said
from headgate.engines.native.engine import NativeEngine
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.about import version
from headgate.node.link import SupervisorLink
from headgate.node.options import Options
from headgate.node.ports import Candidate, Serving
from headgate.node.remote.link import RemoteLink
from headgate.node.serving.native import NativeServing


def make_serving(options: Options, link: SupervisorLink | RemoteLink) -> Serving:
    """Returns the engine that the options name."""
    if options.engine == "nginx":
        # Imported here, so that it costs a native node no memory.
        from headgate.node.serving.nginx import NginxServing

        return NginxServing(options.state_dir, options.workers)
    return NativeServing(NativeEngine(version()), link, options.workers)


def same_engine(options: Options) -> Callable[[Candidate], tuple[Diagnostic, ...]]:
    """Objects to a config for another engine than the one that runs.

    A config cannot change what the command line chose.
    """

    def objections(candidate: Candidate) -> tuple[Diagnostic, ...]:
        wanted = candidate.node.engine
        if options.engine_is_forced or wanted == options.engine:
            return ()
        place = candidate.locate("settings", "node", "engine")
        if options.remote is not None:
            why = f'a data plane elsewhere has the engine "native", not "{wanted}"'
            return (said(place, why),)
        why = f'the node runs with engine "{options.engine}"; restart it to run with "{wanted}"'
        return (said(place, why),)

    return objections
