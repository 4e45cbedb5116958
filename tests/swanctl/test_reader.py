"""The reader of swanctl.conf: its format, its limits, and what it says of text that is none."""

from collections.abc import Sequence
from fnmatch import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.swanctl.reader import DEEPEST, Source, read
from mobike.swanctl.tree import Place, Section, SwanctlError, effective


def _read(text: str, **files: str) -> Section:
    def include(pattern: str, place: Place) -> Sequence[Source]:
        return [Source(name, files[name]) for name in sorted(files) if fnmatch(name, pattern)]

    return read(Source("swanctl.conf", text), include)


def _plain(section: Section) -> dict[str, object]:
    values: dict[str, object] = {key: value.text for key, value in section.values.items()}
    return values | {name: _plain(inner) for name, inner in section.sections.items()}


def _wrong(text: str, **files: str) -> str:
    with pytest.raises(SwanctlError) as caught:
        effective(_read(text, **files))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("", {}),
        ("# nothing\n\n", {}),
        ("a = b", {"a": "b"}),
        ("a=b # comment\n", {"a": "b"}),
        ("a =\n", {"a": ""}),
        ("a = several words  \n", {"a": "several words"}),
        ('a = "#{ }  quoted"\n', {"a": "#{ }  quoted"}),
        ('a = "one\\ttwo\\"three\\\\ \\x"', {"a": 'one\ttwo"three\\ x'}),
        ('a = "on\\\nward"', {"a": "onward"}),
        ("s { a = b }", {"s": {"a": "b"}}),
        ("s\n{\n\ta = 1\r\n t { b = 2 }\n}", {"s": {"a": "1", "t": {"b": "2"}}}),
        ("s { a = 1 }\ns { b = 2 }", {"s": {"a": "1", "b": "2"}}),
        ("id = C=CH, O=Example, CN=*\n", {"id": "C=CH, O=Example, CN=*"}),
        ("include = yes\nincludes { a = 1 }", {"include": "yes", "includes": {"a": "1"}}),
    ],
)
def test_the_format_is_read(text: str, read_as: dict[str, object]) -> None:
    assert _plain(_read(text)) == read_as


def test_every_value_knows_its_line() -> None:
    tree = _read('a = 1\n\ns {\n  b = "x\n  y"\n  c = 2\n}\n')
    assert tree.values["a"].place == Place("swanctl.conf", 1)
    assert tree.sections["s"].place.line == 3
    assert [value.place.line for value in tree.sections["s"].values.values()] == [4, 6]


def test_a_later_value_replaces_an_earlier_one_and_that_is_known() -> None:
    tree = _read("a = 1\na = 2\n")
    assert tree.values["a"].text == "2"
    assert [(key, old.text, old.place.line) for key, old in tree.replaced] == [("a", "1", 1)]


def test_files_are_included_where_they_are_named() -> None:
    text = "s {\n  a = 1\n  include inner.conf\n}\ninclude conf.d/*.conf\n"
    files = {"inner.conf": "a = 2\nb = 3\n", "conf.d/1.conf": "s { b = 4 }", "conf.d/2.conf": "t { c = 5 }"}
    tree = _read(text, **files)
    assert _plain(tree) == {"s": {"a": "2", "b": "4"}, "t": {"c": "5"}}
    assert tree.sections["s"].values["b"].place == Place("conf.d/1.conf", 1)


def test_sections_inherit_what_they_do_not_say() -> None:
    text = """
    base { a = 1
        b = 1
        inner { x = 1
            y = 1 } }
    more { b = 2
        c = 2
        inner { y = 2
            z = 2 } }
    s : base, more { a = 0
        inner { x = 0 } }
    t : s { c = }
    """
    whole = _plain(effective(_read(text)))
    assert whole["s"] == {"a": "0", "b": "1", "c": "2", "inner": {"x": "0", "y": "1", "z": "2"}}
    assert whole["t"] == {"a": "0", "b": "1", "c": "", "inner": {"x": "0", "y": "1", "z": "2"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s {\n a = 1\n", "swanctl.conf:1: section s is not closed: a '}' is missing"),
        ("a = 1\n}\n", "swanctl.conf:2: a '}' that closes nothing"),
        ("a\n", "swanctl.conf:1: after a there must be '= VALUE' or '{'"),
        ("s {\n  = 1\n}", "swanctl.conf:2: expected a name, and there is '='"),
        ('s {\n  a = "open\n}', "swanctl.conf:2: a quote that is not closed"),
        ("a = b { c = d }", "swanctl.conf:1: a '{' within a value; put quotes around it"),
        ("s : { }", "swanctl.conf:1: expected the name of a section, and there is '{'"),
        ("s : base { }", "swanctl.conf:1: there is no section base to inherit from"),
        ("a : b { }\nb : a { }", "swanctl.conf:1: section a inherits from itself"),
        ("a { b : a { } }", "swanctl.conf:1: section a inherits from itself"),
        ("include swanctl.conf\n", "swanctl.conf:1: swanctl.conf includes itself"),
        ("include x.conf", "x.conf:2: swanctl.conf includes itself"),
        ("x {" * (DEEPEST + 1), f"swanctl.conf:1: more than {DEEPEST} sections within each other"),
    ],
)
def test_what_is_wrong_names_file_and_line(text: str, message: str) -> None:
    assert _wrong(text, **{"swanctl.conf": "", "x.conf": "\ninclude swanctl.conf"}) == message


def test_inheritance_that_would_fill_the_memory_is_refused() -> None:
    levels = "s0 { x { a = 1 } }\n"
    for level in range(1, 40):
        levels += f"s{level} {{ l : s{level - 1} {{ }} r : s{level - 1} {{ }} }}\n"
    assert "sections and values, inherited ones counted" in _wrong(levels)
    chain = "".join(f"s{level} : s{level + 1} {{ }}\n" for level in range(5000)) + "s5000 { }\n"
    assert "sections that inherit from each other" in _wrong(chain)


NAMES = st.text(alphabet="abcde-_0", min_size=1, max_size=6).filter(lambda name: name != "include")
TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20)
TREES: st.SearchStrategy[dict[str, object]] = st.recursive(
    st.dictionaries(NAMES, TEXTS, max_size=4),
    lambda inner: st.dictionaries(NAMES, st.one_of(TEXTS, inner), max_size=4),
    max_leaves=12,
)


def _written(tree: dict[str, object], pad: str = "") -> str:
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines.append(f"{pad}{key} {{ # section\n{_written(value, pad + '  ')}{pad}}}\n")
        else:
            quoted = str(value).replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{pad}{key} = "{quoted}"\n')
    return "".join(lines)


@given(TREES)
def test_every_tree_survives_being_written_and_read(tree: dict[str, object]) -> None:
    assert _plain(_read(_written(tree))) == tree


@given(st.text(alphabet='ab {}=:,."\\#\n\tinclude', max_size=60))
def test_no_text_does_more_than_raise_an_error_with_its_place(text: str) -> None:
    try:
        effective(_read(text))
    except SwanctlError as error:
        assert 1 <= error.place.line <= text.count("\n") + 1
