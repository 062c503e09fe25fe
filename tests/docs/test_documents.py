"""The documents hold together: what they name exists, and what they show can be run or parsed."""

import json
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

import firstchair
from docs.scripts.check_site import network_assets
from firstchair.cli import app
from firstchair.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
# The pages of one's own data name it already; the change that adds it removes this.
PROMISED = {"check"}
BLOCK = re.compile(r"(?ms)^ *```(\w*)[^\n]*\n(.*?)^ *```")


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    """Page and text of each code block in one of the languages."""
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text()):
            if language in languages:
                yield str(page.relative_to(ROOT)), textwrap.dedent(text)


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block; a line that ends in a backslash goes on."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


@pytest.mark.parametrize(("page", "text"), blocks("", "sh", "bash", "console"))
def test_a_command_in_a_block_exists(page: str, text: str) -> None:
    for words in commands_in(text):
        if Path(words[0]).name == "firstchair":
            require_command(words[1:])
        elif words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= TARGETS, page
        elif words[1:2] == ["-m"]:
            assert module_path(words[2]).exists(), f"{page}: {words[2]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_a_sentence_exist(page: Path) -> None:
    for quoted in re.findall(r"`((?:firstchair|python -m [bdf]|make) ?[^`]*)`", page.read_text()):
        words = quoted.split()
        if words[0] == "make":
            assert set(words[1:2]) <= TARGETS, quoted
        elif words[0] == "firstchair" and words[1:]:
            assert words[1] in {*COMMANDS, *PROMISED, "--help", "--version"}, quoted
        elif words[0] == "python":
            assert module_path(words[2]).exists(), quoted


def require_command(words: list[str]) -> None:
    """The command exists and has each option that is given."""
    if words[0].startswith("-"):
        return
    assert words[0] in COMMANDS, words
    command = COMMANDS[words[0]]
    if hasattr(command, "commands"):
        command = command.commands[words[1]]
    known = {option for parameter in command.params for option in parameter.opts}
    given = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
    assert given <= known | {"--help"}, f"{words[0]}: {given - known}"


def module_path(module: str) -> Path:
    """Where the source of a module of this repository stands."""
    inside = module.replace(".", "/")
    base = ROOT / "src" if module.startswith("firstchair") else ROOT
    return base / inside if (base / inside).is_dir() else base / f"{inside}.py"


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_a_python_block_runs(page: str, text: str) -> None:
    exec(compile(text, page, "exec"), {})


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_a_json_block_parses(page: str, text: str) -> None:
    assert json.loads(text), page


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_a_toml_block_has_settings_that_exist(page: str, text: str) -> None:
    assert set(tomllib.loads(text)) <= set(Settings.model_fields), page


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_a_yaml_block_parses(page: str, text: str) -> None:
    assert yaml.safe_load(text), page


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_a_file_that_is_linked_outside_the_site_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text())

    assert {link for link in links if not (ROOT / link).exists()} == set()


def test_a_document_that_the_code_names_exists() -> None:
    sources = [*Path(firstchair.__file__).parent.rglob("*.py")]
    sources += [*(ROOT / "dagster_project").rglob("*.py"), *(ROOT / "monitoring").rglob("*.py")]

    named = {name for path in sources for name in re.findall(r"docs/[\w/-]+\.md", path.read_text())}

    assert "docs/reference/gate.md" in named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_what_a_page_would_load_from_a_network_is_found(tmp_path: Path) -> None:
    page, style = tmp_path / "page.html", tmp_path / "page.css"
    page.write_text(
        '<link rel="canonical" href="https://example.org/"><a href="https://example.org/">x</a>'
        '<script src="https://example.org/x.js"></script><img src="//example.org/x.png">'
    )
    style.write_text("@import 'https://example.org/x.css'; a { background: url(//example.org/y) }")

    drawn = tmp_path / "drawn.html"
    drawn.write_text('<pre class="mermaid">flowchart</pre>')

    assert network_assets(page) == ["https://example.org/x.js", "//example.org/x.png"]
    assert len(network_assets(drawn)) == 1
    assert network_assets(style) == ["https://example.org/x.css", "//example.org/y"]
