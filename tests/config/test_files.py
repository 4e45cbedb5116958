"""A configuration of several files: their order, what they may share, and what is said twice."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobike.config import ConfigError, Loaded, load, parse
from mobike.config.models import SECTIONS, ConnectionTable, Table
from tests.config.judge import Judge
from tests.config.office import KEY, office

OFFICE = office('psk_file = "office.psk"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    _write(tmp_path / "office.psk", KEY)
    _write(tmp_path / "mobike.toml", "")
    return tmp_path


def _write(file: Path, text: str, mode: int = 0o600) -> None:
    file.touch(mode=mode)
    file.chmod(mode)
    file.write_text(text)


def _load(folder: Path, **environ: str) -> Loaded:
    return load(folder, Judge(), environ=environ)


def _wrong(folder: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, **environ)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_files_beside_the_main_one_are_read_in_the_order_of_their_names(folder: Path) -> None:
    _write(folder / "mobike.toml", "[daemon]\nshards = 2\n")
    _write(folder / "conf.d/20-b.toml", OFFICE.replace("office]", "second]"))
    _write(folder / "conf.d/10-a.toml", OFFICE.replace("office]", "first]") + "[daemon]\nike_port = 1500\n")
    for not_read in ("conf.d/notes.txt", "conf.d/30-c.toml.bak", "conf.d/.40-d.toml"):
        _write(folder / not_read, "this is not TOML")
    settings = _load(folder).settings
    assert [connection.name for connection in settings.connections] == ["first", "second"]
    assert (settings.daemon.shards, settings.daemon.ike_port) == (2, 1500)
    # Relative paths begin at the main file, wherever they are written.
    assert {connection.profile.psk for connection in settings.connections} == {KEY.encode()}
    by_name = load(folder / "mobike.toml", Judge(), environ={}).settings
    assert (by_name.daemon, len(by_name.connections)) == (settings.daemon, 2)


def test_one_file_alone_needs_no_folder_beside_it(folder: Path) -> None:
    (folder / "conf.d").rmdir()
    assert _load(folder).settings.connections == ()
    (folder / "mobike.toml").unlink()
    assert _wrong(folder) == ["mobike.toml: No such file or directory"]


def test_what_is_said_in_two_files_names_both_and_their_lines(folder: Path) -> None:
    _write(folder / "mobike.toml", "[daemon]\nshards = 2\nike_port = 1500\n\n" + OFFICE + "[limits.prefix]\nv4 = 24\n")
    again = (
        OFFICE.replace("office.psk", "x") + '[limits]\nmax_half_open = 9\nprefix.v4 = 30\n[[links.rule]]\nmatch="a"\n'
    )
    _write(folder / "conf.d/a.toml", "[daemon]\nnatt_port = 4501\nshards = 3\n" + again)
    _write(folder / "conf.d/b.toml", '[[links.rule]]\nmatch = "b"\n')
    assert _wrong(folder) == [
        "conf.d/a.toml:3: daemon.shards: is in mobike.toml:2 already; say it in one of both",
        "conf.d/a.toml:4: connections.office: is in mobike.toml:5 already; say it in one of both",
        "conf.d/a.toml:13: limits.prefix.v4: is in mobike.toml:13 already; say it in one of both",
        "conf.d/b.toml:1: links.rule: is in conf.d/a.toml:14 already; say it in one of both",
    ]


def test_problems_name_the_file_that_they_are_in_and_come_in_the_order_of_the_files(folder: Path) -> None:
    _write(folder / "mobike.toml", "[daemon]\nshards = 99\n")
    _write(folder / "conf.d/a.toml", OFFICE.replace("remote =", "remot ="))
    _write(folder / "conf.d/b.toml", "[pools.people]\nranges = []\n\n[deamon]\n")
    assert _wrong(folder) == [
        "mobike.toml:2: daemon.shards: must be 16 or less",
        "conf.d/a.toml:3: connections.office.remot: unknown key; did you mean remote?",
        "conf.d/b.toml:2: pools.people.ranges: must not be empty",
        "conf.d/b.toml:4: deamon: unknown key; did you mean daemon?",
    ]


def test_every_file_that_is_no_toml_is_told_at_once(folder: Path) -> None:
    _write(folder / "conf.d/a.toml", "a = \n")
    _write(folder / "conf.d/b.toml", "[daemon]\nshards = 1\nshards = 2\n")
    first, second = _wrong(folder)
    assert first.startswith("conf.d/a.toml:1: Invalid value")
    assert second == "conf.d/b.toml:3: daemon.shards: is in line 2 already; say it once"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[daemon]\nshards = 1\n[api]\n[daemon]\n", "4: daemon: is in line 1 already; say it once"),
        ("daemon = {shards = 1, shards = 2}\n", "1: daemon.shards: is in line 1 already; say it once"),
        ("daemon = 1\n[daemon]\n", "2: daemon: is in line 1 already; say it once"),
        ('[[links.rule]]\nmatch = "a"\n[links.rule]\n', "3: links.rule: is in line 1 already; say it once"),
        (
            "[limits]\nprefix.v4 = 1\n[limits.prefix]\n",
            "3: limits.prefix: is a table already; say all of it in one place",
        ),
        ('[daemon]\nshards = 1\nshards = """\n2"""\n', "3: daemon.shards: is in line 2 already; say it once"),
    ],
)
def test_what_is_said_twice_in_one_file_names_key_and_lines(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Judge())
    assert str(caught.value) == f"mobike.toml:{problem}"


@given(st.text(alphabet="[]{}=.\"'#,a\n ", max_size=40))
def test_no_text_makes_the_search_for_what_is_said_twice_go_astray(text: str) -> None:
    for broken in (f"a = 1\n{text}\na = 2\n", f"{text}\n[b]\n{text}\n[b]\n"):
        try:
            parse(broken, Judge())
        except ConfigError as error:
            assert all(1 <= (problem.line or 0) <= broken.count("\n") + 1 for problem in error.problems)


def test_a_secret_can_be_a_credential_of_systemd(folder: Path) -> None:
    credentials = folder / "credentials"
    credentials.mkdir()
    _write(credentials / "office.psk", KEY)
    _write(folder / "mobike.toml", OFFICE.replace('"office.psk"', '"credential:office.psk"'))
    (office,) = _load(folder, CREDENTIALS_DIRECTORY=str(credentials)).settings.connections
    assert office.profile.psk == KEY.encode()
    assert _wrong(folder) == [
        "mobike.toml:6: connections.office.psk_file: there are no credentials:"
        " systemd sets CREDENTIALS_DIRECTORY for a service with LoadCredential="
    ]


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a/b", "..", ".hidden", "a b"])
def test_a_credential_is_a_name_and_no_path(folder: Path, name: str) -> None:
    _write(folder / "mobike.toml", OFFICE.replace('"office.psk"', f'"credential:{name}"'))
    (problem,) = _wrong(folder, CREDENTIALS_DIRECTORY=str(folder))
    assert "a credential has a name without slashes" in problem


def test_what_is_not_there_is_told_with_what_is_near(folder: Path) -> None:
    _write(folder / "mobike.toml", OFFICE.replace('"office.psk"', '"ofice.psk"'))
    (problem,) = _wrong(folder)
    assert problem.endswith("ofice.psk: No such file or directory; did you mean office.psk?")
    _write(folder / "mobike.toml", OFFICE.replace('psk_file = "office.psk"', 'psk_env = "OFICE_PSK"'))
    assert _wrong(folder, OFFICE_PSK=KEY) == [
        "mobike.toml:6: connections.office.psk_env: the environment has no variable 'OFICE_PSK';"
        " did you mean OFFICE_PSK?"
    ]
    pool = '[pools.people]\nranges = ["10.9.0.0/24"]\n'
    _write(folder / "mobike.toml", pool + OFFICE + 'pool_from = "poeple"\n')
    assert any("there is no [pools.poeple]; did you mean people?" in line for line in _wrong(folder))


def test_a_word_that_is_not_among_the_valid_ones_is_told_the_nearest(folder: Path) -> None:
    _write(folder / "mobike.toml", OFFICE + 'switch = "prooven"\n')
    assert _wrong(folder) == [
        "mobike.toml:8: connections.office.switch: must be 'proven' or 'at-once'; did you mean proven?"
    ]


def test_keys_of_a_connection_without_its_table_are_told_where_they_belong(folder: Path) -> None:
    _write(folder / "mobike.toml", '[connections]\nrole = "initiator"\n')
    assert _wrong(folder) == ["mobike.toml:2: connections.role: belongs into a table with a name: [connections.NAME]"]


VALUES = st.one_of(
    st.sampled_from(['""', "0", "-1", "99999999999999999999", "1.5", "nan", "true", "[]", "{}", "1979-05-27"]),
    st.sampled_from(["[1]", '["x"]', '[["x"]]', "{ a = 1 }", "[{}]", "07:32:00", '"\\u0000"', '"' + "x" * 300 + '"']),
)


@given(st.data())
def test_no_problem_speaks_the_language_of_the_library_that_found_it(data: st.DataObject) -> None:
    models: dict[str, type[Table]] = {**SECTIONS, "connections.office": ConnectionTable}
    table = data.draw(st.sampled_from(sorted(models)))
    key = data.draw(st.sampled_from(sorted(models[table].model_fields)))
    text = f"[{table}]\n{key} = {data.draw(VALUES)}\n"
    try:
        parse(text, Judge(), environ={})
    except ConfigError as error:
        foreign = ("should", "Input", "validation", "Field")
        assert [str(each) for each in error.problems if any(word in each.message for word in foreign)] == []
