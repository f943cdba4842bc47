"""Rooms of the package, and who may know whom: imports lead down, never up."""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "embedlab"
FLOORS = (
    {"cli"},
    {"course"},
    {"lessons"},
    {"show", "embedders"},
    {"measure", "training"},
    {"search", "data"},
    {"settings"},
)
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    return module.split(".")[1]


def imports() -> dict[str, set[str]]:
    """By module, the modules of the package that it imports, wherever in the file."""
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("embedlab."):
                found[module].add(node.module)
            elif isinstance(node, ast.Import):
                found[module] |= {a.name for a in node.names if a.name.startswith("embedlab.")}
    return found


def test_every_room_is_on_a_floor():
    names = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    assert names == set(FLOOR)
    assert len(names) <= 12


def test_imports_lead_down():
    up = [
        f"{module} -> {other}"
        for module, others in imports().items()
        for other in others
        if module != "embedlab.__init__"
        and room_of(module) != room_of(other)
        and FLOOR[room_of(module)] >= FLOOR[room_of(other)]
    ]
    assert not up, "\n".join(sorted(up))


def test_a_lesson_knows_no_later_one_and_what_two_need_is_below():
    lessons = {
        module: {o for o in others if ".lesson_" in o and o.split(".")[2] != module.split(".")[2]}
        for module, others in imports().items()
        if ".lesson_" in module
    }
    across = {module: others for module, others in lessons.items() if others}
    assert not across, across


def test_there_is_no_circle():
    graph, done = imports(), set()

    def visit(module: str, path: tuple[str, ...]):
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*path, module))
            done.add(module)

    for module in list(graph):
        visit(module, ())
