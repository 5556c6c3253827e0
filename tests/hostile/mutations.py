"""Damage done to files by seed: to bytes, to JSON, to headers and to protobuf."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["mutated_bytes", "mutated_json", "mutated_lines", "mutated_onnx", "mutated_safetensors"]

NUMBERS = (0, 1, -1, 2, 3, 7, 127, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63)
NUMBERS += (2**64 - 1, 10**15, 10**30)
TEXTS = (
    "",
    "\0",
    "../../../etc/passwd",
    "/dev/zero",
    "a" * 5000,
    "\x1b[2J\n\r\t",
    "</script><script>alert(1)</script>",
    "(a+)+$",
    "\N{RIGHT-TO-LEFT OVERRIDE}词",
    "\ud800",
    "$\\frac{$",
)


def mutated_bytes(raw: bytes, random: Random, other: bytes = b"") -> bytes:
    """One to four changes: bits, bytes, sizes, pieces cut out, doubled, or of another file."""
    found = bytearray(raw)
    # Half of the damage goes where the structure is: the beginning.
    near = random.random() < 0.5
    for _ in range(random.randint(1, 4)):
        end = max(1, min(len(found), 600) if near else len(found))
        at = random.randrange(end)
        kind = random.randrange(8)
        if kind == 0 and found:
            found[min(at, len(found) - 1)] ^= 1 << random.randrange(8)
        elif kind == 1:
            found[at : at + 1] = bytes([random.randrange(256)])
        elif kind == 2:
            size, code = random.choice([(4, "<I"), (8, "<Q"), (8, "<d")])
            value: Any = random.choice(NUMBERS)
            value = float(value) if code == "<d" else value % 256**size
            found[at : at + size] = struct.pack(code, value)
        elif kind == 3:
            del found[at : at + random.choice([1, 4, 8, 100])]
        elif kind == 4:
            found[at:at] = random.randbytes(random.choice([1, 4, 8, 100]))
        elif kind == 5:
            found[at:at] = found[at : at + random.choice([8, 64, 500])]
        elif kind == 6:
            del found[random.randrange(len(found) + 1) :]
        elif other:
            start = random.randrange(len(other))
            found[at : at + 64] = other[start : start + 64]
    return bytes(found)


def mutated_json(raw: bytes, random: Random) -> bytes:
    """A value, key or row of the nest changed for something that nobody expects there."""
    if random.random() < 0.25:
        return mutated_bytes(raw, random)
    found = json.loads(raw)
    twice = False
    for _ in range(random.randint(1, 3)):
        places = _places(found, random)
        if not places:
            break
        owner, key = random.choice(places)
        kind = random.randrange(6)
        if kind == 0:
            del owner[key]
        elif kind == 1 and isinstance(owner, dict):
            owner[random.choice(TEXTS)] = owner.pop(key)
        elif kind == 2 and isinstance(owner, list):
            owner.insert(key, owner[key])
        elif kind == 3 and isinstance(owner[key], (int, float)):
            change: Callable[[Any], Any] = random.choice(
                [lambda v: -v, lambda v: v + 1, lambda v: v * 2, lambda v: v + 0.5, lambda v: v - 1]
            )
            owner[key] = change(owner[key])
        elif kind == 4:
            twice = True
        else:
            owner[key] = _hostile(random)
    text = json.dumps(found)
    if twice and text.startswith("{") and len(text) > 2:
        first = next(iter(found))
        text = f"{{{json.dumps(first)}: {json.dumps(_hostile(random))}, {text[1:]}"
    depth = 100_000
    return text.replace('"<deep>"', "[" * depth + "]" * depth).encode()


def mutated_lines(raw: bytes, random: Random) -> bytes:
    """One line of a file of JSON lines."""
    lines = raw.splitlines()
    at = random.randrange(len(lines))
    lines[at] = mutated_json(lines[at], random)
    return b"\n".join(lines)


def mutated_safetensors(raw: bytes, random: Random) -> bytes:
    """Bytes of the file, or a header that says something else of the same arrays."""
    if random.random() < 0.3:
        return mutated_bytes(raw, random, raw)
    size = struct.unpack("<Q", raw[:8])[0]
    header = mutated_json(raw[8 : 8 + size], random)
    data = raw[8 + size :]
    if random.random() < 0.2:
        data = mutated_bytes(data, random)
    length = len(header) if random.random() < 0.9 else random.choice(NUMBERS) % 2**64
    return struct.pack("<Q", length) + header + data


def mutated_onnx(raw: bytes, random: Random) -> bytes:
    """Bytes of the file, or fields of its messages."""
    if random.random() < 0.4:
        return mutated_bytes(raw, random, raw)
    import onnx

    model = onnx.ModelProto.FromString(raw)
    messages, stack = [], [model]
    while stack:
        message = stack.pop()
        messages.append(message)
        for field, value in message.ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend([value] if hasattr(value, "ListFields") else value)
    for _ in range(random.randint(1, 3)):
        message = random.choice(messages)
        fields = message.ListFields()
        if fields:
            _change_field(message, *random.choice(fields), random)
    return bytes(model.SerializeToString())


def _change_field(message: Any, field: Any, value: Any, random: Random) -> None:
    number, text = random.choice(NUMBERS) % 2**31, random.choice(TEXTS[:-2])
    if field.type == field.TYPE_MESSAGE:
        if hasattr(value, "ListFields"):
            message.ClearField(field.name)
        elif random.random() < 0.5:
            value.append(random.choice(list(value)))
        else:
            del value[random.randrange(len(value))]
        return
    new: Any = number
    if field.type == field.TYPE_STRING:
        new = text
    elif field.type == field.TYPE_BYTES:
        new = random.randbytes(random.choice([0, 4, 24, 100]))
    elif field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        new = random.choice([0.0, -1.0, 1e30, float("inf"), float("nan")])
    elif field.type == field.TYPE_INT64 and random.random() < 0.5:
        new = random.choice([-1, 2**40, 2**62, -(2**62)])
    try:
        if isinstance(value, (str, bytes, int, float)):
            setattr(message, field.name, new)
        else:
            value[random.randrange(len(value))] = new
    except (ValueError, TypeError):  # an enumeration has no such number
        message.ClearField(field.name)


def _hostile(random: Random) -> Any:
    kind = random.randrange(10)
    if kind < 4:
        return random.choice(NUMBERS)
    if kind < 7:
        return random.choice(TEXTS)
    values: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"a": 1}, float("nan"))
    values += (float("inf"), 1e308, -0.5, "<deep>", [0] * 1000)
    return random.choice(values)


def _places(found: Any, random: Random) -> list[tuple[Any, Any]]:
    """(owner, key) of values in the nest: of all where there are few, else of some."""
    places: list[tuple[Any, Any]] = []
    stack = [found]
    while stack and len(places) < 2000:
        owner = stack.pop()
        keys = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
        if len(keys) > 50:
            keys = random.sample(keys, 50)
        for key in keys:
            places.append((owner, key))
            if isinstance(owner[key], (dict, list)):
                stack.append(owner[key])
    return places
