"""What holds of any config: formats agree, splitting changes nothing, keeping results changes
nothing."""

import re
from pathlib import PurePath

from config_text import Document, careless_documents, documents, to_json, to_toml, to_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_files import MemoryFiles

from headgate._core import plan_check
from headgate.compile.compiler import Compiler
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Routing
from headgate.plan.plan import Plan, diff

WRITERS = {"toml": to_toml, "yaml": to_yaml, "json": to_json}


def loaded(document: Document, suffix: str) -> Loaded:
    name = f"main.{suffix}"
    return load([PurePath(name)], MemoryFiles({name: WRITERS[suffix](document)}), {})


def complaints(result: Loaded) -> list[tuple[str, str, str]]:
    def without_place(message: str) -> str:
        return re.sub(r"main\.\w+:\d+:\d+", "…", message)

    return sorted((d.path, without_place(d.message), d.allowed) for d in result.diagnostics)


@settings(max_examples=40)
@given(documents())
def test_the_three_formats_mean_the_same(document: Document) -> None:
    plans = [loaded(document, suffix).plan for suffix in WRITERS]
    assert len({plan.digest for plan in plans if plan is not None}) == 1
    assert None not in plans


@settings(max_examples=40)
@given(careless_documents())
def test_the_core_takes_what_is_not_refused(document: Document) -> None:
    plan = loaded(document, "json").plan
    if plan is not None:
        Routing(plan)
        assert all(plan_check(key.kind, e.canonical) is None for key, e in plan.objects.items())


@settings(max_examples=40)
@given(careless_documents())
def test_the_three_formats_complain_about_the_same(document: Document) -> None:
    results = [loaded(document, suffix) for suffix in WRITERS]
    assert complaints(results[0]) == complaints(results[1]) == complaints(results[2])
    for result in results:
        assert all(d.line and d.column for d in result.diagnostics)
        assert (result.plan is None) == bool(result.errors)


@settings(max_examples=40)
@given(documents(), st.randoms(use_true_random=False))
def test_several_documents_are_one(document: Document, random: object) -> None:
    parts: list[Document] = [{}, {}, {}]
    for section, objects in document.items():
        for name, value in objects.items():
            index = getattr(random, "randrange")(3)  # noqa: B009 - hypothesis types it loosely
            parts[index].setdefault(section, {})[name] = value
    names = ["0.toml", "1.yaml", "2.json"]
    writers = list(WRITERS.values())
    files = {n: write(part) for n, write, part in zip(names, writers, parts, strict=True)}
    split = load([PurePath(n) for n in names], MemoryFiles(files), {})
    whole = loaded(document, "toml").plan
    assert split.plan is not None
    assert whole is not None
    assert split.plan.digest == whole.digest


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(careless_documents(), st.sampled_from(["a.toml", "b.json"])),
        min_size=1,
        max_size=6,
    )
)
def test_a_compiler_that_keeps_results_says_what_a_fresh_one_says(
    edits: list[tuple[Document, str]],
) -> None:
    files = MemoryFiles({"a.toml": "", "b.json": "{}"})
    paths = [PurePath("a.toml"), PurePath("b.json")]
    compiler, plan = Compiler(), Plan()
    for document, name in edits:
        files.content[name] = WRITERS[name.rpartition(".")[2]](document)
        kept, fresh = compiler.load(paths, files, {}), load(paths, files, {})
        assert kept.diagnostics == fresh.diagnostics
        assert kept.node == fresh.node
        assert (kept.plan is None) == (fresh.plan is None)
        if kept.plan is not None and fresh.plan is not None:
            assert kept.plan.digest == fresh.plan.digest
            assert kept.plan.objects.keys() == fresh.plan.objects.keys()
            delta = diff(plan, kept.plan)
            assert delta.digest == fresh.plan.digest
            plan = kept.plan
