"""Renders a plan as the files of a release."""

from collections.abc import Mapping
from dataclasses import replace

from headgate.engines.nginx.common.types import (
    CannotExpress,
    Generation,
    Rendered,
    RenderedFile,
    Target,
)
from headgate.engines.nginx.render import (
    hashes,
    listening,
    lua,
    main_file,
    servers,
    stream,
    tcp_ended,
    udp,
    upstreams,
)
from headgate.engines.nginx.render.context import Context, context_of
from headgate.kernel.ids import BlobId
from headgate.nginxtext import writer
from headgate.nginxtext.tree import Node
from headgate.plan.plan import Plan


def render(
    plan: Plan, blobs: Mapping[BlobId, bytes], target: Target
) -> Rendered | list[CannotExpress]:
    """Returns the plan as nginx text for a target, or every field that it cannot express there.

    Pure and deterministic: renderings of one plan for one target differ in `generation.conf` at
    most, where the generations differ. `blobs` has the content of every blob that the plan names.
    """
    ctx = context_of(plan, blobs, target)
    listening.check(ctx)
    lua.check(ctx)
    found = servers.sites(ctx)
    files = _files(ctx, found, stream.alone(plan))
    problems = ctx.findings.problems
    if problems:
        return [CannotExpress(*problem) for problem in sorted(problems)]
    texts = [RenderedFile(path, writer.render(nodes)) for path, nodes in files.items()]
    texts += ctx.secrets.values()
    listeners = [*ctx.listeners.values(), *ctx.tcp_listeners.values()]
    addresses = {a for one in listeners for a in one.addresses}
    addresses |= {f"{udp.MARK}{a}" for one in ctx.udp_listeners.values() for a in one.addresses}
    return Rendered(
        files=tuple(sorted(texts, key=lambda file: file.path)),
        listeners=tuple(sorted(addresses)),
        zones=dict(sorted((ctx.zones | ctx.shared.zones).items())),
        served_names=(*servers.served_names(ctx, found), *tcp_ended.served_names(ctx)),
        notes=tuple(sorted(ctx.findings.notes)),
    )


def renumbered(made: Rendered, number: Generation) -> Rendered:
    """Returns the same rendering for another generation, without another render."""
    text = RenderedFile("generation.conf", writer.render(main_file.generation_of(number)))
    files = tuple(text if file.path == text.path else file for file in made.files)
    return replace(made, files=files)


def _files(
    ctx: Context, found: list[servers.Site], of_tcp: frozenset[str]
) -> dict[str, list[Node]]:
    """Returns the files; `of_tcp` are upstreams that `http` does not need."""
    files = servers.render(ctx, found)
    files["upstreams.conf"] = []
    for name, one in ctx.upstreams.items():
        if name in of_tcp:
            continue
        with ctx.findings.of("upstream", name).guarded("endpoints"):
            files["upstreams.conf"] += upstreams.block(name, one, ctx)
    files["maps/request.conf"] = main_file.request_maps()
    files["maps/client.conf"] = main_file.client_maps(ctx)
    files["errors.conf"] = main_file.error_place(ctx)
    files["maps/routes.conf"] = ctx.shared.nodes
    files["defaults.conf"] = main_file.defaults(ctx)
    files["status.conf"] = main_file.status(ctx)
    files["generation.conf"] = main_file.generation(ctx)
    with ctx.findings.of("settings", "node").guarded("access_log"):
        files["http.conf"] = main_file.http(ctx)
    of_stream = stream.files(ctx)
    if ctx.target.mode == "full":
        files["nginx.conf"] = main_file.main(ctx, hashes.directives(files.values()))
    return files | of_stream
