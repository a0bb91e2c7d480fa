"""zkLoom's files: a container around an encoding (docs/protocol.md, section 10)."""

from __future__ import annotations

from typing import NamedTuple

from .encoding import Reader, Rejected
from .hashes import blake3

MAGIC = b"zkLoom\r\n"
VERSION = 1
KINDS = {2: "key", 3: "proof", 5: "pin"}


class Artifact(NamedTuple):
    """Content and the digests of what it was made from; no parents for raw encodings."""

    parents: list
    content: bytes


def is_artifact(data: bytes) -> bool:
    """Whether the data start as a zkLoom file."""
    return data.startswith(MAGIC)


def wrap(kind: str, parents: list, content: bytes) -> bytes:
    """A zkLoom file, for the self-test."""
    code = next(code for code, name in KINDS.items() if name == kind)
    head = MAGIC + bytes([code]) + VERSION.to_bytes(4, "big") + len(parents).to_bytes(4, "big")
    body = head + b"".join(parents) + len(content).to_bytes(8, "big") + content
    return body + blake3(body)


def unwrap(data: bytes, kind: str) -> Artifact:
    """The content of a zkLoom file of this kind; anything else is taken for a raw encoding."""
    if not is_artifact(data):
        return Artifact([], data)
    reader = Reader(data)
    reader.raw(len(MAGIC))
    code, version = reader.u8(), reader.u32()
    if version != VERSION:
        raise Rejected(f"the file has format version {version}, this script reads {VERSION}")
    if KINDS.get(code) != kind:
        raise Rejected(f"the file is no {kind}")
    parents = reader.many(lambda: reader.raw(32))
    content = reader.raw(reader.u64())
    body = data[:reader.at]
    if reader.raw(32) != blake3(body):
        raise Rejected("the file's digest does not match its content")
    reader.end()
    return Artifact(parents, content)


def key_content(data: bytes) -> bytes:
    """The verification key's encoding. In a file, labels for people stand before it; the key's context is their hash."""
    if not is_artifact(data):
        return data
    content = unwrap(data, "key").content
    reader = Reader(content)

    def label() -> None:
        reader.u32()
        reader.string()
        reader.many(reader.u32)
        reader.u64()

    reader.boolean()
    reader.string()
    reader.many(label)
    labels, key = content[: reader.at], content[reader.at :]
    if key[33:65] != blake3(labels):
        raise Rejected("names and scales are not those that the key is bound to")
    return key


def proof_content(data: bytes, key_digest: bytes) -> tuple:
    """(proof bytes, statement) of a proof file that names this key."""
    parents, content = unwrap(data, "proof")
    if parents != [key_digest]:
        raise Rejected("the proof file belongs to another verification key")
    reader = Reader(content)
    reader.boolean()
    publics = reader.many(lambda: reader.many(reader.i64))
    externals = reader.many(reader.point)
    proof = reader.raw(reader.u32())
    reader.end()
    return proof, (publics, externals)
