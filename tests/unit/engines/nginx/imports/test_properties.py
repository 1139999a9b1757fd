"""Whatever is imported is proved: nothing is lost, the re-render becomes the same model."""

from hypothesis import example, given, settings
from nginx_configs import CONFIGS, PARAMS
from nginx_trees import tree_of

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import ImportRefusedError
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load


@settings(deadline=None)
@given(CONFIGS, PARAMS)
@example(
    'events { }\nhttp { server { location / { include params; return 200 "a"; } } }\n',
    "add_header X-C $host always;",
)
@example(
    "events { }\nhttp { server { include params; location ^~ /a/b { } "
    "location /a/ { proxy_pass http://api; } } }\n",
    "deny 10.0.0.0/9;",
)
@example(
    "events { }\nhttp { server { include params; location ^~ /a/b { } "
    "location /a/ { proxy_pass http://api; } } }\n",
    "deny all;",
)
def test_imports_are_whole_and_the_re_render_is_the_same_model(text: str, params: str) -> None:
    tree = tree_of(text, params=params)
    try:
        one = import_tree(tree)
    except ImportRefusedError:
        return
    again = from_files(to_files(one))
    assert proof.lost(tree, again) == ()
    second = import_tree(load(tree.entry, DumpedFiles(rerender(again))))
    assert proof.same_model(one, second)
