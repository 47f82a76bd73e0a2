"""Other people's text files: marks, encodings, compression and lines without an end."""

import gzip

import pytest
from support.refusals import refused

from sewcli.base import texts
from sewcli.base.errors import DataError
from sewcli.base.texts import open_text, read_lines

TEXT = "UN CAFÉ\nAU LAIT\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_marks_line_ends_and_gzip_change_nothing(tmp_path, encoding: str, ending: str, packed: bool) -> None:
    content = TEXT.replace("\n", ending).encode(encoding)
    file = tmp_path / "a.txt"
    file.write_bytes(gzip.compress(content) if packed else content)
    assert read_lines(file) == ["UN CAFÉ", "AU LAIT"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(tmp_path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT.encode(encoding))
    with pytest.raises(DataError, match=encoding.replace("-le", "LE").replace("-be", "BE").upper()) as caught:
        read_lines(tmp_path / "a.txt")
    assert "iconv" in str(caught.value.hint)


@pytest.mark.parametrize("packed", [False, True])
def test_latin_1_is_named_with_its_line(tmp_path, packed: bool) -> None:
    content = f"{'A' * 70_000}\nONE\n{TEXT}".encode("latin-1")
    (tmp_path / "a.txt").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=r"line 3: not UTF-8 text \(byte 0xc9\); Latin-1"):
        read_lines(tmp_path / "a.txt")


def test_a_line_separator_ends_no_line(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("A\u2028B\nC", encoding="utf-8")
    assert read_lines(tmp_path / "a.txt") == ["A\u2028B", "C"]


def test_what_cannot_be_read(tmp_path, monkeypatch) -> None:
    with refused(DataError, "file-not-found"):
        read_lines(tmp_path / "none.txt")
    with refused(DataError, "folder-for-file"):
        read_lines(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(TEXT.encode() * 1000)[:-9])
    with pytest.raises(DataError, match="to its end"):
        read_lines(tmp_path / "cut.gz")
    monkeypatch.setattr(texts, "LONGEST_LINE", 10)
    (tmp_path / "long.txt").write_text("A\n" + "B" * 11)
    with pytest.raises(DataError, match="line 2 has over 10 characters"), open_text(tmp_path / "long.txt") as lines:
        list(lines)
