"""Decoder processes: the same results, dead workers, Ctrl-C, a parent that is killed, both ways of starting."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused
from support.speech_like import LETTERS, emission

from sewcli.base.errors import DataError, UsageError
from sewcli.decoding import pool as pool_module
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.nbest import Hypothesis
from sewcli.decoding.pool import Decoded, DecoderPool, default_jobs
from sewcli.decoding.weights import Weights
from sewcli.lm.files import LanguageModelFiles


@pytest.fixture
def build(lm: LanguageModelFiles):
    return functools.partial(BeamDecoder, lm, LETTERS, BeamOptions())


def decode_all(pool: DecoderPool, values: dict[str, np.ndarray]) -> dict[str, Decoded]:
    found = [decoded for name, value in values.items() for decoded in pool.put(name, value)]
    found += pool.drain()
    assert len(found) == len(values)
    return {decoded.name: decoded for decoded in found}


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes_find_what_this_process_finds(
    start: str, build, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_can_fork", lambda: start == "fork")
    values = {f"u{i}": emission(text, noise=2.0, seed=i) for i, text in enumerate(sentences[:40])}
    with DecoderPool(build, 0) as here:
        expected = decode_all(here, values)
    with DecoderPool(build, 2) as pool:
        assert len(pool.pids()) == 2
        found = decode_all(pool, values)
    assert {n: d.hypotheses for n, d in found.items()} == {n: d.hypotheses for n, d in expected.items()}
    assert all(d.seconds > 0 and d.error is None for d in found.values())


def test_one_bad_utterance_is_an_answer_not_an_end(build, sentences: list[str]) -> None:
    bad = emission(sentences[0])
    bad[0, 0] = np.nan
    for jobs in (0, 1):
        with DecoderPool(build, jobs) as pool:
            found = decode_all(pool, {"bad": bad, "good": emission(sentences[1])})
        assert isinstance(found["bad"].error, DataError) and found["bad"].error.where == "bad"
        assert found["good"].hypotheses[0].text == sentences[1]


def test_few_utterances_wait_at_any_time(build, sentences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    value = emission(" ".join(sentences[:10]), noise=2.0)
    with DecoderPool(build, 1) as pool:
        for i in range(12):
            for _ in pool.put(f"u{i}", value):
                pass
            assert pool.waiting <= pool_module.WAITING
        assert len(list(pool.drain())) > 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("killed", [1, 2])
def test_a_killed_worker_is_an_error_and_no_hang(killed: int, build, sentences: list[str]) -> None:
    """Also when an emission that fills the pipe is on its way to it (0.5 MB; a pipe holds 0.2)."""
    value = emission(" ".join(sentences[:60]), noise=2.0)
    assert value.nbytes > 500_000
    with refused(UsageError, "worker-killed"), DecoderPool(build, 2) as pool:
        for i in range(200):
            for _ in pool.put(f"u{i}", value):
                pass
            if i == 3:
                for pid in pool.pids()[:killed]:
                    os.kill(pid, signal.SIGKILL)
    assert not any(_alive(pid) for pid in pool.pids())


def test_a_worker_that_is_killed_while_it_waits_for_work_is_noticed(build, sentences: list[str]) -> None:
    with refused(UsageError, "worker-killed"), DecoderPool(build, 1) as pool:
        os.kill(pool.pids()[0], signal.SIGKILL)
        for _ in pool.put("u", emission(sentences[0])):
            pass
        list(pool.drain())


class Wordy(BeamDecoder):
    """Answers at such length as a long list of hypotheses has."""

    def decode(self, name: str, emission: np.ndarray, weights: Weights | None = None) -> list[Hypothesis]:
        best = super().decode(name, emission, weights)[0]
        return [Hypothesis(f"{n} {best.text}", best.score, best.am, best.lm) for n in range(400)]


def test_answers_and_emissions_that_fill_both_pipes_block_nobody(lm: LanguageModelFiles, sentences: list[str]) -> None:
    value = emission(" ".join(sentences[:60]), noise=1.0, peak=8)
    with DecoderPool(functools.partial(Wordy, lm, LETTERS, BeamOptions()), 1) as pool:
        found = decode_all(pool, {f"u{i}": value for i in range(6)})
    for decoded in found.values():
        assert sum(len(h.text) for h in decoded.hypotheses) > 1 << 18 and value.nbytes > 1 << 18


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_decoder_that_cannot_be_built_says_why(
    start: str, lm: LanguageModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_can_fork", lambda: start == "fork")
    missing = LanguageModelFiles("x", lm.model, tmp_path / "none.txt")
    with refused(DataError, "lexicon-not-found"):
        DecoderPool(functools.partial(BeamDecoder, missing, LETTERS, BeamOptions()), 1)


SCRIPT = """
import functools, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from support.speech_like import LETTERS, emission
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.nbest import Hypothesis
from sewcli.decoding.pool import DecoderPool
from sewcli.decoding.weights import Weights
from sewcli.lm.files import LanguageModelFiles

files = LanguageModelFiles("3gram", Path(sys.argv[1]), Path(sys.argv[2]))
value = emission("NOBODY KNEW WHY " * 40, noise=2.0)
try:
    with DecoderPool(functools.partial(BeamDecoder, files, LETTERS, BeamOptions(beam=500)), 2) as pool:
        print(*pool.pids(), flush=True)
        for i in range(100000):
            for _ in pool.put(f"u{i}", value):
                pass
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers follow a killed parent on Linux only")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_go_when_the_parent_is_stopped_or_killed(sent: int, code: int, lm: LanguageModelFiles) -> None:
    arguments = [str(lm.model), str(lm.lexicon), str(Path(__file__).parents[1])]
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None and child.stderr is not None
    try:
        pids = [int(pid) for pid in child.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.5)
        if sent == signal.SIGINT:
            os.killpg(child.pid, sent)  # what a terminal does
        else:
            child.kill()
        assert child.wait(timeout=60) == code
    finally:
        child.kill()
    assert "Traceback" not in child.stderr.read()
    for _ in range(100):
        if not any(_alive(pid) for pid in pids):
            break
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_default_jobs_leave_a_core_to_the_model() -> None:
    assert 1 <= default_jobs() <= 8
