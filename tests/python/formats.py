"""docs/FORMATS.md in Python: primitives, identities, envelopes, trees, content keys, bodies (sections 1, 3, 4, 7, 8, 9).

A second implementation for tests only, written from the document. Nothing here is constant-time or wiped.
"""
import base64
import functools
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import nacl.exceptions
import nacl.public

import p256


class Refused(Exception):
    """What a reader of the format refuses; args[0] is the reason's code."""


def refuse_unless(condition, code):
    if not condition:
        raise Refused(code)


# The smallest that section 14 calls a picture: the frame of one pixel, and the end.
JPEG = b"\xff\xd8\xff\xc0\x00\x08\x08\x00\x01\x00\x01\x00\xff\xd9"


def png(width=1, height=1, *more):
    """(name, data) of chunks between the first and the last."""
    chunks = [(b"IHDR", be32(width) + be32(height) + b"\x08\x02\x00\x00\x00"), *more, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(be32(len(data)) + name + data + bytes(4) for name, data in chunks)


def be32(value):
    return struct.pack(">I", value)


def be64(value):
    return struct.pack(">Q", value)


# ---- section 1 ----------------------------------------------------------------------------------------------------

def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf_sha256(key, salt, info, length):
    prk = hmac.new(salt or bytes(32), key, "sha256").digest()
    out, block = b"", b""
    for counter in range(1, (length + 31) // 32 + 1):
        block = hmac.new(prk, block + info + bytes([counter]), "sha256").digest()
        out += block
    return out[:length]


def hkdf(key, label, context=b""):
    return hkdf_sha256(key, b"", label.encode() + b"\0" + context, 32)


def hchacha20(key, data):
    """20 rounds of ChaCha20 over constants, key and 16 bytes; the first and last row are the key that comes out."""
    x = list(struct.unpack("<16I", b"expand 32-byte k" + key + data))

    def quarter(a, b, c, d):
        for p, q, r, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = (x[p] + x[q]) & 0xFFFFFFFF
            x[r] ^= x[p]
            x[r] = (x[r] << turn | x[r] >> 32 - turn) & 0xFFFFFFFF

    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(a, b, c, d)
    return struct.pack("<8I", *x[:4], *x[12:])


def gcm_seal(key, iv, associated, plain):
    return AESGCM(key).encrypt(iv, plain, associated)


def gcm_open(key, iv, associated, sealed):
    refuse_unless(len(sealed) >= 16, "forged")
    try:
        return AESGCM(key).decrypt(iv, sealed, associated)
    except InvalidTag:
        raise Refused("forged") from None


P25519 = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER_Y = {0, 1, P25519 - 1, ORDER_8_Y, P25519 - ORDER_8_Y}


def point_is_acceptable(encoded):
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    return y < P25519 and y not in SMALL_ORDER_Y


def signature_is_valid(public, message, signature):
    if not point_is_acceptable(public) or not point_is_acceptable(signature[:32]):
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


class Signer:
    algorithm = 1

    def __init__(self, seed):
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message):
        return self.private.sign(message)


def box_public(secret):
    return bytes(nacl.public.PrivateKey(secret).public_key)


def box_seal(public, plain):
    return nacl.public.SealedBox(nacl.public.PublicKey(public)).encrypt(plain)


def box_open(secret, sealed):
    try:
        return nacl.public.SealedBox(nacl.public.PrivateKey(secret)).decrypt(sealed)
    except (nacl.exceptions.CryptoError, ValueError, TypeError):
        raise Refused("forged") from None


def merkle_leaf(data):
    return sha256(b"\0" + data)


def merkle_root(hashes):
    if len(hashes) == 0:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\1" + merkle_root(hashes[:k]) + merkle_root(hashes[k:]))


def merkle_prove(hashes, index):
    if len(hashes) == 1:
        return []
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if index < k:
        return merkle_prove(hashes[:k], index) + [merkle_root(hashes[k:])]
    return merkle_prove(hashes[k:], index - k) + [merkle_root(hashes[:k])]


def merkle_root_of(leaf_hash, index, count, proof):
    """The root under which the proof puts the leaf; None: no proof for that place."""
    if index >= count or len(proof) % 32:
        return None
    hashes = [proof[i:i + 32] for i in range(0, len(proof), 32)]

    def climb(at, n):
        """The root of the n leaves in which `at` is the one proved; takes hashes from the end."""
        if n == 1:
            return leaf_hash
        if not hashes:
            return None
        sibling = hashes.pop()
        k = 1
        while k * 2 < n:
            k *= 2
        below = climb(at, k) if at < k else climb(at - k, n - k)
        if below is None:
            return None
        return sha256(b"\1" + (below + sibling if at < k else sibling + below))

    root = climb(index, count)
    return None if hashes else root


def merkle_proves(leaf_hash, index, count, proof, root):
    return merkle_root_of(leaf_hash, index, count, proof) == root


# ---- section 3 ----------------------------------------------------------------------------------------------------

SPKI_HEADS = {32: bytes.fromhex("302a300506032b6570032100"), 65: bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")}


def id_of_key(public):
    """Of an Ed25519 key, or a P-256 point."""
    return sha256(SPKI_HEADS[len(public)] + public)


def id_text(identity):
    return base64.b32encode(identity).decode().lower().rstrip("=")


# ---- section 4 ----------------------------------------------------------------------------------------------------

def pae(payload_type, payload):
    head = f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} "
    return head.encode() + payload


def envelope_sign(payload_type, payload, signer):
    return (bytes([1, signer.algorithm, len(payload_type)]) + payload_type.encode() + be32(len(payload)) + payload + signer.public
            + signer.sign(pae(payload_type, payload)))


def envelope_open(envelope, payload_type):
    """Payload and signer's public key, whose length tells its algorithm."""
    refuse_unless(len(envelope) >= 3 and envelope[0] == 1 and envelope[1] in (1, 2), "malformed")
    t, k, is_valid = envelope[2], *((32, signature_is_valid) if envelope[1] == 1 else (65, p256.is_valid))
    refuse_unless(1 <= t <= 64 and len(envelope) >= 7 + t, "malformed")
    p = int.from_bytes(envelope[3 + t:7 + t], "big")
    refuse_unless(1 <= p <= 262144 and len(envelope) == 7 + t + p + k + 64, "malformed")
    refuse_unless(envelope[3:3 + t] == payload_type.encode(), "malformed")
    payload, public, signature = envelope[7 + t:7 + t + p], envelope[7 + t + p:7 + t + p + k], envelope[7 + t + p + k:]
    refuse_unless(is_valid(public, pae(payload_type, payload), signature), "signature-invalid")
    return payload, public


# ---- section 7 ----------------------------------------------------------------------------------------------------

SET_BYTES = 17961


@functools.lru_cache
def category_key(tree_secret, what, category):
    return hkdf(tree_secret, what, be32(category))


def of_node(tree_secret, what, category, depth, index):
    return hchacha20(category_key(tree_secret, what, category), (bytes([depth]) + be32(index)).ljust(16, b"\0"))


def node_key(tree_secret, category, depth, index):
    return of_node(tree_secret, "hearth node keys", category, depth, index)


def node_label(tree_secret, category, depth, index):
    return of_node(tree_secret, "hearth sd labels", category, depth, index)


def covers(depth, index, leaf):
    return leaf >> (32 - depth) == index


@functools.lru_cache(1 << 16)
def label_step(label, text):
    return hchacha20(label, text.encode().ljust(16, b"\0"))


def device_set(tree_secret, category, leaf):
    out = bytes([3]) + be32(category) + be32(leaf)
    path = [leaf >> (32 - depth) for depth in range(33)]
    for depth in range(33):
        out += node_key(tree_secret, category, depth, path[depth])
    for a in range(32):
        label = node_label(tree_secret, category, a, path[a])
        for d in range(a + 1, 33):
            children = label_step(label, "hearth sd left"), label_step(label, "hearth sd right")
            side = path[d] & 1
            out += children[1 - side]
            label = children[side]
    return out


def set_head(dnk):
    refuse_unless(len(dnk) == SET_BYTES and dnk[0] == 3, "malformed")
    return int.from_bytes(dnk[1:5], "big"), int.from_bytes(dnk[5:9], "big")


def cover(revoked, depth=0, index=0):
    """Nodes of the complete-subtree cover, left to right; revoked: a list within the node."""
    if not revoked:
        return [(depth, index)]
    if depth == 32:
        return []
    border = (2 * index + 1) << (31 - depth)
    return (cover([n for n in revoked if n < border], depth + 1, 2 * index)
            + cover([n for n in revoked if n >= border], depth + 1, 2 * index + 1))


def key_check(root_key, version):
    return hkdf(root_key, "hearth ekb check", be64(version))


def mask(key, nonce, data):
    return bytes(a ^ b for a, b in zip(data, hchacha20(key, nonce), strict=True))


def ekb_entries(tree_secret, category, version, revoked, root_key):
    check = key_check(root_key, version)
    entries = []
    for depth, index in cover(sorted(revoked)):
        head = bytes([depth]) + be32(index)
        entries.append(head + mask(node_key(tree_secret, category, depth, index), check[:16], root_key))
    return entries


def ekb_open(dnk, block, index, entry, proof):
    """block: the fields of an ekb document. The root key."""
    category, leaf = set_head(dnk)
    refuse_unless(category == block["category"] and block["kind"] == 1, "malformed")
    refuse_unless(len(entry) == 37 and entry[0] <= 32 and index < block["entry_count"] <= 1 << 20, "malformed")
    depth, node = entry[0], int.from_bytes(entry[1:5], "big")
    refuse_unless(node >> depth == 0, "malformed")
    refuse_unless(merkle_proves(merkle_leaf(entry), index, block["entry_count"], proof, block["entries_root"]), "forged")
    refuse_unless(covers(depth, node, leaf), "not-covered")
    key = dnk[9 + 32 * depth:41 + 32 * depth]
    root_key = mask(key, block["key_check"][:16], entry[5:])
    refuse_unless(key_check(root_key, block["version"]) == block["key_check"], "forged")
    return root_key


def partner_root(root_key, partner):
    return hkdf(root_key, "hearth partner root", partner)


# ---- section 8 ----------------------------------------------------------------------------------------------------

def content_key(header_half, license_half, nonce):
    return hkdf_sha256(header_half + license_half, b"", b"hearth content key\0" + nonce, 32)


def wrap_half(root, content, license_id, half, iv):
    return iv + gcm_seal(hkdf(root, "hearth header half", content + license_id), iv, b"", half)


def unwrap_half(root, content, license_id, wrapped):
    refuse_unless(len(wrapped) == 60, "forged")
    return gcm_open(hkdf(root, "hearth header half", content + license_id), wrapped[:12], b"", wrapped[12:])


def seal_license_half(public, half, content):
    return box_seal(public, half + content)


def open_license_half(secret, content, sealed):
    refuse_unless(len(sealed) == 112, "forged")
    plain = box_open(secret, sealed)
    refuse_unless(plain[32:] == content, "forged")
    return plain[:32]


# ---- section 9 ----------------------------------------------------------------------------------------------------

def content_id(info, list_root):
    return sha256(b"hearth content id\0" + be32(len(info)) + info + list_root)


def block_seal(kc, nonce, index, count, plain, seed, iv):
    return seed + iv + gcm_seal(hkdf(kc, "hearth block", seed), iv, nonce + be64(index) + be64(count), plain)


def block_open(kc, nonce, index, count, block):
    refuse_unless(len(block) >= 44, "forged")
    return gcm_open(hkdf(kc, "hearth block", block[:16]), block[16:28], nonce + be64(index) + be64(count), block[28:])


def body_make(info, blocks):
    hashes = [merkle_leaf(b) for b in blocks]
    body = b"HEARTHB1" + be32(len(info)) + info + b"".join(hashes) + b"".join(blocks)
    return body, content_id(info, merkle_root(hashes))


def body_split(body):
    """Content information's bytes and everything behind it."""
    refuse_unless(len(body) >= 12 and body[:8] == b"HEARTHB1", "malformed")
    i = int.from_bytes(body[8:12], "big")
    refuse_unless(1 <= i <= 2048 and len(body) >= 12 + i, "malformed")
    return body[12:12 + i], body[12 + i:]
