import ast
import inspect
import re
from itertools import combinations
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from embedlab.course.run import lesson_number, lessons
from embedlab.lessons.exercises import Exercise, alike, all_exercises, exercise

EXERCISES = all_exercises()
WRONG = [(e, i) for e in EXERCISES.values() for i in range(len(e.answers))]
NUMPY_ONLY = {"02-cut-the-head"}  # the task asks for a NumPy array
each = pytest.mark.parametrize("e", EXERCISES.values(), ids=EXERCISES)


def arrays(value) -> list[np.ndarray]:
    """All that an argument holds, a network or a list too, in the memory where it lies."""
    if isinstance(value, torch.nn.Module):
        value = list(value.state_dict().values())
    if isinstance(value, list | tuple):
        return [array for part in value for array in arrays(part)]
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    return [value] if isinstance(value, np.ndarray) else []


def stub_source(e: Exercise) -> str:
    """What the learner starts from: the task, which returns ``...``."""
    source = inspect.getsource(e.solution)
    task = ast.parse(source).body[0].body[0].end_lineno
    return "\n".join([*source.splitlines()[:task], "    return ..."])


def stub(e: Exercise):
    page = {}
    exec(stub_source(e), page)
    return page[e.solution.__name__]


@each
def test_the_solution_is_accepted(e, capsys):
    e.check(e.solution)
    assert "is solved" in capsys.readouterr().out


@each
def test_the_stub_is_not_attempted_and_breaks_nothing(e, capsys):
    e.check(stub(e))
    assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@each
def test_the_inputs_tell_the_solution_and_all_wrong_answers_apart(e):
    looks = [e.looks(f) for f in (e.solution, *(f for _, f in e.answers))]
    assert len(looks[0]) > 1
    assert not any(isinstance(look, Exception) for look in looks[0])
    same = [pair for pair in combinations(range(len(looks)), 2) if alike(*(looks[i] for i in pair))]
    assert not same


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("e", "i"), WRONG, ids=[f"{e.name}-{i}" for e, i in WRONG])
def test_each_wrong_answer_gets_exactly_its_sentence(e, i):
    said, answer = e.answers[i]
    assert e.explain(answer) == said
    assert said not in [other for j, (other, _) in enumerate(e.answers) if j != i]


@each
def test_another_wrong_answer_is_told_where_it_differs_and_no_listed_sentence(e):
    def shifted(*args):
        out = e.solution(*args)
        return [1.5 * o + 0.5 for o in out] if isinstance(out, list | tuple) else 1.5 * out + 0.5

    said = e.explain(shifted)
    assert said.startswith("For ")
    assert ", not " in said
    assert said not in [sentence for sentence, _ in e.answers]


@each
def test_inputs_are_made_anew_and_a_check_leaves_them_as_they_are(e):
    def kept(*args):
        passed.append(args)
        return e.solution(*args)

    passed = []
    e.explain(kept)
    assert len(passed) == len(e.inputs())
    for a, b in zip(arrays(passed), arrays(e.inputs()), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.shares_memory(a, b)


@each
def test_right_answers_in_float64_are_accepted(e):
    def by_way_of_double(*args):
        """Torch stops here, as in a product with np.eye, if a tensor is in float32."""
        for i, a in enumerate(args):
            if isinstance(a, torch.Tensor) and a.dtype == torch.float32 and a.ndim:
                args = (*args[:i], a @ torch.eye(a.shape[-1], dtype=torch.float64), *args[i + 1 :])
        out = e.solution(*args)
        return out.astype(float) if isinstance(out, np.ndarray) else out

    assert e.explain(by_way_of_double) is None


@each
def test_right_answers_in_the_other_library_are_accepted_unless_gradients_are_to_flow(e):
    def other(value):
        if isinstance(value, list | tuple):
            return [other(v) for v in value]
        if isinstance(value, torch.Tensor):
            return value.detach().numpy()
        return torch.as_tensor(value)

    said = e.explain(lambda *args: other(e.solution(*args)))
    gradients = "its backward() gives" in e.looks(e.solution)[0]
    assert (said is None) == (not gradients and e.name not in NUMPY_ONLY)


@each
def test_an_answer_that_changes_what_it_is_given_is_told_so(e):
    def spoiling(*args):
        out = e.solution(*args)
        for array in arrays(args):
            array[...] = 0
        return out

    said = e.explain(spoiling)
    assert said.startswith("It changes `") if arrays(e.inputs()) else said is None


@each
def test_three_hints_and_at_least_three_wrong_answers_in_at_most_fifty_lines(e):
    assert len(e.hints) == 3
    assert len(e.answers) >= 3
    assert lines(e) <= 50


def lines(e: Exercise) -> int:
    """Lines of an exercise's table and of what it names, without what another one names too."""
    file = Path(inspect.getsourcefile(e.solution))
    parts = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign):
            parts[node.targets[0].id] = node

    def named(part):
        found, new = set(), {part}
        while new:
            found |= new
            ids = {n.id for p in new for n in ast.walk(parts[p]) if isinstance(n, ast.Name)}
            new = (ids & parts.keys()) - found
        return found

    module = vars(inspect.getmodule(e.solution))
    reach = {v.name: named(k) for k, v in module.items() if isinstance(v, Exercise)}
    shared = set().union(*(r for name, r in reach.items() if name != e.name))
    shared -= {e.solution.__name__}
    return sum(n.end_lineno - n.lineno + 1 for k, n in parts.items() if k in reach[e.name] - shared)


def test_answers_that_crash_or_return_nothing_are_explained():
    e = exercise("00-average-precision")
    assert "ZeroDivisionError" in e.explain(lambda relevant, n: 1 / 0)
    assert "returns None" in e.explain(lambda relevant, n: None)
    assert "returns a set" in e.explain(lambda relevant, n: {n})


def test_where_an_answer_differs_is_told_in_short():
    e = exercise("00-average-precision")
    half = e.explain(lambda relevant, n: e.solution(relevant, n) / 2)
    assert half == "For relevant = [0, 1], n_relevant = 1 it gives 0.25, not 0.5."
    pair = e.explain(lambda relevant, n: [n, n])
    assert "it gives the shape (2,), not () (one number)" in pair


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="00-search"):
        exercise("00-serach")


@pytest.mark.parametrize("path", lessons(), ids=lambda p: p.stem)
def test_each_lesson_shows_its_exercises_as_their_stubs(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [c.source for c in notebook.cells if c.cell_type == "code"]
    mine = [e for e in EXERCISES.values() if lesson_number(path) == e.name.split("-")[0]]
    assert 2 <= len(mine) <= 3
    for e in mine:
        (i,) = [
            i
            for i, c in enumerate(cells)
            if f'exercise("{e.name}").check({e.solution.__name__})' in c
        ]
        assert stub_source(e) in cells[i]
        assert f'exercise("{e.name}").help()' in cells[i]
        imported = {
            (a.asname or a.name)
            for cell in cells[: i + 1]
            for node in ast.walk(ast.parse(cell))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for a in node.names
        }
        shown = ast.walk(ast.parse(inspect.getsource(e.solution)))
        used = {n.id for n in shown if isinstance(n, ast.Name)} & {"np", "torch", "F"}
        used |= set(re.findall(r"\b(np|torch|F)\.", " ".join(e.hints)))
        assert used <= imported, f"{e.name}: what it shows needs {used - imported} on the page"
