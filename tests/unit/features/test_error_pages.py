"""`error_pages`: what reaches the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.features.middleware.error_pages.spec import HTML, ErrorPagesNode, PageNode
from headgate.features.nodes import node_of
from headgate.plan.middleware import Step

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = {{ status = 204 }}

[middlewares.m]
error_pages = {{ pages = [{pages}] }}
"""
FILES: dict[str, str | bytes] = {
    "p.html": "a\n${status}\n",
    "long.html": "ä" * 32_769,
    "image.png": b"\xff",
}


def loaded(pages: str) -> Loaded:
    files = MemoryFiles({**FILES, "a.toml": CONFIG.format(pages=pages)})
    return load([PurePath("a.toml")], files, {})


def test_statuses_and_texts_reach_the_plan() -> None:
    pages = """
  { statuses = [404, "410", "500-503", "4xx"], body = "x$" },
  { statuses = ["5xx"], body = { file = "p.html" }, content_type = "text/plain" },
"""
    done = loaded(pages)
    assert done.plan is not None, done.errors
    (node,) = [node_of(o.value) for o in done.plan.objects.values() if isinstance(o.value, Step)]
    ranges = ((404, 404), (410, 410), (500, 503), (400, 499))
    assert node == ErrorPagesNode(
        pages=(
            PageNode(ranges, "x$", HTML),
            PageNode(((500, 599),), "a\n${status}\n", "text/plain"),
        )
    )
    assert PurePath("p.html") in done.watched.files
    assert not done.secrets


@pytest.mark.parametrize(
    ("page", "place", "said"),
    [
        ('statuses = [200], body = ""', "statuses[0]", "200 is not a status of errors"),
        ('statuses = ["503-500"], body = ""', "statuses[0]", '"503-500" ends before it begins'),
        ('statuses = ["6xx"], body = ""', "statuses[0]", "is not a status of errors"),
        ('statuses = [true], body = ""', "statuses[0]", "is not a status of errors"),
        ('statuses = [], body = ""', "statuses", ""),
        ("statuses = [404], body = 3", "body", "3 is not a page"),
        ('statuses = [404], body = { file = "gone" }', "body", "cannot be read"),
        ('statuses = [404], body = { file = "image.png" }', "body", "is not UTF-8 text"),
        ('statuses = [404], body = { file = "long.html" }', "body", "the page has 65538 bytes"),
        ('statuses = [404], body = "", content_type = "html"', "content_type", "is not a type"),
        ('statuses = [404], body = "", content_type = "a/b\\n"', "content_type", "is not a type"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(page: str, place: str, said: str) -> None:
    (wrong,) = loaded("{ " + page + " }").errors
    assert wrong.path == f"middlewares.m.error_pages.pages[0].{place}"
    assert said in wrong.message
