"""The protocol buffers wire format, as far as the writers of graphs and records need it."""
import struct


def varint(number: int) -> bytes:
    """A whole number, 0 or more -> bytes, seven bits in each."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number: int, value: int | float | str | bytes) -> bytes:
    """One field of a message: a whole number, a float32, text, bytes or a nested message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value
