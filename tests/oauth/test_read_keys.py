"""Keys in a provider's document: each read by itself, weak and foreign ones left out."""

import pytest
from joserfc.jwk import ECKey, OKPKey

from hostile_identity_provider import public, rsa_key, weak_rsa_key
from wharfinger_oauth.key_set import MAX_KEYS, read_keys


@pytest.mark.requirement("AUT-2")
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # which reads a short key and only complains
def test_one_bad_key_takes_no_other_with_it_and_weak_or_foreign_ones_are_left_out() -> None:
    good, curve = rsa_key("good"), ECKey.generate_key("P-256", {"kid": "curve"})
    bad = [
        {"kty": "RSA", "n": "AQAB"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "unknown"},
        {"kty": ["RSA"]},
        {"kty": "RSA", "n": 7, "e": {}},
        7,
        None,
        weak_rsa_key("weak")[1],
        good.as_dict(private=True),
    ]

    found = read_keys([*bad, public(good), public(rsa_key("k2"), kid="encrypts", use="enc"), public(curve)])

    assert [key.kid for key in found.usable] == ["good", "curve"]
    assert found.dropped == len(bad)


def test_of_very_many_keys_the_first_hundred_are_read() -> None:
    key = public(ECKey.generate_key("P-256"))

    found = read_keys([key] * (MAX_KEYS + 1))

    assert (len(found.usable), found.dropped) == (MAX_KEYS, 1)


def test_a_key_counts_for_its_own_algorithm_only() -> None:
    keys = [
        public(rsa_key("k2"), kid="rsa"),
        public(rsa_key("k2"), kid="pss", alg="PS256"),
        public(ECKey.generate_key("P-256"), kid="p256"),
        public(ECKey.generate_key("P-384"), kid="p384"),
        public(OKPKey.generate_key("Ed25519"), kid="ed", alg="EdDSA"),
        public(OKPKey.generate_key("X25519"), kid="x"),
    ]
    found = read_keys(keys)

    fitting = {name: [key.kid for key in found.fitting(None, name)] for name in ("RS256", "PS256", "ES256", "ES384", "Ed25519")}

    assert fitting == {"RS256": ["rsa"], "PS256": ["rsa", "pss"], "ES256": ["p256"], "ES384": ["p384"], "Ed25519": ["ed"]}


def test_a_token_without_a_key_id_is_tried_with_five_keys_at_most() -> None:
    keys = read_keys([public(ECKey.generate_key("P-256"), kid=f"k{number}") for number in range(7)])

    assert len(keys.fitting(None, "ES256")) == 5
