"""Names of things: digests as typed strings, and the short codes people say over a telephone.

A code is derived from the digest it stands for, so nobody hands codes out and two machines never disagree on
one. Codes are for finding; every signature binds the digest.
"""

from __future__ import annotations

import os
from typing import NewType

Digest = NewType("Digest", str)
"""SHA-256 of a head's bytes: 64 lower-case hexadecimal digits. The identity of a record."""

LogId = NewType("LogId", str)
"""Digest of a log's first record."""

PublicKey = NewType("PublicKey", str)
"""An Ed25519 public key as OpenSSH writes it: the base64 word after `ssh-ed25519` (68 characters)."""

# No 0/o, 1/l/i, u/v, 5/s, 2/z: what sounds or looks alike when read aloud or off a screen.
ALPHABET = "346789abcdefghjkmnpqrtwxy"
CODE_LENGTH = 6


def code(prefix: str, digest: str) -> str:
    """Short code of a digest: `prefix` and six characters of `ALPHABET` (about 28 bits).

    Sessions have the prefix `s`, requests `a`, questions `q`.
    """
    number = int(digest[:32], 16)
    letters = []
    for _ in range(CODE_LENGTH):
        number, index = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[index])
    return prefix + "".join(letters)


def session_code(log: str) -> str:
    """Short code of a session, such as `s7f3kqa`."""
    return code("s", log)


def request_code(action: str) -> str:
    """Short code of a proposed action, such as `a7f3kqa`."""
    return code("a", action)


def question_code(question: str) -> str:
    """Short code of a question, such as `q7f3kqa`."""
    return code("q", question)


def spoken(text: str) -> str:
    """A code as somebody typed it (upper case, spaces and dashes from dictation) in its one spelling."""
    return text.strip().lower().replace(" ", "").replace("-", "")


def new_series() -> str:
    """A writer's series: 16 random bytes, once per process start, as 32 hexadecimal digits."""
    return os.urandom(16).hex()
