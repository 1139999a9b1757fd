"""RSA keys that anybody can factor, because a library made them badly; pure."""

import base64
from functools import cache
from typing import Final

_GENERATOR: Final = 65_537


@cache
def _orders() -> tuple[tuple[int, int], ...]:
    """Returns, by prime, how many powers of the generator there are: of the odd ones of the 126
    primes that the library uses for keys of 2048 bits; larger keys have more."""
    primes = (number for number in range(3, 702) if all(number % n for n in range(2, number)))
    return tuple((prime, _order(prime)) for prime in primes)


def _order(prime: int) -> int:
    count, power = 1, _GENERATOR % prime
    while power != 1:
        count, power = count + 1, power * _GENERATOR % prime
    return count


def is_factorable(modulus: int) -> bool:
    """Reports whether a modulus has the form of keys of Infineon's RSALib (CVE-2017-15361).

    Both of its primes are powers of 65537 modulo all small primes, and so is their product. The
    test is that of Nemec and others, "The Return of Coppersmith's Attack" (CCS 2017). A random
    number passes for such a modulus with a chance of less than 1 in 2^160.
    """
    return all(pow(modulus, order, prime) == 1 for prime, order in _orders())


def weak_key(keys: list[object]) -> int | None:
    """Returns the index of the first key of a JWK set that anybody can factor; None if there is
    none. Keys for encryption, and what is no RSA key, do not count."""
    for index, key in enumerate(keys):
        if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use") != "enc":
            modulus = _number(key.get("n"))
            if modulus is not None and is_factorable(modulus):
                return index
    return None


def _number(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return None
