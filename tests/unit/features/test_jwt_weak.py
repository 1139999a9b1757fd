"""Key sets with RSA keys that anybody can factor."""

import base64
import json
import math

from joserfc.jwk import RSAKey

from headgate.features.middleware.jwt.keys import fetched_problem, set_problem
from headgate.features.middleware.jwt.weak import is_factorable

PRIMORIAL = math.prod(n for n in range(2, 702) if all(n % m for m in range(2, n)))
"""The product of the 126 primes that Infineon's library used for keys of 2048 bits."""


def made_badly(exponent: int, factor: int) -> int:
    """An odd number that has the form of such a library's primes."""
    return factor * PRIMORIAL + pow(65_537, exponent, PRIMORIAL)


BAD = made_badly(1_234_567, 2**54 + 8) * made_badly(7_654_321, 2**52 + 10)


def key(modulus: int, **members: str) -> dict[str, str]:
    text = base64.urlsafe_b64encode(modulus.to_bytes((modulus.bit_length() + 7) // 8))
    return {"kty": "RSA", "e": "AQAB", "n": text.rstrip(b"=").decode(), **members}


def said(*keys: dict[str, str]) -> str:
    problem = set_problem(json.dumps({"keys": keys}))
    return problem.what if problem is not None else ""


def good(kid: str) -> dict[str, str]:
    found = RSAKey.generate_key(2048, {"kid": kid}).as_dict(private=False)
    return {str(name): str(value) for name, value in found.items()}


def test_a_key_that_anybody_can_factor_is_refused_at_its_place() -> None:
    assert BAD.bit_length() in range(2_048, 2_060)
    wrong = key(BAD, kid="bad")
    assert "keys[1].n: anybody can factor" in said(good("good"), wrong)
    assert "anybody can factor" in fetched_problem(json.dumps({"keys": [wrong]}))


def test_keys_of_other_libraries_and_for_encryption_pass() -> None:
    assert said(good("one"), good("two")) == ""
    assert said(good("one"), key(BAD, kid="bad", use="enc")) == ""


def test_one_small_prime_tells_them_apart() -> None:
    assert is_factorable(BAD)
    assert not any(is_factorable(BAD + 2 * step) for step in range(1, 2_000))
