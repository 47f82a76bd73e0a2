"""What some bytes are, by how they begin: sound for libsndfile, a container for PyAV, or something that is no sound at all.

Raw samples have no header, so that anything could be some. What is known by name is never heard as samples; signatures of
two bytes count only where the next frame follows. Three kinds of reader: SOUND, the name of one of ffmpeg's demuxers, and NONE.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TypeVar

from sewcli.audio import mpeg

HEAD = 64  # bytes by which nearly everything is known
SOUND, NONE = "sound", ""
GIVE_SOUND = "give it a sound file"
TS_PACKET = 188  # bytes of a packet of an MPEG transport stream; each begins with 0x47
ENDINGS = (
    ".aif .aifc .aiff .au .bw64 .bwf .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .sph .voc .w64 .wav .wave .wv1 .wv2"
)
MEDIA = ".3gp .aac .ac3 .amr .ape .asf .avi .eac3 .flv .m4a .m4b .mka .mkv .mov .mp2 .mp4 .mpeg .mpg .mts .tta .webm .wma .wv"
SOUND_ENDINGS = frozenset(f"{ENDINGS} {MEDIA}".split())  # of the files that a folder is searched for
TAR_MAGIC = 257  # where a tar's header says ustar


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Args:
        name: for messages, with an article.
        reader: SOUND, the demuxer, or NONE.
        hint: what to do with one that is no sound.
    """

    name: str
    reader: str
    hint: str = GIVE_SOUND


_SOUND = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), "a WAV file"),
    b"riff": "a Wave64 file",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"FORM": "an IFF file",
    b"NIST": "a SPHERE file",
    b".snd": "an AU file",
    b"dns.": "an AU file",
    b"caff": "a CAF file",
    b"ID3": "a file with ID3 tags",
    b"Creative ": "a VOC file",
    b"PVF1": "a PVF file",
    b"2BIT": "an AVR file",
    b" paf": "a PAF file",
    b"fap ": "a PAF file",
    b"ALawSound": "a WVE file",
    b"Extended ": "an XI file",
    b"MATLAB ": "a MAT file",
    b"\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00": "a MAT file",
    b"\x00\x00\x03\xe8\x00\x00\x00\x01\x00\x00\x00\x01": "a MAT file",
    **dict.fromkeys((b"d\xa3\1\0", b"d\xa3\2\0", b"d\xa3\3\0", b"d\xa3\4\0"), "an IRCAM file"),
    **dict.fromkeys((b"\0\1\xa3d", b"\0\2\xa3d", b"\0\3\xa3d", b"\0\4\xa3d"), "an IRCAM file"),
}
_OGG_CODINGS = (b"\x7fFLAC", b"Speex   ", b"\x80theora", b"fishead\0")
_WAV_CODINGS = frozenset(  # G.726, G.722, MP2 and MP3, AAC, WMA, AC-3, TrueSpeech, G.723.1, G.729
    (0x22, 0x42, 0x45, 0x50, 0x55, 0x64, 0x65, 0x83, 0xFF, 0x160, 0x161, 0x162, 0x28F, 0x2000)
)
_MEDIA = {
    b"\x1aE\xdf\xa3": ("a Matroska or WebM file", "matroska"),
    b"0&\xb2u\x8ef\xcf\x11": ("a Windows Media file", "asf"),
    b"FLV\x01": ("a Flash video", "flv"),
    b"#!AMR": ("an AMR file", "amr"),
    b"\x00\x00\x01\xba": ("an MPEG program stream", "mpeg"),
    b"wvpk": ("a WavPack file", "wv"),
    b"TTA1": ("a True Audio file", "tta"),
    b"MAC ": ("a Monkey's Audio file", "ape"),
    b".RMF": ("a RealMedia file", "rm"),
    b"\x7f\xfe\x80\x01": ("a DTS stream", "dts"),
    b"MPCK": ("a Musepack file", "mpc8"),
    b"MP+": ("a Musepack file", "mpc"),
}
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"styp", b"moof", b"pnot")  # at byte 4 of an MP4 or QuickTime file
_UNPACK = "unpack it first"
_NOT_SOUND = {
    b"PK\x03\x04": ("a ZIP archive", _UNPACK),
    b"\x1f\x8b\x08": ("gzip-compressed", _UNPACK),
    b"BZh": ("bzip2-compressed", _UNPACK),
    b"\xfd7zXZ\x00": ("xz-compressed", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "fetch it: git lfs pull"),
    b"\x7fELF": ("a program", None),
    b"\xcf\xfa\xed\xfe": ("a program", None),
    b"\xca\xfe\xba\xbe": ("a program", None),
    b"\xff\xd8\xff": ("a JPEG picture", None),
    b"\x89PNG": ("a PNG picture", None),
    b"GIF8": ("a GIF picture", None),
    b"II*\x00": ("a TIFF picture", None),
    b"MM\x00*": ("a TIFF picture", None),
    b"%PDF": ("a PDF document", None),
    b"{\\rtf": ("an RTF document", None),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("a document of Microsoft Office", None),
    b"SQLite format 3\x00": ("an SQLite database", None),
    b"\x89HDF": ("an HDF5 file", None),
    b"\x93NUMPY": ("a NumPy array", "write its samples to a WAV file"),
    b"\x80\x04\x95": ("a pickle", None),
    b"PAR1": ("a Parquet file", None),
    b"ARROW1": ("an Arrow file", None),
    b"MThd": ("a MIDI file: notes, not sound", "render it with a synthesiser"),
    b"#EXTM3U": ("a playlist", "give it the files that it names"),
    b"\x00asm": ("a program", None),
    b"wOF2": ("a font", None),
}


def of(head: bytes) -> Kind | None:
    """What begins with these bytes: at least HEAD of them, or `wanted`, or all there are; None: nothing that has a name.

    Text is not looked for here: `is_text`.
    """
    found = _not_sound(head) or _container(head)
    if found is None and (name := _named(head, _SOUND)):
        found = Kind(name, SOUND)
    return found or _framed(head) or _by_place(head)


T = TypeVar("T")


def _named(head: bytes, names: dict[bytes, T]) -> T | None:
    return next((name for magic, name in names.items() if head.startswith(magic)), None)


def _not_sound(head: bytes) -> Kind | None:
    """Files of other kinds, and the pictures that are kept as sound is."""
    if found := _named(head, _NOT_SOUND):
        return Kind(found[0], NONE, found[1] or GIVE_SOUND)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind("a WebP picture", NONE)
    return Kind("a HEIF picture", NONE) if head[4:12] in (b"ftypheic", b"ftypmif1", b"ftypavif") else None


def _container(head: bytes) -> Kind | None:
    """Containers that PyAV reads, and codings that libsndfile does not read in containers that it does."""
    if found := _named(head, _MEDIA):
        return Kind(*found)
    if head[4:8] in _BOXES and head[:2] in (b"\0\0", b"\0\1"):
        return Kind("an MP4 file", "mov")
    if head[:4] == b"OggS" and head[28:36].startswith(_OGG_CODINGS):
        return Kind("an Ogg file of FLAC, Speex or video", "ogg")
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return Kind("an AVI video", "avi")
    at = head.find(b"fmt ", 12) + 8
    if head[:4] == b"RIFF" and at >= 20 and int.from_bytes(head[at : at + 2], "little") in _WAV_CODINGS:
        return Kind("a WAV file of another coding than samples", "wav")
    return None


def wanted(head: bytes) -> int:
    """How many bytes `of` must have to tell, by the first HEAD of them."""
    if head[:1] == b"\x47":
        return 2 * TS_PACKET + 1
    if re.fullmatch(rb"[ -~]+\0*", head):  # the name of the first file of a tar, perhaps
        return TAR_MAGIC + 5
    size = mpeg.frame_bytes(head) or _adts_bytes(head) or _ac3_bytes(head)
    return max(len(head), size + 8) if size else len(head)


def is_text(head: bytes) -> bool:
    """Whether all of it can be read by people, as no samples can but of a very loud and very short sound."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = codecs.getincrementaldecoder("utf-16")("replace").decode(head)
        return len(text) > 2 and "".join(text.split()).isascii() and "".join(text.split()).isprintable()
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    text = text.replace("\ufeff", "")
    return bool(text) and "".join(text.split()).isprintable()


def _framed(head: bytes) -> Kind | None:
    """Streams without a header, whose frames begin with a few set bits: two in a row are needed."""
    size = mpeg.frame_bytes(head)
    if size and mpeg.is_followed(head, size):
        return Kind("an MPEG audio file", SOUND)
    size = _adts_bytes(head)
    if size and head[size : size + 1] == b"\xff" and _adts_bytes(head[size:]):
        return Kind("an AAC stream", "aac")
    size = _ac3_bytes(head)
    if size and _ac3_bytes(head[size:]):
        return Kind("an E-AC-3 stream", "eac3") if head[5] >> 3 > 10 else Kind("an AC-3 stream", "ac3")
    if len(head) > 2 * TS_PACKET and head[0] == head[TS_PACKET] == head[2 * TS_PACKET] == 0x47:
        return Kind("an MPEG transport stream", "mpegts")
    return None


def _by_place(head: bytes) -> Kind | None:
    """Files whose signature is too short, or does not stand at the beginning."""
    if head[TAR_MAGIC : TAR_MAGIC + 5] == b"ustar":
        return Kind("a tar archive", NONE, _UNPACK)
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 100_000_000:
        return Kind("a safetensors file", NONE)
    if head[:2] == b"MZ" and int.from_bytes(head[0x3C:0x40], "little") in range(0x40, 0x1000):
        return Kind("a program", NONE)
    is_sds = head[:2] == b"\xf0\x7e" and head[3:4] == b"\1" and head[20:21] == b"\xf7"
    is_mpc = head[:2] == b"\1\4" and re.fullmatch(rb"[ -~]{17}", head[2:19]) and head[21:22] in (b"\0", b"\1")
    is_htk = head[4:6] == b"\0\0" and head[8:12] == b"\0\2\0\0" and head[6:8] > b"\0\x20"
    return Kind("an SDS, MPC or HTK file", SOUND) if is_sds or is_mpc or is_htk else None


def _adts_bytes(head: bytes) -> int:
    """The length of a frame of AAC in ADTS (ISO 14496-3, 1.A.2.2); 0: none begins here."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def _ac3_bytes(head: bytes) -> int:
    """The length of a frame of AC-3 or E-AC-3 (ETSI TS 102 366, 4.3 and E.1.3); 0: none begins here."""
    if len(head) < 6 or head[:2] != b"\x0bw":
        return 0
    if 10 < head[5] >> 3 <= 16:
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rate, code = head[4] >> 6, head[4] & 63
    if head[5] >> 3 > 10 or rate == 3 or code >= 2 * len(_AC3_KBITS):
        return 0
    kbits = _AC3_KBITS[code // 2]
    return 2 * (2 * kbits, kbits * 320 // 147 + code % 2, 3 * kbits)[rate]
