"""Ways to damage a file: of bytes, of JSON, of lines of text. Each is a pure function of its input and of a generator."""

import json
import math
import random
from collections.abc import Callable
from typing import Any

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 0.5, -0.0, 1e30, -1e30, 10**18, 10**400, math.nan, math.inf),
    *("", " ", "x", "x" * 300, "../../x", "[/x]", "[bold]b", "\ud800", "\ufeffa", "e\u0301", "\u0000", "1", "nan"),
    *([], {}, [[]], [None], {"": None}, [0] * 50, {"a": {"b": {"c": []}}}),
)
WORDS = (
    "",
    "\ufeff",
    "\t",
    "\u00a0",
    "\u3000",
    "\u2028",
    "-1e999",
    "nan",
    "0" * 400,
    "\\data\\",
    "|",
    "<s>",
    "[/x]",
    "é" * 90,
)


def cut(content: bytes, draw: random.Random) -> bytes:
    """The first 5 to 93 %."""
    return content[: int(len(content) * draw.uniform(0.05, 0.93))]


def flip(content: bytes, draw: random.Random) -> bytes:
    """One to eight bytes changed anywhere."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def flip_head(content: bytes, draw: random.Random) -> bytes:
    """One to four of the first 128 bytes changed."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(min(128, len(changed)))] = draw.randrange(256)
    return bytes(changed)


def extreme_field(content: bytes, draw: random.Random) -> bytes:
    """A field of 2, 4 or 8 bytes of the head replaced by the least, the greatest, or nearly that."""
    size = draw.choice((2, 4, 8))
    at = draw.randrange(max(1, min(160, len(content) - size)))
    value = draw.choice(EXTREMES) & ((1 << 8 * size) - 1)
    return content[:at] + value.to_bytes(size, draw.choice(("little", "big"))) + content[at + size :]


def zero_block(content: bytes, draw: random.Random) -> bytes:
    """A stretch of zeros."""
    at, size = draw.randrange(len(content)), draw.randint(1, 4096)
    return content[:at] + bytes(len(content[at : at + size])) + content[at + size :]


def delete_block(content: bytes, draw: random.Random) -> bytes:
    """A stretch left out."""
    at, size = draw.randrange(len(content)), draw.randint(1, 2048)
    return content[:at] + content[at + size :]


def insert_block(content: bytes, draw: random.Random) -> bytes:
    """Random bytes, or a stretch of the file again, in the middle."""
    at = draw.randrange(len(content))
    start = draw.randrange(len(content))
    block = draw.randbytes(draw.randint(1, 300)) if draw.random() < 0.5 else content[start : start + 500]
    return content[:at] + block + content[at:]


def append(content: bytes, draw: random.Random) -> bytes:
    """Something behind the end."""
    return content + draw.randbytes(draw.randint(1, 5000))


def nothing(content: bytes, draw: random.Random) -> bytes:
    """An empty file, or one of a few bytes."""
    return content[: draw.randrange(12)]


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(
        cut,
        flip,
        flip_head,
        flip_head,
        extreme_field,
        extreme_field,
        zero_block,
        delete_block,
        insert_block,
        append,
        nothing,
    ),
)


def damaged_bytes(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """A damaged copy and the name of the damage. Cuts are as frequent as all else that changes content."""
    way = cut if draw.random() < 0.25 else draw.choice(BYTES)
    return way(content, draw), way.__name__


def damaged_json(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """One node of a JSON document replaced, removed or doubled; or its text damaged."""
    if draw.random() < 0.2:
        return damaged_text(content, draw)
    document = json.loads(content)
    way = draw.choice(("replace", "replace", "replace", "remove", "rename", "deep", "digits"))
    holder, key = _place(document, draw)
    if holder is None:
        return json.dumps(draw.choice(ODD)).encode(), "replace"
    if way == "remove":
        del holder[key]
    elif way == "rename" and isinstance(holder, dict):
        holder[draw.choice(("", "x", f"{key}_", "[/x]"))] = holder.pop(key)
    else:
        holder[key] = "@@" if way in ("deep", "digits") else draw.choice(ODD)
    text = json.dumps(document)
    if way == "deep":
        text = text.replace('"@@"', "[" * 5000 + "]" * 5000)
    if way == "digits":
        text = text.replace('"@@"', "9" * 5000)
    return text.encode(), way


def _place(document: Any, draw: random.Random) -> tuple[Any, Any]:
    """A container in the document and a key of it; `(None, None)` where there is none."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            places.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    if isinstance(document, dict | list):
        walk(document)
    return draw.choice(places) if places else (None, None)


def damaged_lines(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """JSON lines of which one is damaged, lost, doubled or cut off."""
    lines = content.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    way = draw.choice(("json", "json", "json", "json", "double", "lose", "half", "text"))
    if way == "json":
        damaged, how = damaged_json(lines[at], draw)
        lines[at] = damaged.replace(b"\n", b" ") + b"\n"
        return b"".join(lines), f"line:{how}"
    if way == "text":
        return damaged_text(content, draw)
    lines[at] = {"double": lines[at] * 2, "lose": b"", "half": lines[at][: len(lines[at]) // 2] + b"\n"}[way]
    return b"".join(lines), f"line:{way}"


def damaged_text(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """Text in another encoding, with odd words, with lines lost, doubled, joined or cut off."""
    text = content.decode("utf-8", "replace")
    way = draw.choice(
        ("utf-16", "latin-1", "bom", "crlf", "word", "word", "number", "line", "lines", "nul", "long", "cut", "bytes")
    )
    if way in ("utf-16", "latin-1"):
        return (text + " é\n").encode(way), way
    if way == "bytes":
        return flip(content, draw), "flip"
    if way == "cut":
        return cut(content, draw), "cut"
    words = text.split(" ")
    at = draw.randrange(len(words))
    lines = text.splitlines(keepends=True) or [""]
    row = draw.randrange(len(lines))
    if way == "word":
        words[at] = draw.choice(WORDS)
    elif way == "number":
        words[at] = str(draw.choice((-1, 0, 10**9, 10**30, 1e-300, "1e400", "0x10", "²")))
    elif way == "long":
        words[at] = "A" * draw.choice((2000, 70_000, 160_000))
    elif way == "line":
        lines[row] = draw.choice(
            ("", lines[row] * 2, lines[row].rstrip("\n"), lines[row].upper(), "\n", lines[row].replace("\t", " "))
        )
        return "".join(lines).encode(), way
    elif way == "lines":
        return "".join(draw.sample(lines, len(lines))).encode(), way
    joined = " ".join(words)
    if way == "bom":
        joined = "\ufeff" + joined
    if way == "crlf":
        joined = joined.replace("\n", "\r\n")
    if way == "nul":
        joined = joined[: len(joined) // 2] + "\0" + joined[len(joined) // 2 :]
    return joined.encode(), way
