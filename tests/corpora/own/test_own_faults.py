"""One's own data as they come, damaged: what is not prepared is listed with the reason, and everything else is prepared."""

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from own_corpus import CORPUS, RATE, cuts, rejected, table_of, write_clips, write_kaldi, write_subtitles, write_table

from sewcli.base.files import read_json


@pytest.fixture
def sew_here(sew_here):
    """`sew`, and what it prepares keeps its texts: here they hold digits in no language."""
    return lambda verb, *given: sew_here(verb, *given, *(["--text-rules", "as-is"] if verb == "prep" else []))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own-clips")
    write_clips(folder)
    return folder


GOOD = [f"{said.id}.wav;Hallo {said.id};{said.speaker}" for said in CORPUS]


def _table(path: Path, rows: list[bytes], head: bytes = b"path;text;speaker") -> Path:
    path.write_bytes(b"\r\n".join([b"\xef\xbb\xbfsep=;", head, *(row.encode() for row in GOOD), *rows]) + b"\r\n")
    return path


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"gone.wav;Hallo;x", "no such sound file"),
        (b"utt00.wav;  ;x", "empty text (line 15)"),
        (b"utt00.wav;Hallo", "2 fields, the head has 3 (line 15)"),
        (b"utt00.wav;Hallo;x;y", "4 fields, the head has 3 (line 15)"),
        (b"utt00.wav;caf\xe9;x", "not UTF-8 text (line 15)"),
        (b";Hallo;x", "no sound file (line 15)"),
        (b"utt00.wav;Hallo zwei;speaker0", "a second utterance of the same id"),
        (b"text.wav;Hallo;x", "cannot be read as sound (it is text)"),
    ],
)
def test_a_faulty_row_costs_itself_alone(row: bytes, reason: str, clips: Path, tmp_path: Path, sew_here) -> None:
    (clips / "text.wav").write_text("<html>not found</html>")
    table = _table(tmp_path / "t.csv", [row])
    done = sew_here("prep", "table", table, "--audio", clips, "--out", tmp_path / "out", "--hold-out", "none", "-j", 2)
    found = rejected(tmp_path / "out")
    if "second" in reason:  # two rows of one file are both of a stretch that nobody names: the ids say so
        assert (done.returncode, len(cuts(tmp_path / "out"))) == (4, len(CORPUS))
        assert list(found.values()) == [reason]
        return
    assert (done.returncode, list(found.values())) == (4, [reason]), done.stderr
    assert len(cuts(tmp_path / "out")) == len(CORPUS)


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ("nan;1", "no such time: 'nan' (line 15)"),
        ("0;inf", "no such time: 'inf' (line 15)"),
        ("-1;1", "no such time: '-1' (line 15)"),
        ("a;1", "not a time in seconds: 'a' (line 15)"),
        ("0,2;0,1", "it ends at 0.1 s, not after its start at 0.2 s (line 15)"),
        ("0;9", "the segment ends at 9.00 s, the audio at 0.25 s"),
        ("5;6", "the segment ends at 6.00 s, the audio at 0.25 s"),
    ],
)
def test_times_that_are_none(times: str, reason: str, clips: Path, tmp_path: Path, sew_here) -> None:
    rows = [f"{said.id}.wav;Hallo;{said.speaker};0;00:00:00,2" for said in CORPUS]
    lines = ["sep=;", "path;text;speaker;start;end", *rows, f"utt00.wav;Hallo;x;{times}"]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    done = sew_here(
        "prep", "table", tmp_path / "t.csv", "--audio", clips, "--out", tmp_path / "out", "--hold-out", "none"
    )
    assert (done.returncode, list(rejected(tmp_path / "out").values())) == (4, [reason]), done.stderr
    assert {cut["seconds"] for cut in cuts(tmp_path / "out").values()} == {0.2}


@pytest.mark.parametrize(
    ("head", "arguments", "message"),
    [
        (b"sound_of;text;speaker", (), "no column that holds the path"),
        (b"path;text;speaker", ("--column", "text=Satz"), "no column 'Satz'"),
        (b"path;text;speaker", ("--column", "words=text"), "no such thing"),
        (b"path;text;speaker", ("--column", "text"), "not of the form WHAT=NAME"),
        (b"path;text;speaker", ("--audio", "elsewhere"), "none of its sound files is there"),
        (b"path;text;speaker", ("--hold-out", "dev=nobody"), "no speaker 'nobody'"),
        (b"path;text;speaker", ("--hold-out", "dev=200%"), "nothing would be left"),
        (b"path;text;speaker", ("--hold-out", "dev=9h"), "9 hours are wanted"),
    ],
)
def test_wishes_that_do_not_fit(
    head: bytes, arguments: tuple[str, ...], message: str, clips, tmp_path, sew_here
) -> None:
    table = _table(tmp_path / "t.csv", [], head)
    given = arguments if "--audio" in arguments else ("--audio", clips, *arguments)
    done = sew_here("prep", "table", table, *given, "--out", tmp_path / "out")
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_quotation_marks_and_line_ends_of_a_table(clips: Path, tmp_path: Path, sew_here) -> None:
    rows = [
        '"utt00.wav","He said ""yes"", twice"',
        'utt01.wav,"two\nlines"',
        'utt02.wav,a 5" pipe',
        'utt03.wav,"never closed',
        "utt04.wav,plain",
        ",",
    ]
    (tmp_path / "t.csv").write_text("\r\n".join(["file name,Sentence", *rows]), encoding="utf-8")
    done = sew_here(
        "prep", "table", tmp_path / "t.csv", "--audio", clips, "--out", tmp_path / "out", "--hold-out", "none"
    )
    assert done.returncode == 0, done.stderr
    texts = {identity: cut["text"] for identity, cut in cuts(tmp_path / "out").items()}
    assert texts == {
        "utt00": 'He said "yes", twice',
        "utt01": "two lines",
        "utt02": 'a 5" pipe',
        "utt03": '"never closed',
        "utt04": "plain",
    }


def test_a_table_without_a_head_and_names_without_endings(clips: Path, tmp_path: Path, sew_here) -> None:
    lines = [f"{said.id}|RAW|the {said.id}" for said in CORPUS]
    (tmp_path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    options = ("--column", "path=1", "--column", "text=3", "--out", tmp_path / "out", "--audio", clips)
    done = sew_here("prep", "table", tmp_path / "metadata.csv", *options)
    assert done.returncode == 0, done.stderr
    assert {cut["text"] for cut in cuts(tmp_path / "out").values()} == {f"the {said.id}" for said in CORPUS}
    assert "no speakers are named, so splits are drawn by recordings" in done.stderr


def test_what_is_drawn_depends_on_seed_and_speakers_alone(clips: Path, tmp_path: Path, sew_here) -> None:
    found = []
    for name, seed, rows in (("a", 1, GOOD), ("b", 1, GOOD[::-1]), ("c", 2, GOOD)):
        (tmp_path / f"{name}.csv").write_text("\n".join(["path;text;speaker", *rows]), encoding="utf-8")
        wishes = ("--hold-out", f"dev=20%@{seed}", "--hold-out", "test=speaker1")
        done = sew_here("prep", "table", tmp_path / f"{name}.csv", "--audio", clips, "--out", tmp_path / name, *wishes)
        assert done.returncode == 0, done.stderr
        drawn = {identity: cut["split"] for identity, cut in cuts(tmp_path / name).items()}
        speakers = {s.speaker: drawn[s.id] for s in CORPUS}
        assert all(drawn[s.id] == speakers[s.speaker] for s in CORPUS) and speakers["speaker1"] == "test"
        assert set(speakers.values()) == {"train", "dev", "test"}
        found.append(drawn)
    assert found[0] == found[1] != found[2]


def test_the_same_stretch_in_two_splits_stays_in_the_test(clips: Path, tmp_path: Path, sew_here) -> None:
    (tmp_path / "train.tsv").write_text("path\ttext\n" + "".join(f"{s.id}.wav\tx {s.id}\n" for s in CORPUS))
    (tmp_path / "test.tsv").write_text("path\ttext\nutt03.wav\tx utt03\n")
    files = (tmp_path / "train.tsv", tmp_path / "test.tsv")
    done = sew_here("prep", "table", *files, "--audio", clips, "--out", tmp_path / "out")
    assert done.returncode == 4
    assert rejected(tmp_path / "out") == {"utt03": "the same stretch of sound as utt03 of test (line 5)"}
    assert {i for i, cut in cuts(tmp_path / "out").items() if cut["split"] == "test"} == {"utt03"}


def test_a_second_run_does_nothing_and_a_changed_table_all(tmp_path: Path, sew_here) -> None:
    arguments = write_table(tmp_path / "data")
    before = sew_here("prep", "table", *arguments, "--out", tmp_path / "out")
    bytes_before = (tmp_path / "out" / "cuts_train.jsonl.gz").read_bytes()
    again = sew_here("prep", "table", *arguments, "--out", tmp_path / "out")
    assert (before.returncode, again.returncode) == (0, 0) and again.stderr.count("prepared already") == 3
    table = Path(arguments[0])
    table.write_text(table.read_text(encoding="utf-8").replace("5 o'clock", "6 o'clock"), encoding="utf-8")
    third = sew_here("prep", "table", *arguments, "--out", tmp_path / "out")
    assert third.returncode == 0 and (tmp_path / "out" / "cuts_train.jsonl.gz").read_bytes() != bytes_before
    entry = read_json(tmp_path / "out" / "prep.json")["splits"]["train"]
    assert (entry["text_rules"], entry["rejected"]) == ("as-is keep", 0)


def test_shards_add_up_to_one_run(tmp_path: Path, sew_here) -> None:
    arguments = write_table(tmp_path / "data")
    for shard in ("1/2", "2/2"):
        assert sew_here("prep", "table", *arguments, "--out", tmp_path / "out", "--shard", shard).returncode == 0
    made = sorted((tmp_path / "out" / "audio").rglob("*.flac"))
    times = [path.stat().st_mtime_ns for path in made]
    assert len(made) == len(CORPUS) and sew_here("prep", "table", *arguments, "--out", tmp_path / "out").returncode == 0
    assert [path.stat().st_mtime_ns for path in made] == times and len(cuts(tmp_path / "out")) == len(CORPUS)


def test_channels_of_a_recording(tmp_path: Path, sew_here) -> None:
    rng = np.random.default_rng(5)
    soundfile.write(tmp_path / "call.wav", rng.normal(0, 0.1, (RATE, 2)), RATE)
    rows = ["path,channel,text,speaker", "call.wav,A,left,anna", "call.wav,1,right,ben", "call.wav,2,none,carla"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    done = sew_here("prep", "table", tmp_path / "t.csv", "--out", tmp_path / "out", "--hold-out", "none")
    assert (done.returncode, rejected(tmp_path / "out")) == (4, {"call-C": "no channel 3"}), done.stderr
    names = sorted(path.name for path in (tmp_path / "out" / "audio" / "train").iterdir())
    assert names == ["call-A.flac", "call-B.flac"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"audio_filepath": "utt00.wav", "text": "x", "offset": NaN, "duration": 1}', "NaN is not JSON (line 13)"),
        ('{"audio_filepath": "utt00.wav", "text": 3', "not a JSON object (line 13)"),
        ("[1]", "not a JSON object: [1] (line 13)"),
        ('{"audio_filepath": "utt00.wav", "text": null}', "empty text (line 13)"),
    ],
)
def test_a_manifest_of_nemo_with_a_faulty_line(line: str, reason: str, clips: Path, tmp_path: Path, sew_here) -> None:
    rows = [json.dumps({"audio_filepath": f"{s.id}.wav", "text": s.text, "speaker": s.speaker}) for s in CORPUS]
    (tmp_path / "m.json").write_text("\n".join([*rows, line]) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    done = sew_here("prep", "nemo", tmp_path / "m.json", "--audio", clips, "--out", out, "--hold-out", "none")
    assert (done.returncode, list(rejected(out).values())) == (4, [reason]), done.stderr
    assert len(cuts(out)) == len(CORPUS)


def test_pipes_of_kaldi_run_only_when_that_is_allowed(tmp_path: Path, sew_here) -> None:
    (folder,) = write_kaldi(tmp_path / "data")
    for scp in Path(folder).glob("*/wav.scp"):
        names = [line.split() for line in scp.read_text().splitlines()]
        scp.write_text("".join(f"{name} cat {tmp_path}/data/{path} |\n" for name, path in names))
    refused = sew_here("prep", "kaldi", folder, "--out", tmp_path / "out")
    assert refused.returncode == 2 and "--allow-pipes" in refused.stderr and not (tmp_path / "out").exists()
    done = sew_here("prep", "kaldi", folder, "--out", tmp_path / "out", "--allow-pipes")
    assert (done.returncode, len(cuts(tmp_path / "out"))) == (0, len(CORPUS)), done.stderr


def test_faults_of_a_kaldi_folder(tmp_path: Path, sew_here) -> None:
    (folder,) = write_kaldi(tmp_path / "data")
    train = Path(folder) / "train"
    with open(train / "segments", "a") as file:
        file.write("bad1 speaker0 nan 1\nbad2 nobody 0 1\nbad3 speaker0 0.3 0.1\nbad4 speaker0\nbad5 ark 0 1\n")
    with open(train / "text", "a") as file:
        file.write("".join(f"bad{n} x\n" for n in range(1, 7)))
    with open(train / "wav.scp", "a") as file:
        file.write("ark raw.ark:123\n")
    done = sew_here("prep", "kaldi", folder, "--out", tmp_path / "out")
    assert done.returncode == 4
    assert rejected(tmp_path / "out") == {
        "bad1": "no such times: nan to 1 (line 9)",
        "bad2": "its recording nobody is not in wav.scp (line 10)",
        "bad3": "it ends at 0.1 s, not after its start at 0.3 s (line 11)",
        "bad4": "fewer than four fields: id, recording, start, end (line 12)",
        "bad5": "its audio is in an archive of Kaldi's: raw.ark:123 (line 13)",
        "bad6": "a transcript without audio (line 14)",
    }
    assert len(cuts(tmp_path / "out")) == len(CORPUS)


def test_cues_of_music_and_cues_at_the_same_time(tmp_path: Path, sew_here) -> None:
    write_subtitles(tmp_path / "data")
    talks = tmp_path / "data" / "talks"
    soundfile.write(talks / "film.wav", np.random.default_rng(1).normal(0, 0.1, 16000 * 30), 16000)
    cues = [
        ("00:00:01,000 --> 00:00:02,000", "[door] Hello &amp; <i>welcome</i>"),
        ("00:00:03,000 --> 00:00:04,000", "♪ la la ♪"),
        ("00:00:04,200 --> 00:00:05,000", "{\\an8}- One.\n- Two."),
        ("00:00:08,000 --> 00:00:10,000", "both"),
        ("00:00:09,000 --> 00:00:11,000", "at once"),
        ("00:00:13,000 --> 00:00:12,000", "backwards"),
    ]
    (talks / "film.srt").write_text("\n\n".join(f"{n}\n{t}\n{s}" for n, (t, s) in enumerate(cues)), encoding="utf-8")
    done = sew_here("prep", "subtitles", talks, "--out", tmp_path / "out")
    assert done.returncode == 4
    film = {i: (cut["text"], cut["seconds"]) for i, cut in cuts(tmp_path / "out").items() if i.startswith("film")}
    assert film == {
        "film-0000800-0002200": ("Hello & welcome", 1.4),
        "film-0004000-0005200": ("One. Two.", 1.2),
    }
    assert sorted(r.partition(" (")[0] for r in rejected(tmp_path / "out").values()) == [
        "it ends at 12 s, not after its start at 13 s",
        "music or a sound, no speech",
        "said at the same time as another",
        "said at the same time as another",
    ]


def test_files_without_a_partner(tmp_path: Path, sew_here) -> None:
    write_clips(tmp_path / "data")
    for said in CORPUS[1:]:
        (tmp_path / "data" / f"{said.id}.txt").write_text(said.text, encoding="utf-8")
    (tmp_path / "data" / "lonely.txt").write_text("x")
    (tmp_path / "data" / "utt05.lab").write_text("0 100 sil")
    (tmp_path / "data" / "utt06.txt").write_bytes(b"caf\xe9")
    done = sew_here("prep", "pairs", tmp_path / "data", "--out", tmp_path / "out", "--hold-out", "none")
    assert done.returncode == 4
    found = rejected(tmp_path / "out")
    assert found["utt00"] == "a sound file without a transcript" and found["lonely"].startswith("a transcript without")
    assert found["utt05"].startswith("more than one") and "not UTF-8" in found["utt06"] and len(found) == 4


def test_cuts_that_are_made_on_the_fly_are_refused_by_name(tmp_path: Path, sew_here) -> None:
    from lhotse import CutSet, Recording, SupervisionSegment

    write_clips(tmp_path)
    made = []
    for index, said in enumerate(CORPUS[:4]):
        recording = Recording.from_file(tmp_path / f"{said.id}.wav")
        cut = recording.to_cut()
        cut.supervisions = [SupervisionSegment(said.id, said.id, 0.0, cut.duration, text=said.text)]
        made.append([cut, cut.perturb_speed(1.1), cut.pad(duration=2.0), cut.append(cut)][index])
    CutSet.from_cuts(made).to_file(tmp_path / "cuts.jsonl.gz")
    done = sew_here("prep", "cuts", tmp_path / "cuts.jsonl.gz", "--out", tmp_path / "out", "--hold-out", "none")
    assert done.returncode == 4 and len(cuts(tmp_path / "out")) == 1
    reasons = [reason.partition(" (")[0] for reason in rejected(tmp_path / "out").values()]
    assert sorted(reasons) == [
        "a MixedCut; save its audio with lhotse",
        "a MixedCut; save its audio with lhotse",
        "its recording is transformed on the fly",
    ]


def test_a_parquet_row_without_sound(tmp_path: Path, sew_here) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = table_of(CORPUS[:4])
    empty = pa.array([{"bytes": None, "path": "gone.flac"}], table.schema.field("audio").type)
    row = pa.table({"audio": empty, "sentence": ["x"], "speaker_id": ["y"], "locale": ["ka"]})
    pq.write_table(pa.concat_tables([table, row]), tmp_path / "train.parquet")
    done = sew_here("prep", "hf", tmp_path / "train.parquet", "--out", tmp_path / "out", "--hold-out", "none")
    assert (done.returncode, len(cuts(tmp_path / "out"))) == (4, 4), done.stderr
    assert rejected(tmp_path / "out") == {"gone": "neither sound in the row, nor a file that it names"}


def test_a_draw_that_is_given_up_leaves_no_cuts_behind(clips: Path, tmp_path: Path, sew_here) -> None:
    table, out = _table(tmp_path / "t.csv", []), tmp_path / "out"
    assert sew_here("prep", "table", table, "--audio", clips, "--out", out).returncode == 0
    assert {cut["split"] for cut in cuts(out).values()} == {"train", "dev", "test"}
    assert sew_here("prep", "table", table, "--audio", clips, "--out", out, "--hold-out", "none").returncode == 0
    assert {cut["split"] for cut in cuts(out).values()} == {"train"}
    assert sorted(path.name for path in (out / "audio").iterdir()) == ["train"]


def test_tables_in_other_encodings_and_workbooks_are_named(tmp_path: Path, sew_here) -> None:
    for content, told in (
        ("path\ttext".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04xlsx", "an Excel workbook"),
        (b"", "an empty table"),
    ):
        (tmp_path / "t.csv").write_bytes(content)
        done = sew_here("prep", "table", tmp_path / "t.csv", "--out", tmp_path / "out")
        assert done.returncode == 3 and told in done.stderr, done.stderr


def test_sew_check_finds_nothing_in_what_was_prepared(tmp_path: Path, sew_here) -> None:
    arguments = write_table(tmp_path / "data")
    assert sew_here("prep", "table", *arguments, "--out", tmp_path / "out").returncode == 0
    done = sew_here("check", tmp_path / "out", "--allow", "vocabulary")  # dev has letters that train has not
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines() if "warning" in line} <= {
        "too-many-labels",
        "vocabulary",
    }


def test_killed_while_converting_and_run_again(tmp_path: Path) -> None:
    arguments = write_table(tmp_path / "data")
    command = [sys.executable, "-m", "sewcli", "prep", "table", *arguments, "--text-rules", "as-is", "-j", "1", "--out"]
    assert subprocess.run([*command, tmp_path / "whole"], check=False, capture_output=True).returncode == 0
    with subprocess.Popen([*command, tmp_path / "out"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None and len(list((tmp_path / "out" / "audio").rglob("*.flac"))) < 3:
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert subprocess.run([*command, tmp_path / "out"], check=False, capture_output=True).returncode == 0
    for name in ("cuts_train.jsonl.gz", "cuts_test.jsonl.gz", "audio/train/utt00.flac"):
        made, whole = ((tmp_path / out / name).read_bytes() for out in ("out", "whole"))
        if name.endswith(".gz"):
            made, whole = gzip.decompress(made).replace(b"/out/", b"/whole/"), gzip.decompress(whole)
        assert made == whole
