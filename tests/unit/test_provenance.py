"""The code hash changes with the code that a script runs, and with nothing else."""

import textwrap

import pytest

from starglot import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules where script -> a -> b, and c stands apart."""
    root = tmp_path / "src"
    (root / "starglot" / "room").mkdir(parents=True)
    files = {
        "starglot/__init__.py": "",
        "starglot/room/__init__.py": "",
        "starglot/room/a.py": "from starglot.room.b import two\n\ndef one():\n    return two()\n",
        "starglot/room/b.py": '"""Doc."""\n\ndef two():\n    """Doc."""\n    return 2\n',
        "starglot/room/c.py": "def three():\n    return 3\n",
        "script.py": "def main():\n    from starglot.room import a\n    return a.one()\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    monkeypatch.setattr(provenance, "SOURCE_ROOT", root)

    def hashed():
        for cached in (provenance._file, provenance._module_imports, provenance._module_hash):
            cached.cache_clear()
        return provenance.code_hash(root / "script.py")

    yield root, hashed
    for cached in (provenance._file, provenance._module_imports, provenance._module_hash):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("starglot/room/b.py", "def two():\n    return 22\n", True),
        ("starglot/room/__init__.py", "X = 1\n", True),
        ("starglot/room/c.py", "def three():\n    return 33\n", False),
        ("starglot/room/b.py", '"""Other."""\n\n\n# why\ndef two( ):\n    """Other."""\n    return (2)\n', False),
        ("script.py", "def main():\n    from starglot.room import a\n    return a.one() + 1\n", True),
    ],
)
def test_a_real_edit_changes_the_hash_and_nothing_else_does(package, file, text, changes):
    root, hashed = package
    before = hashed()
    (root / file).write_text(text)
    assert (hashed() != before) is changes


def test_relative_imports_are_followed(package):
    root, hashed = package
    (root / "starglot/room/a.py").write_text("from .b import two\nfrom . import c\n")
    before = hashed()
    (root / "starglot/room/c.py").write_text(textwrap.dedent("def three():\n    return 4\n"))
    assert hashed() != before


def test_templates_beside_the_code_count(package):
    root, hashed = package
    before = hashed()
    (root / "starglot/room/templates").mkdir()
    (root / "starglot/room/templates/page.j2").write_text("<p>")
    assert hashed() != before
