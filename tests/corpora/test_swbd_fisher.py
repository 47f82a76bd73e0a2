"""Fisher + Switchboard as one corpus: found at up to three levels and through links, or the right folder is named."""

from pathlib import Path

import pytest
from telephone_corpus import write_call, write_fisher, write_switchboard

from sewcli.base.errors import UsageError
from sewcli.cli.prep import prep
from sewcli.corpora.swbd_fisher import NAME, find_corpus, find_splits


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_fisher(write_switchboard(tmp_path / "corpora" / NAME))


def names(corpus: Path) -> list[str]:
    return [split.name for split in find_splits(find_corpus(corpus), None)]


def sizes(corpus: Path) -> dict[str, int]:
    return {split.name: len(split.read(split.folder).candidates) for split in find_splits(find_corpus(corpus), None)}


def test_nothing_given_and_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEW_CORPORA", raising=False)
    with pytest.raises(UsageError, match=r"^download/swbd_fisher: .*not here[\s\S]*LDC97S62[\s\S]*LDC2004S13") as error:
        prep("swbd_fisher")
    assert error.value.exit_code == 2 and "--mini" in str(error.value)
    assert not any(tmp_path.iterdir())


def test_default_places(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEW_CORPORA", str(corpus.parent))
    assert find_corpus(None) == corpus
    monkeypatch.delenv("SEW_CORPORA")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "download").symlink_to(corpus.parent)
    assert find_corpus(None) == Path("download", NAME)


def test_three_levels_down_and_through_links(corpus: Path, tmp_path: Path) -> None:
    every = {"train-swbd": 5, "train-fisher": 5}
    assert sizes(corpus) == every
    links = tmp_path / "links" / "speech" / "english"
    links.mkdir(parents=True)
    for part in corpus.iterdir():
        (links / part.name.lower()).symlink_to(part)
    assert sizes(tmp_path / "links") == every
    deep = tmp_path / "deep"
    deep.mkdir()
    (tmp_path / "links").rename(deep / "links")
    with pytest.raises(UsageError, match=f"some levels below .*\n.*give {deep / 'links' / 'speech' / 'english'}"):
        find_corpus(deep)
    assert sizes(deep / "links" / "speech") == every


def test_folders_without_a_number_in_their_names(corpus: Path, tmp_path: Path) -> None:
    """Discs as they are mounted, and calls in a folder of one's own: known by what is in them."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (corpus / "LDC97S62" / "swb1_d1" / "data").rename(mine / "calls of 1990")
    (corpus / "LDC97S62" / "swb1_d2" / "data" / "sw02005.sph").rename(mine / "calls of 1990" / "sw02005.sph")
    (corpus / "swb_ms98_transcriptions").rename(mine / "swb_ms98_transcriptions")
    (corpus / "LDC2004S13" / "fe_03_p1_sph1").rename(mine / "fe_03_p1_sph1")
    (corpus / "LDC2005S13" / "fisher_eng_tr_sp_d1").rename(mine / "FISHER_ENG_TR_SP_D1")
    (corpus / "LDC2004T19" / "fe_03_p1_tran").rename(mine / "fe_03_p1_tran")
    (corpus / "LDC2005T19").rename(mine / "fe_03_p2_tran_LDC2005T19")
    assert sizes(mine) == {"train-swbd": 5, "train-fisher": 5}


def test_a_folder_that_is_there_twice_counts_once(corpus: Path) -> None:
    (corpus / "again").symlink_to(corpus / "LDC97S62")
    (corpus / "LDC97S62" / "swb1_d1" / "loop").symlink_to(corpus)
    (split,) = find_splits(corpus, ["train-swbd"])
    listing = split.read(split.folder)
    assert len(listing.candidates) == 5 and not listing.rejections


def test_links_to_nowhere_are_passed_over(corpus: Path) -> None:
    (corpus / "LDC2007S10").symlink_to(corpus / "LDC2007S10")  # to itself
    (corpus / "LDC2002S09").symlink_to(corpus / "absent")
    assert names(corpus) == ["train-swbd", "train-fisher"]


def test_one_level_off(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"inside one part of the corpus .*\n.*give {corpus}"):
        find_corpus(corpus / "LDC97S62")
    with pytest.raises(UsageError, match=f"inside one part of the corpus .*\n.*give {corpus}"):
        find_corpus(corpus / "LDC2004S13" / "fe_03_p1_sph1" / "audio")
    with pytest.raises(UsageError, match=r"swbd_fishr: no such folder - did you mean 'swbd_fisher'\?"):
        find_corpus(corpus.with_name("swbd_fishr"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"nothing of Switchboard or Fisher[\s\S]*LDC97S62[\s\S]*LDC2005T19"):
        find_corpus(tmp_path / "empty")


def test_parts(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [split.name for split in find_splits(corpus, ["train-fisher"])] == ["train-fisher"]
    with pytest.raises(
        UsageError, match=r"no part 'train-swb' - did you mean 'train-swbd'\? .*\n.*there are: train-swbd"
    ):
        find_splits(corpus, ["train-swb"])
    for part in corpus.glob("LDC200*"):
        part.rename(corpus.parent / part.name)
    assert names(corpus) == ["train-swbd"]
    assert "no train-fisher: Fisher English (LDC2004S13" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UsageError, match=r"train-fisher is not here .*\n.*unpack or link Fisher English"):
        find_splits(corpus, ["train-fisher"])


def test_other_folders_beside_it_change_nothing(corpus: Path, tmp_path: Path) -> None:
    """A part that is done stays done when another is unpacked beside it; a new call of its own makes it again."""
    out = tmp_path / "data"
    prep("swbd_fisher", corpus, out=out, part=["train-swbd"], jobs=1)
    before = (out / "cuts_train-swbd.jsonl.gz").read_bytes()
    prep("swbd_fisher", corpus, out=out, jobs=1)
    assert (out / "cuts_train-swbd.jsonl.gz").read_bytes() == before
    write_call(corpus / "LDC97S62" / "swb1_d2" / "data" / "sw02005.sph", seconds=5.8)
    prep("swbd_fisher", corpus, out=out, jobs=1)
    assert (out / "cuts_train-swbd.jsonl.gz").read_bytes() != before
