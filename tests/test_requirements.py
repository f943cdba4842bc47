"""The three lists of dependencies agree."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from embedlab.settings import ROOT


def ranges() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {r.name: r for r in map(Requirement, project["dependencies"])}


def pins(lines) -> dict[str, str]:
    return dict(line.split("==") for line in lines)


def requirements_lines() -> list[str]:
    text = (ROOT / "requirements.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_requirements_are_exact_pins_and_nothing_else():
    for line in requirements_lines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line


def test_every_dependency_is_pinned_within_its_range():
    wanted, pinned = ranges(), pins(requirements_lines())
    assert set(wanted) == set(pinned)
    for name, version in pinned.items():
        assert wanted[name].specifier.contains(version), name


def test_environment_has_the_same_pins():
    *lines, project = environment()["dependencies"][-1]["pip"]
    assert project == "-e ."
    assert lines == requirements_lines()  # in the same order, none twice


def test_environment_has_the_same_python():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (python,) = (d for d in environment()["dependencies"] if str(d).startswith("python"))
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(project["requires-python"])


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "pyproject.toml"])
def test_no_addresses(name):
    text = (ROOT / name).read_text()
    for word in ("://", "index-url", "find-links", " @ "):
        assert word not in text
