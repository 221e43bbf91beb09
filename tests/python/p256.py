"""ES256 (docs/FORMATS.md, sections 1 and 4) in whole numbers: P-256, ECDSA with SHA-256, the lower s. Signs as RFC 6979 does, so that a signature can be made again."""
import hashlib
import hmac

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296, 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def is_on_curve(point):
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - x * x * x + 3 * x - B) % P == 0


def add(a, b):
    """None is the point at infinity."""
    if a is None or b is None:
        return a or b
    (x1, y1), (x2, y2) = a, b
    if x1 == x2:
        if (y1 + y2) % P == 0:
            return None
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def times(k, point):
    out = None
    while k:
        if k & 1:
            out = add(out, point)
        point, k = add(point, point), k >> 1
    return out


def be32(number):
    return number.to_bytes(32, "big")


def encode(point):
    return b"\4" + be32(point[0]) + be32(point[1])


def hashed(message):
    return int.from_bytes(hashlib.sha256(message).digest(), "big")


def is_valid(public, message, signature):
    if len(public) != 65 or public[0] != 4 or len(signature) != 64:
        return False
    point = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not is_on_curve(point) or not 0 < r < N or not 0 < s <= N // 2:
        return False
    w = pow(s, -1, N)
    sum_ = add(times(hashed(message) * w % N, G), times(r * w % N, point))
    return sum_ is not None and sum_[0] % N == r


def nonces(secret, message):
    """RFC 6979, section 3.2."""
    mac = lambda key, data: hmac.new(key, data, hashlib.sha256).digest()
    given = be32(secret) + be32(hashed(message) % N)
    k, v = b"\0" * 32, b"\1" * 32
    for separator in (b"\0", b"\1"):
        k = mac(k, v + separator + given)
        v = mac(k, v)
    while True:
        v = mac(k, v)
        if 0 < int.from_bytes(v, "big") < N:
            yield int.from_bytes(v, "big")
        k = mac(k, v + b"\0")
        v = mac(k, v)


class Signer:
    algorithm = 2

    def __init__(self, secret):
        self.secret = secret
        self.public = encode(times(secret, G))

    def sign(self, message):
        for k in nonces(self.secret, message):
            r = times(k, G)[0] % N
            s = pow(k, -1, N) * (hashed(message) + r * self.secret) % N
            if r and s:
                return be32(r) + be32(min(s, N - s))


def der(r, s):
    """As tokens and libraries write a signature."""
    def number(n):
        data = n.to_bytes(n.bit_length() // 8 + 1, "big")
        return bytes([2, len(data)]) + data
    whole = number(r) + number(s)
    return bytes([0x30, len(whole)]) + whole
