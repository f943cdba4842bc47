from __future__ import annotations

import inspect

import nbformat
import pytest

from embedlab.course.run import lesson_number, lessons
from embedlab.lessons.exercises import all_exercises, exercise

EXERCISES = all_exercises()
WRONG = [(e, f, words) for e in EXERCISES.values() for f, words in e.wrong]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_accepted(name, capsys):
    EXERCISES[name].check(EXERCISES[name].solution)
    assert "is solved" in capsys.readouterr().out


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_not_attempted_and_breaks_nothing(name, capsys):
    EXERCISES[name].check(EXERCISES[name].stub)
    assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("exercise_", "answer", "words"), WRONG, ids=[f"{e.name}-{f.__name__}" for e, f, _ in WRONG]
)
def test_each_wrong_answer_gets_its_own_explanation(exercise_, answer, words):
    said = exercise_.explain(answer)
    assert said is not None
    assert words in said
    others = {w for f, w in exercise_.wrong if f is not answer}
    assert not any(other in said for other in others)


@pytest.mark.parametrize("name", EXERCISES)
def test_three_hints_and_at_least_three_wrong_answers(name):
    assert len(EXERCISES[name].hints) == 3
    assert len(EXERCISES[name].wrong) >= 3


def test_answers_that_crash_or_return_nothing_are_explained():
    e = exercise("00-average-precision")
    assert "ZeroDivisionError" in e.explain(lambda relevant, n: 1 / 0)
    assert "returns None" in e.explain(lambda relevant, n: None)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="00-search"):
        exercise("00-serach")
    with pytest.raises(ValueError, match="number"):
        exercise("00-search").hint(4)


@pytest.mark.parametrize("path", lessons(), ids=lambda p: p.stem)
def test_each_lesson_shows_its_exercises_as_their_stubs(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [c.source for c in notebook.cells if c.cell_type == "code"]
    mine = [e for e in EXERCISES.values() if lesson_number(path) == e.name.split("-")[0]]
    assert 2 <= len(mine) <= 3
    for e in mine:
        (cell,) = [c for c in cells if f'exercise("{e.name}").check({e.stub.__name__})' in c]
        assert inspect.getsource(e.stub).strip() in cell
        assert f'exercise("{e.name}").help()' in cell
