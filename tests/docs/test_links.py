"""What the docs point to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^]]*]\(([^)\s]+)\)")
CODE = re.compile(r"(?ms)^ *```.*?^ *```$|`[^`\n]*`")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    text = CODE.sub(
        lambda code: code[0].strip("`") if "\n" not in code[0] else "", page.read_text()
    )
    titles = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    links = LINK.findall(CODE.sub("", page.read_text()))
    lost = []
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []
