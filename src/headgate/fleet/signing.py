"""Signatures of manifests and offers (Ed25519) and of an agent's answers to challenges. Holds no
key."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey as EcPublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# What is signed begins with its purpose, so that no signature can stand for another thing.
_MANIFEST = b"headgate manifest 1\0"
_OFFER = b"headgate offer 1\0"
_ORDER = b"headgate order 1\0"
_HELLO = b"headgate hello 1\0"
CHALLENGE_BYTES = 32
_NUMBER_BYTES = 8

Bind: TypeAlias = Callable[[bytes], bytes]
"""Returns the signature of what `offer_content` returned, by a key of manifests."""


def sign_manifest(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """Returns the signature of a manifest's canonical bytes: 64 bytes."""
    return key.sign(_MANIFEST + manifest)


def manifest_is_signed(keys: Iterable[bytes], manifest: bytes, signature: bytes) -> bool:
    """Says whether one of `keys`, raw public keys of 32 bytes, signed these canonical bytes."""
    return _is_signed(keys, _MANIFEST + manifest, signature)


def offer_content(agent: str, fence: int, nonce: int, manifest_hash: str) -> bytes:
    """Returns what the binding of an offer signs: it counts for one agent, in one session, once."""
    return _OFFER + _bound_to(agent, fence, nonce) + manifest_hash.encode()


def order_content(agent: str, fence: int, nonce: int, digest: str) -> bytes:
    """Returns the same for an order, of whose body `digest` is the sha256 in lower-case hex."""
    return _ORDER + _bound_to(agent, fence, nonce) + digest.encode()


def _bound_to(agent: str, fence: int, nonce: int) -> bytes:
    numbers = b"".join(one.to_bytes(_NUMBER_BYTES, "big") for one in (fence, nonce))
    return numbers + agent.encode() + b"\0"


def offer_is_bound(keys: Iterable[bytes], content: bytes, binding: bytes) -> bool:
    """Says whether one of `keys`, those of manifests, bound this content of an offer or order."""
    return _is_signed(keys, content, binding)


def sign_challenge(key: EllipticCurvePrivateKey, agent: str, challenge: bytes) -> bytes:
    """Returns an agent's answer to its master's challenge."""
    return key.sign(_answer(agent, challenge), ECDSA(hashes.SHA256()))


def challenge_is_answered(key: EcPublicKey, agent: str, challenge: bytes, signature: bytes) -> bool:
    """Says whether the holder of `key` answered this challenge as this agent."""
    try:
        key.verify(signature, _answer(agent, challenge), ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _is_signed(keys: Iterable[bytes], content: bytes, signature: bytes) -> bool:
    for raw in keys:
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
        except InvalidSignature:
            continue
        return True
    return False


def _answer(agent: str, challenge: bytes) -> bytes:
    return _HELLO + agent.encode() + b"\0" + challenge
