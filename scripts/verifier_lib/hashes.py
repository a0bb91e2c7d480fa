"""Keccak-256 (the original padding, as on Ethereum) and Blake3 (hash mode, 32 bytes of output)."""

from __future__ import annotations

import struct

MASK64 = (1 << 64) - 1
MASK32 = (1 << 32) - 1


def _keccak_constants() -> tuple[list[int], list[list[int]]]:
    """Round constants from the LFSR, rotation offsets from the (x, y) -> (y, 2x + 3y) walk."""
    constants, register = [], 1
    for _ in range(24):
        value = 0
        for position in range(7):
            if register & 1:
                value |= 1 << ((1 << position) - 1)
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        constants.append(value)
    offsets = [[0] * 5 for _ in range(5)]
    x, y = 1, 0
    for step in range(24):
        offsets[x][y] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return constants, offsets


_ROUNDS, _OFFSETS = _keccak_constants()


def _rotate64(value: int, count: int) -> int:
    return ((value << count) | (value >> (64 - count))) & MASK64


def _keccak_f(state: list[list[int]]) -> None:
    """The permutation on state[x][y], in place."""
    for constant in _ROUNDS:
        parity = [column[0] ^ column[1] ^ column[2] ^ column[3] ^ column[4] for column in state]
        for x in range(5):
            change = parity[x - 1] ^ _rotate64(parity[(x + 1) % 5], 1)
            state[x] = [lane ^ change for lane in state[x]]
        moved = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                moved[y][(2 * x + 3 * y) % 5] = _rotate64(state[x][y], _OFFSETS[x][y])
        for x in range(5):
            one, two = moved[(x + 1) % 5], moved[(x + 2) % 5]
            state[x] = [moved[x][y] ^ (~one[y] & MASK64 & two[y]) for y in range(5)]
        state[0][0] ^= constant


def keccak256(data: bytes) -> bytes:
    """Keccak-256."""
    rate = 136
    padded = bytearray(data) + bytes(rate - len(data) % rate)
    padded[len(data)] |= 0x01
    padded[-1] |= 0x80
    state = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for index, lane in enumerate(struct.unpack_from("<17Q", padded, start)):
            state[index % 5][index // 5] ^= lane
        _keccak_f(state)
    return struct.pack("<4Q", *(state[index][0] for index in range(4)))


_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
# Positions of the state that each of a round's eight mixings touches: columns, then diagonals.
_MIXINGS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _rotate32(value: int, count: int) -> int:
    return ((value >> count) | (value << (32 - count))) & MASK32


def _compress(chaining: tuple, words: tuple, counter: int, length: int, flags: int) -> tuple:
    """First half of Blake3's compression: the new chaining value."""
    v = [*chaining, *_IV[:4], counter & MASK32, counter >> 32, length, flags]
    for round_number in range(7):
        for index, (a, b, c, d) in enumerate(_MIXINGS):
            for word, first, second in ((words[2 * index], 16, 12), (words[2 * index + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK32
                v[d] = _rotate32(v[d] ^ v[a], first)
                v[c] = (v[c] + v[d]) & MASK32
                v[b] = _rotate32(v[b] ^ v[c], second)
        if round_number < 6:
            words = tuple(words[position] for position in _PERMUTATION)
    return tuple(v[index] ^ v[index + 8] for index in range(8))


def _chunk(data: bytes, counter: int, root: int) -> tuple:
    """Chaining value of one chunk of at most 1,024 bytes."""
    blocks = [data[start:start + 64] for start in range(0, len(data), 64)] or [b""]
    chaining = _IV
    for index, block in enumerate(blocks):
        flags = _CHUNK_START if index == 0 else 0
        if index == len(blocks) - 1:
            flags |= _CHUNK_END | root
        words = struct.unpack("<16I", block.ljust(64, b"\0"))
        chaining = _compress(chaining, words, counter, len(block), flags)
    return chaining


def _subtree(data: bytes, counter: int, root: int) -> tuple:
    """Chaining value of a subtree: the left part is the largest power of two of chunks that leaves something."""
    if len(data) <= 1024:
        return _chunk(data, counter, root)
    chunks = (len(data) + 1023) // 1024
    left = 1 << ((chunks - 1).bit_length() - 1)
    words = _subtree(data[:1024 * left], counter, 0) + _subtree(data[1024 * left:], counter + left, 0)
    return _compress(_IV, words, 0, 64, _PARENT | root)


def blake3(data: bytes) -> bytes:
    """Blake3."""
    return struct.pack("<8I", *_subtree(data, 0, _ROOT))
