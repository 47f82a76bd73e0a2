"""Signals after graphs have come and gone: OpenVINO's plugin gives the thread a signal stack, and frees it."""

import subprocess
import sys
from pathlib import Path

import torch
from support.model_cases import shaken, small

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.text.tokens import Vocabulary

CODE = """
import signal, sys
from pathlib import Path
from sewcli.runtimes.openvino_folder import graph_of
from sewcli.runtimes.openvino_runtime import GraphModel

signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
graph = graph_of(Path(sys.argv[1]))
first, second = GraphModel(graph), GraphModel(graph)
del first  # which was made first
del second
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_signal_after_two_graphs_whose_lives_overlap(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vocabulary = Vocabulary.letters()
    save_ctc(shaken(CTCModel(small("sew", layers=1), len(vocabulary))), vocabulary, tmp_path / "model")
    command = [sys.executable, "-c", CODE, str(tmp_path / "model")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
