import ast
from collections import Counter

import pytest

from embedlab.course.run import lesson_number, lessons
from tests.mutants import MUTANTS, ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_each_mutant_still_fits_the_code(mutant):
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    ast.parse(text.replace(mutant.old, mutant.new))


def test_each_lesson_has_at_least_six():
    count = Counter(lesson for mutant in MUTANTS for lesson in mutant.lessons)
    for path in lessons():
        assert count[lesson_number(path)] >= 6
