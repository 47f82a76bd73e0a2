"""Delimited tables: each row as it stands, and one that does not fit costs no other."""

import gzip
from pathlib import Path

import pytest

from sewcli.base.errors import DataError
from sewcli.corpora.delimited import read_rows


def _read(path: Path, delimiter: str = "|") -> list[dict[str, str] | str | None]:
    return [row.fault or row.values for row in read_rows(path, delimiter, ("id", "text"))]


@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz"])
def test_rows_and_their_faults(tmp_path: Path, name: str) -> None:
    lines = [
        "\ufeffid|text|more".encode(),
        b"1|one|",
        b"",
        b'2|"two|stray quotation mark',  # csv.DictReader swallows the next row here
        b"3|three|x|y",
        b"4|four",
        b"5|caf\xe9|latin-1",
        b'a|"b|c"|6',
        "7|se\u2028ven\u0085|\x0c".encode(),
    ]
    path = tmp_path / name
    text = b"\r\n".join(lines)
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert _read(path) == [
        {"id": "1", "text": "one", "more": ""},
        {"id": "2", "text": '"two', "more": "stray quotation mark"},
        "line 5: 4 columns, not 3",
        "line 6: 2 columns, not 3",
        "line 7: not UTF-8 text",
        {"id": "a", "text": "b|c", "more": "6"},
        {"id": "7", "text": "se\u2028ven\u0085", "more": "\x0c"},
    ]
    assert [row.number for row in read_rows(path, "|", ())] == [2, 4, 5, 6, 7, 8, 9]


def test_a_field_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    path.write_text(f"id\ttext\n1\t{'word ' * 100_000}\n")  # csv stops at 131,072 characters
    [row] = read_rows(path, "\t", ("id", "text"))
    assert len(row.values["text"]) == 500_000


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.tsv: no such table"):
        _read(tmp_path / "none.tsv")
    (tmp_path / "other.tsv").write_text("name\ttext\n")
    with pytest.raises(DataError, match=r"no column 'id' \(there are: 'name', 'text'\)"):
        _read(tmp_path / "other.tsv", "\t")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(DataError, match=r"no column 'id' \(there are: ''\)"):
        _read(tmp_path / "empty.tsv")
    (tmp_path / "a.tsv.gz").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"cannot be read to its end .*\n.*download it again"):
        _read(tmp_path / "a.tsv.gz")
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"id|text\n" + b"1|one\n" * 9999)[:-9])
    with pytest.raises(DataError, match="cannot be read to its end"):
        _read(tmp_path / "b.tsv.gz")
    with pytest.raises(DataError, match="cannot be read to its end"):
        _read(tmp_path)
