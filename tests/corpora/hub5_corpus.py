"""Hub5 2000 and RT-03S by hand: a few segments of everything, and calls whose sides are two tones."""

from pathlib import Path

from telephone_corpus import write, write_call

from sewcli.corpora.preparation import prepare
from sewcli.corpora.utterances import ParsedTranscripts, Split

HUB5_STM = """\
;; Reference file for english
;; CATEGORY "0" "" ""
;; LABEL "O" "Overall" "The Complete Test Set"
;; LABEL "EN" "Callhome" "Callhome conversations"
;; LABEL "SW" "Switchboard" "Switchboard conversations"
sw_4390 A sw_4390_A 0.29 1.15 <O,sw,M,sw-M>  WELL HE IS (%HESITATION) GONE
sw_4390 A sw_4390_A 1.15 2.00 <O,sw,M,sw-M>  (%HESITATION)
sw_4390 A sw_4390_A 2.00 2.50 <O,sw,M,sw-M>  IGNORE_TIME_SEGMENT_IN_SCORING
sw_4390 B sw_4390_B 0.80 2.345 <O,sw,F,sw-F>  <B_ASIDE> ((TH-) THAT { IS / WAS } I. B. M. <E_ASIDE>
sw_4390 B sw_4390_B 1.50 2.345 <O,sw,F,sw-F>  OH O. K.
sw_4390 B sw_4390_B 3.00 4.00 <O,sw,F,sw-F>
en_4156 A en_4156_A1 0.50 1.50 <O,en,F,en-F>  (YEAH) UH-HUH
en_4156 B en_4156_B 1.00 5.75 <O,en,M,en-M>  IT IS THE T. V.'S %UM FAULT
"""
HUB5_GLM = """\
;; File: en20000405_hub5.glm
* name "en20000405_hub5.glm"
* desc "a few rules"
* format = 'NIST1'
* max_nrules = '10'
* copy_no_hit = 'T'
* case_sensitive = 'F'
UH-HUH  => %BCACK      / [ ] __ [ ]
UM      => %HESITATION / [ ] __ [ ]
OKAY    => O. K.       / [ ] __ [ ]
"""
RT03_STMS = {
    "fsh_60262.stm": """\
;; LABEL "O" "Overall" "Overall"
fsh_60262 1 fsh_60262_A 0.50 1.25 <O,FSH,M>  hello (%hesitation) i'm here
fsh_60262 1 inter_segment_gap 1.25 2.00 <O,>
fsh_60262 2 fsh_60262_2_inter_segment_gap 0.00 1.00 <O>
fsh_60262 2 fsh_60262_B 1.00 2.00 <O,FSH,F>  {who / whom} is (th-) there
fsh_60262 2 fsh_60262_B 2.00 6.00 <O,FSH,F>  IGNORE_TIME_SEGMENT_IN_SCORING
""",
    "sw_45097.stm": "sw_45097 2 sw_45097_B 0.10 5.90 <O,SWB,F>  okay\n",
}
LEVELS = {  # of Hub5 2000: audio, references
    "as Kaldi has them": ("LDC2002S09/hub5e_00/english", "LDC2002T43/reference"),
    "as unpacked by the LDC": ("LDC2002S09/hub5e_00/english", "LDC2002T43/2000_hub5_eng_eval_tr/reference"),
    "one level less": ("LDC2002S09/english", "LDC2002T43"),
    "copied from the discs": ("hub5e_00/english", "2000_hub5_eng_eval_tr/reference"),
    "under other names": ("audio/english", "transcripts/reference"),
    "deep down": ("nist/hub5/LDC2002S09/hub5e_00/english", "nist/hub5/LDC2002T43/reference"),
}


def write_hub5(corpus: Path, level: str = "as Kaldi has them") -> Path:
    """Two calls of 6 s with their references. Returns the folder of the audio."""
    audio, references = (corpus / place for place in LEVELS[level])
    for call in ("sw_4390", "en_4156"):
        write_call(audio / f"{call}.sph")
    write(audio / "hub5e_00.pem", ["en_4156 A unknown_speaker 0.50 1.50"])
    write(references / "hub5e00.english.000405.stm", HUB5_STM.splitlines())
    write(references / "en20000405_hub5.glm", HUB5_GLM.splitlines())
    write(
        references / "english" / "en_4156.txt",
        [
            "#Language: eng",
            "0.50 1.20 A: %um, <contraction e_form=\"[it=>it][is=>'s]\">it's {breath}",
            "1.20 1.50 A: yeah",
        ],
    )
    write(
        references / "english" / "sw_4390.txt", ["0.29 1.15 A: well he's %uh gone", "0.80 2.30 B: ((th-)) that's I B M"]
    )
    return audio


def write_rt03(corpus: Path, folder: str = "LDC2007S10") -> Path:
    """Two calls with their references, and what else lies on the disc. Returns its folder."""
    disc = corpus / folder
    for call in ("fsh_60262", "sw_45097"):
        write_call(disc / "data/audio/eval03/english/cts" / f"{call}.sph")
    write_call(disc / "data/audio/eval03/english/bnews" / "20010206_1830_1900_ABC_WNT.sph")
    for name, content in RT03_STMS.items():
        write(disc / "data/references/eval03/english/cts" / name, content.splitlines())
    write(disc / "data/references/eval03/english/bnews" / "bnews.stm", ["abc 1 spk 0.0 1.0 <O> news"])
    write(disc / "data/references/eval03/mandarin/cts" / "ma_0001.stm", ["ma_0001 1 spk 0.0 1.0 <O> ni hao"])
    write(disc / "data/trans_rules" / "en20030506.glm", HUB5_GLM.splitlines())
    return disc


def listing(split: Split) -> ParsedTranscripts:
    """What its references say."""
    return split.read(split.folder)


def prepared(out: Path, *splits: Split) -> dict:
    """The summaries of prepared splits."""
    return prepare(out, "swbd_fisher", splits, jobs=1)
