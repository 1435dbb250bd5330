"""Sealed messages."""

import pytest

from dosette.contracts.signing import BadSignature, redis_password, seal, signing_key, unseal

KEY = signing_key("secret", "device", 1)


def test_what_was_sealed_can_be_unsealed():
    assert unseal(seal(b'{"v": 1}', KEY), KEY) == b'{"v": 1}'


@pytest.mark.parametrize("place", [0, 63, 64, 65, -1])
def test_a_message_changed_in_one_byte_is_refused(place: int):
    message = bytearray(seal(b'{"v": 1}', KEY))
    message[place] ^= 1

    with pytest.raises(BadSignature):
        unseal(bytes(message) if place != 64 else bytes(message[:64] + message[65:]), KEY)


def test_an_empty_message_is_refused():
    with pytest.raises(BadSignature):
        unseal(b"", KEY)


def test_a_new_generation_of_a_device_has_other_keys():
    assert signing_key("secret", "device", 2) != KEY
    assert redis_password("secret", "device", 1) != KEY
