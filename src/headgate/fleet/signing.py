"""Signatures of manifests (Ed25519) and of an agent's answers to challenges. Holds no key."""

from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey as EcPublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# What is signed begins with its purpose, so that no signature can stand for another thing.
_MANIFEST = b"headgate manifest 1\0"
_HELLO = b"headgate hello 1\0"
CHALLENGE_BYTES = 32


def sign_manifest(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """Returns the signature of a manifest's canonical bytes: 64 bytes."""
    return key.sign(_MANIFEST + manifest)


def manifest_is_signed(keys: Iterable[bytes], manifest: bytes, signature: bytes) -> bool:
    """Says whether one of `keys`, raw public keys of 32 bytes, signed these canonical bytes."""
    for raw in keys:
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, _MANIFEST + manifest)
        except InvalidSignature:
            continue
        return True
    return False


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


def _answer(agent: str, challenge: bytes) -> bytes:
    return _HELLO + agent.encode() + b"\0" + challenge
