"""Rules of the project's English that a program can check; docs/glossary.md has the vocabulary."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SOURCES = [path for package in ("bimt_core", "sweeps") for path in sorted((PROJECT / package).rglob("*.py"))]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
QUESTION = re.compile(r"\s*(What|Which|Where|How|Whether)\b")
PARTICIPLE = re.compile(r"(^|_)(told|made|spoken|begun)(_|$)")
AVOIDED = re.compile(
    r"\b(ledger|knobs|knock-?outs?|picture book|filmed|contact sheet|earlier versions)\b", re.IGNORECASE
)
Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(tree: ast.Module) -> Iterator[Definition]:
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def public_functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """Functions and methods without a leading underscore, also of their class, and not nested in functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child)
        elif isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield child


def problems_of(source: str) -> list[str]:
    found, tree = [], ast.parse(source)
    for node in definitions(tree):
        name, docstring = getattr(node, "name", "the module"), ast.get_docstring(node) or ""
        if QUESTION.match(docstring):
            found.append(f"{name}: a docstring starts with a verb or a noun, not with {docstring.split()[0]}")
        if PARTICIPLE.search(name):
            found.append(f"{name}: functions are verbs, classes are nouns")
    for function in public_functions(tree):
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        docstring = ast.get_docstring(function) or ""
        is_documented = not docstring or "Args:" in docstring or docstring.startswith("See `")
        if not is_documented and any(argument.arg not in ("self", "cls") for argument in arguments):
            found.append(f"{function.name}: document the arguments under Args:")
    return found + [f"avoid {match[0]!r}" for match in AVOIDED.finditer(source)]


def test_docstrings_and_names_are_plain_english():
    problems = [
        f"{path.relative_to(PROJECT)}: {problem}"
        for path in SOURCES
        for problem in problems_of(path.read_text())
        if not (path.parent.name == "cli" and problem.endswith("Args:"))  # typer's options document themselves
    ]
    assert problems == []


def test_pages_use_the_vocabulary():
    pages = [path for path in PAGES if path.name != "glossary.md"]
    assert [f"{page.name}: {match[0]}" for page in pages for match in AVOIDED.finditer(page.read_text())] == []


def test_the_rules_find_what_breaks_them():
    source = '"""What is here."""\ndef was_told(x):\n    """Returns x of the ledger."""\n'
    assert problems_of(source) == [
        "the module: a docstring starts with a verb or a noun, not with What",
        "was_told: functions are verbs, classes are nouns",
        "was_told: document the arguments under Args:",
        "avoid 'ledger'",
    ]
