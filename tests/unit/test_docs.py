"""The documentation agrees with the repository: links, commands, options, names in examples, sweep files, versions."""

import ast
import builtins
import inspect
import re
import tomllib
from pathlib import Path
from textwrap import dedent

import typer.main
import yaml

import bimt_core
import sweeps
from sweeps.cli.main import app
from sweeps.spec.files import read_specs

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REPOSITORY = "bimt-sweeps/bimt-sweeps"
OURS = re.compile(
    rf"https://(?:raw\.githubusercontent\.com/{REPOSITORY}/main|github\.com/{REPOSITORY}/(?:blob|tree|raw)/main)/([^#?]*)"
)
LINK = re.compile(r"\]\(<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\)|<img[^>]*\ssrc=\"([^\"]+)\"")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
PACKAGES = {"bimt_core": bimt_core, "sweeps": sweeps}
REEXPORTED = {"METRICS"}  # of bimt_core, by sweeps


def links(page):
    text = FENCED.sub("", page.read_text())
    return [image or link for link, image in LINK.findall(text)]


def fenced(page, language):
    return [code for found, code in FENCED.findall(page.read_text()) if found == language]


def indented(page):
    return [dedent(block) for block in INDENTED.findall(FENCED.sub("", page.read_text()))]


def python_code(page):
    """The Python examples of a page; indented blocks that are not Python are skipped."""
    trees = [ast.parse(code) for code in fenced(page, "python")]
    for code in indented(page):
        try:
            trees.append(ast.parse(code))
        except SyntaxError:
            continue
    return trees


def test_links_lead_to_existing_files():
    for page, link in ((path, link) for path in PAGES for link in links(path)):
        ours = OURS.match(link)
        if ours or not re.match(r"[a-z]+:|#", link):
            target = ROOT / ours[1] if ours else page.parent / link.partition("#")[0]
            assert target.exists(), f"{page.name}: {link}"
            assert ours or page.name != "README.md", f"{link} does not work on a package index"
            in_site = (ROOT / "docs") in page.parents
            assert ours or not in_site or target.resolve().is_relative_to(ROOT / "docs"), f"{link} leaves the site"


def test_links_of_this_repository_are_recognized():
    assert len(links(ROOT / "README.md")) > 10
    assert OURS.match(f"https://github.com/{REPOSITORY}/blob/main/docs/paper.md#x")[1] == "docs/paper.md"
    found = LINK.findall('[a](b.md) ![c](d.png "e") <img width="1" src="f.png">')
    assert found == [("b.md", ""), ("d.png", ""), ("", "f.png")]


def test_make_targets_exist_and_are_documented():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[1].split()
    assert [target for target in targets if not re.search(rf"^{target}:.*  ## \w", makefile, re.MULTILINE)] == []
    for page in PAGES:
        assert set(re.findall(r"(?:^ +|`)make (\w+)", page.read_text(), re.MULTILINE)) <= set(targets), page.name


def test_programs_exist():
    for page in [*PAGES, ROOT / "Makefile"]:
        for path in re.findall(r"python\s+((?:benchmarks|docs)/[\w/.]+\.py)", page.read_text()):
            assert (ROOT / path).is_file(), f"{page.name}: {path}"


def test_the_readme_names_its_commands():
    text = (ROOT / "README.md").read_text()
    for target in ("sweep", "test", "quick"):
        assert f"    make {target} " in text


def test_commands_and_their_options_exist():
    commands = typer.main.get_command(app).commands
    for page in PAGES:
        code = "\n".join([*indented(page), *(code for _, code in FENCED.findall(page.read_text()))])
        for line in re.findall(r"^(?:[\w./]*/)?bimt (\w.*)", code, re.MULTILINE):
            command, *words = re.split(r"\s#|\s&&|\s\|", line)[0].split()
            assert command in commands, f"{page.name}: bimt {line}"
            allowed = {option for parameter in commands[command].params for option in parameter.opts}
            options = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert options <= allowed, f"{page.name}: bimt {line}"
        assert set(re.findall(r"`bimt (\w+)", page.read_text())) <= set(commands), page.name


def test_python_examples_use_names_and_arguments_that_exist():
    for page in PAGES:
        nodes = [node for tree in python_code(page) for node in ast.walk(tree)]
        bound = {"line", "grid", "ring"}  # of bimt_core.geometry
        bound |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                bound |= check_import(node, page)
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                check_call(node, bound, page)


def check_import(node, page):
    """Checks an import and returns the names that it binds."""
    names = {alias.name for alias in node.names}
    package, _, submodule = node.module.partition(".")
    if package in PACKAGES:
        path = ROOT.joinpath(*node.module.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), f"{page.name}: {node.module}"
        assert submodule or names <= set(PACKAGES[package].__all__), f"{page.name}: {ast.unparse(node)}"
    return names


def check_call(node, bound, page):
    """Checks that the called function is known and takes the keyword arguments."""
    name = node.func.id
    package = next((package for package in PACKAGES.values() if name in package.__all__), None)
    if package is None:
        assert name in bound or hasattr(builtins, name), f"{page.name}: {ast.unparse(node)}"
        return
    parameters = inspect.signature(getattr(package, name)).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        assert {keyword.arg for keyword in node.keywords} <= set(parameters), f"{page.name}: {ast.unparse(node)}"


def test_sweep_files_are_valid(tmp_path):
    for code in (code for page in PAGES for code in fenced(page, "yaml")):
        if {"objectives", "sweeps"} & set(yaml.safe_load(code)):
            (tmp_path / "sweep.yaml").write_text(code)
            assert read_specs(tmp_path / "sweep.yaml")


def test_the_file_tree_of_the_readme_is_complete():
    (block,) = re.findall(r"^## Files\n\n((?:    .*\n)+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    listed, folders = set(), [ROOT]
    for line in dedent(block).splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        if indent <= 4:  # deeper lines continue a description
            folders = [*folders[: 1 + indent // 2], ROOT]
            path = folders[indent // 2] / name
            assert path.exists(), name
            listed.add(path)
            folders[1 + indent // 2] = path
    for package in (ROOT / name for name in PACKAGES):
        parts = {path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
        assert {path.name for path in parts - listed} == {"__init__.py"}


def test_the_api_pages_have_all_public_names():
    text = "\n".join(path.read_text() for path in sorted((ROOT / "docs" / "api").glob("*.md")))
    for package in PACKAGES.values():
        names = re.findall(rf"^::: {package.__name__}\.(?:\w+\.)*(\w+)$", text, re.MULTILINE)
        assert sorted(names) == sorted(set(package.__all__) - (REEXPORTED if package is sweeps else set()))


def test_versions_agree():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    released = re.findall(r"^## \[(\d[\d.]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version
    for file in ("Dockerfile", "kuberay.yaml", "rayjob.yaml"):
        assert f"bimt:{version}" in (ROOT / "deploy" / file).read_text()
