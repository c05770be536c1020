"""How secrets are stored and shown: as hashes, and one pair of tokens encrypted.

Standard library only; nothing here knows what the secrets are for.
Imports nothing of the project.
"""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["digest", "encrypt", "fingerprint", "matches_hash", "same_secret"]


def digest(secret: str) -> bytes:
    """Return the SHA-256 under which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def fingerprint(secret: str) -> str:
    """Return the short hash that stands for a secret in the state and in the log."""
    return digest(secret).hex()[:12]


def same_secret(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return matches_hash(left, digest(right))


def matches_hash(secret: str, stored: bytes) -> bool:
    """Compare a secret with a stored hash, in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def encrypt(data: bytes, secret: str) -> bytes:
    """XOR `data` with a keystream derived from `secret`; a second call gives the data back.

    Safe only for a long random secret that encrypts one piece of data: a keystream that is used
    twice would reveal both.
    """
    keystream = hashlib.shake_256(b"encrypt" + secret.encode("utf-8", "surrogatepass")).digest(
        len(data)
    )
    return bytes(one ^ other for one, other in zip(data, keystream, strict=True))
