#!/usr/bin/python3
"""Prints tests/vectors/formats.vec, computed by the second implementation. With a file's name: fails when it differs.

usage: make_vectors.py [FILE]
"""
import hashlib
import pathlib
import sys

import nacl.bindings

import formats as f
import p256
import parts as p

HEAD = """\
# The project's own formats (docs/FORMATS.md), computed by the second implementation: tests/python/make_vectors.py.
# Outcomes: ok; wrong (another value); forged, malformed, not-covered, wrong-type as the functions of src/crypto name them.
"""


def fill(what):
    """32 bytes that anyone can make again."""
    return f.sha256(what.encode())


def case(name, kind, expect, **fields):
    lines = [f"case = {name}", f"kind = {kind}"]
    lines += [f"{key} = {value.hex() if isinstance(value, bytes) else value}" for key, value in fields.items()]
    return "\n" + "\n".join(lines + [f"expect = {expect}"]) + "\n"


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def sealed_box(ephemeral, public, plain):
    """As section 1 spells it out, with a fixed ephemeral key."""
    mine = f.box_public(ephemeral)
    nonce = hashlib.blake2b(mine + public, digest_size=24).digest()
    return mine + nacl.bindings.crypto_box(plain, nonce, public, ephemeral)


def identities():
    public = f.Signer(fill("seed")).public
    yield case("client ID", "id", "ok", public=public, id=f.id_of_key(public), text=f.id_text(f.id_of_key(public)))
    yield case("hash of the bare key", "id", "wrong", public=public, id=f.sha256(public), text=f.id_text(f.sha256(public)))


def envelopes():
    good = f.envelope_sign("hearth/time/1", b"payload", f.Signer(fill("seed")))
    give = lambda name, expect, envelope: case(name, "envelope", expect, seed=fill("seed"), type="hearth/time/1",
                                               payload=b"payload", envelope=envelope)
    yield give("good", "ok", good)
    other = f.envelope_sign("hearth/time/2", b"payload", f.Signer(fill("seed")))
    yield give("another type", "wrong-type", other)
    yield give("type renamed after signing", "forged", other.replace(b"time/2", b"time/1"))
    yield give("payload changed", "forged", flip(good, 20))
    yield give("signer changed", "forged", flip(good, 27))
    yield give("signature changed", "forged", flip(good, len(good) - 1))
    yield give("version 0", "malformed", b"\0" + good[1:])
    yield give("algorithm 2", "malformed", good[:1] + b"\2" + good[2:])
    yield give("byte behind", "malformed", good + b"\0")
    yield give("byte missing", "malformed", good[:-1])
    yield give("length one too large", "malformed", flip(good, 19)[:19] + b"\x08" + good[20:])
    yield give("nothing", "malformed", b"")


def es256():
    """RFC 6979, A.2.5, its s turned to the lower one where it is not; the rest is made from it."""
    key = p256.Signer(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    assert key.public.hex().upper().startswith("0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6")
    sample = (0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716, 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8)
    test = (0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367, 0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083)
    low = lambda r_, s: p256.be32(r_) + p256.be32(min(s, p256.N - s))
    assert key.sign(b"sample") == low(*sample) and key.sign(b"test") == low(*test)
    give = lambda name, expect, public=key.public, message=b"sample", signature=low(*sample): case(
        "ES256: " + name, "es256", expect, public=public, message=message, signature=signature)
    yield give("RFC 6979, sample", "ok")
    yield give("RFC 6979, test", "ok", message=b"test", signature=low(*test))
    yield give("the higher s", "forged", signature=p256.be32(sample[0]) + p256.be32(sample[1]))
    yield give("another message", "forged", message=b"samplf")
    yield give("another key", "forged", public=p256.Signer(2).public)
    n, s = p256.N, min(sample[1], p256.N - sample[1])
    for name, r_, s_ in (("r is 0", 0, s), ("s is 0", sample[0], 0), ("both are 0", 0, 0), ("r is n", n, s), ("r is n + r", 2**256 - 1, s), ("s is n", sample[0], n),
                         ("s is more than n", sample[0], 2**256 - 1), ("s is (n + 1) / 2", sample[0], n // 2 + 1)):
        yield give(name, "forged", signature=p256.be32(r_) + p256.be32(s_))
    x, y = int.from_bytes(key.public[1:33], "big"), int.from_bytes(key.public[33:], "big")
    yield give("the point turned over", "forged", public=p256.encode((x, p256.P - y)))
    yield give("beside the curve", "forged", public=p256.encode((x, y ^ 1)))
    yield give("x not below p", "forged", public=p256.encode((p256.P + 5, y)))
    yield give("infinity", "forged", public=b"\4" + bytes(64))
    yield give("compressed", "forged", public=bytes([2 + y % 2]) + key.public[1:])
    k1 = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798, 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)
    yield give("a point of another curve (secp256k1)", "forged", public=p256.encode(k1))
    from_der = lambda name, expect, der, signature=low(*sample): case("ES256: " + name, "es256-der", expect, der=der, signature=signature)
    yield from_der("as a token wrote it, the higher s", "ok", p256.der(*sample))
    yield from_der("as a token wrote it, the lower s", "ok", p256.der(sample[0], s))
    yield from_der("short numbers", "ok", p256.der(1, 2), p256.be32(1) + p256.be32(2))
    for name, der in (("r is 0", p256.der(0, s)), ("s is 0", p256.der(sample[0], 0)), ("s is n", p256.der(sample[0], n)), ("r is n", p256.der(n, s)),
                      ("r of 33 bytes", p256.der(2**263, s)), ("cut off", p256.der(*sample)[:-1]), ("nothing", b""), ("no sequence", b"\4" + p256.der(*sample)[1:])):
        yield from_der(name + " in what a token wrote", "malformed", der)
    signed = f.envelope_sign("hearth/time/1", b"payload", key)
    give = lambda name, expect, envelope: case("ES256 envelope: " + name, "envelope-es256", expect, type="hearth/time/1", payload=b"payload", envelope=envelope,
                                               signer=f.id_of_key(key.public))
    yield give("good", "ok", signed)
    yield give("payload changed", "forged", flip(signed, 20))
    yield give("key changed", "forged", flip(signed, len(signed) - 65))
    yield give("signature changed", "forged", flip(signed, len(signed) - 1))
    yield give("algorithm 1", "malformed", signed[:1] + b"\1" + signed[2:])
    yield give("algorithm 0", "malformed", signed[:1] + b"\0" + signed[2:])
    yield give("byte missing", "malformed", signed[:-1])
    yield give("byte behind", "malformed", signed + b"\0")
    yield give("the other s", "forged", signed[:-32] + p256.be32(p256.N - int.from_bytes(signed[-32:], "big")))


def tree():
    secret = fill("tree")
    for category, depth, index in ((0, 0, 0), (0, 1, 1), (7, 16, 0x1234), (7, 32, 0xFFFFFFFF), (4294967295, 32, 0)):
        yield case(f"node ({depth}, {index}) of category {category}", "node-key", "ok", tree=secret, category=category, depth=depth,
                   index=index, key=f.node_key(secret, category, depth, index))
    yield case("key of the parent", "node-key", "wrong", tree=secret, category=0, depth=1, index=0,
               key=f.node_key(secret, 0, 0, 0))
    yield case("key of the next category", "node-key", "wrong", tree=secret, category=1, depth=5, index=3,
               key=f.node_key(secret, 0, 5, 3))
    for leaf in (0, 0x89ABCDEF, 0xFFFFFFFF):
        yield case(f"set of leaf {leaf}", "set", "ok", tree=secret, category=2, leaf=leaf,
                   hash=f.sha256(f.device_set(secret, 2, leaf)))
    yield case("set of the neighbour", "set", "wrong", tree=secret, category=2, leaf=6, hash=f.sha256(f.device_set(secret, 2, 7)))


def key_blocks():
    secret, root, version = fill("tree"), fill("root"), 77
    for revoked in ([], [5], [4, 5], [0, 0xFFFFFFFF], [1, 2, 0x80000000, 0xCAFEBABE]):
        entries = f.ekb_entries(secret, 3, version, revoked, root)
        yield case(f"{len(revoked)} revoked, first {revoked[:1]}", "ekb", "ok", tree=secret, category=3, version=version, root=root,
                   revoked=b"".join(f.be32(n) for n in revoked), entries_root=f.merkle_root([f.merkle_leaf(e) for e in entries]),
                   key_check=f.key_check(root, version), count=len(entries))
    entries = f.ekb_entries(secret, 3, version, [1, 2, 0x80000000, 0xCAFEBABE], root)
    hashes = [f.merkle_leaf(e) for e in entries]
    at = next(i for i, e in enumerate(entries) if f.covers(e[0], int.from_bytes(e[1:5], "big"), 3))
    good = {"tree": secret, "category": 3, "leaf": 3, "version": version, "count": len(entries),
            "entries_root": f.merkle_root(hashes), "key_check": f.key_check(root, version), "index": at, "entry": entries[at],
            "proof": b"".join(f.merkle_prove(hashes, at)), "root": root}
    give = lambda name, expect, **changes: case(name, "ekb-open", expect, **{**good, **changes})
    yield give("good", "ok")
    yield give("a revoked leaf", "not-covered", leaf=1)
    yield give("a leaf of another category", "forged", category=4)
    yield give("another tree", "forged", tree=fill("another tree"))
    yield give("another version", "forged", version=78)
    yield give("another place", "forged", index=at + 1)
    yield give("another size", "forged", count=len(entries) * 4)
    yield give("place beyond the block", "malformed", index=len(entries))
    yield give("entry changed", "forged", entry=flip(entries[at], 30))
    yield give("entry cut", "malformed", entry=entries[at][:-1])
    yield give("node deeper than the tree", "malformed", entry=bytes([33]) + entries[at][1:])
    yield give("node outside its depth", "malformed", entry=bytes([0]) + f.be32(1) + entries[at][5:])
    yield give("proof changed", "forged", proof=flip(good["proof"], 0))
    yield give("proof cut", "forged", proof=good["proof"][:-32])
    yield give("proof not whole hashes", "malformed", proof=good["proof"][:-1])
    yield give("another root of entries", "forged", entries_root=fill("x"))
    yield give("another key check", "forged", key_check=f.key_check(fill("x"), version))


def key_blocks_in_parts():
    yield case("HChaCha20", "hchacha20", "ok", key=bytes(range(32)), input=bytes.fromhex("000000090000004a0000000031415927"),
               out=f.hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")))
    secret, root, version = fill("tree"), fill("root"), 78
    nonces = [fill(f"nonce {n}")[:16] for n in range(48)]
    sets = [(0, 0, 0), (5, 1, 1), (4, 1, 2), (0, 0xFFFFFFFF, 2), (7, 0x1000, 60), (3, 2, 540), (1, 7000000, 600)]
    for first, step, count in sets:
        block = p.parts_block(secret, 3, version, [first + n * step for n in range(count)], root, nonces)
        yield case(f"{count} revoked from {first} on, every {step}", "ekb-parts", "ok", tree=secret, category=3, version=version, root=root,
                   first=first, step=step, revoked=count, nonces=b"".join(nonces), count=len(block), units=len(p.parts_bytes(block)) // 37,
                   hash=f.sha256(p.parts_bytes(block)), entries_root=f.merkle_root(p.parts_hashes(block)), key_check=f.key_check(root, version))
    block = p.parts_block(secret, 3, version, [3 + 2 * n for n in range(540)], root, nonces)
    index, top, proof, part = p.parts_place(block, 600)
    good = {"tree": secret, "category": 3, "leaf": 600, "version": version, "count": len(block),
            "entries_root": f.merkle_root(p.parts_hashes(block)), "key_check": f.key_check(root, version), "index": index, "entry": top,
            "proof": proof, "part": part, "root": root}
    give = lambda name, expect, **changes: case(name, "ekb-parts-open", expect, **{**good, **changes})
    yield give("good", "ok")
    for leaf in (0, 2, 4, 1080, 1083, 0x12345678, 0xFFFFFFFF):
        index, top, proof, part = p.parts_place(block, leaf)
        yield give(f"leaf {leaf}", "ok", leaf=leaf, index=index, entry=top, proof=proof, part=part)
    assert p.parts_place(block, 601) is None
    yield give("a revoked leaf", "not-covered", leaf=601)
    yield give("a leaf of another part", "not-covered", leaf=0x80000000)
    yield give("a leaf of another category", "forged", category=4)
    yield give("another tree", "forged", tree=fill("another tree"))
    yield give("another version", "forged", version=79)
    yield give("another place", "forged", index=good["index"] ^ 1)
    yield give("place beyond the block", "malformed", index=len(block))
    yield give("top entry changed", "forged", entry=flip(good["entry"], 30))
    yield give("proof changed", "forged", proof=flip(good["proof"], 0))
    yield give("proof cut", "forged", proof=good["proof"][:-32])
    yield give("nonce changed", "forged", part=flip(good["part"], 0))
    yield give("size of the part changed", "forged", part=flip(good["part"], 19))
    yield give("place in the part changed", "forged", part=flip(good["part"], 23))
    yield give("part entry changed", "forged", part=flip(good["part"], 50))
    yield give("proof in the part changed", "forged", part=flip(good["part"], 80))
    yield give("proof in the part cut", "forged", part=good["part"][:-32])
    yield give("part not whole hashes", "malformed", part=good["part"][:-1])
    yield give("no part", "malformed", part=good["part"][:60])
    yield give("another key check", "forged", key_check=f.key_check(fill("x"), version))


def content_keys():
    root, content, license_id = fill("root"), fill("content"), fill("license")[:16]
    yield case("partner root", "partner-root", "ok", root=root, partner=fill("partner"), key=f.partner_root(root, fill("partner")))
    yield case("partner root of another", "partner-root", "wrong", root=root, partner=fill("other"),
               key=f.partner_root(root, fill("partner")))
    yield case("content key", "content-key", "ok", header_half=fill("h"), license_half=fill("l"), nonce=fill("n"),
               key=f.content_key(fill("h"), fill("l"), fill("n")))
    yield case("halves exchanged", "content-key", "wrong", header_half=fill("l"), license_half=fill("h"), nonce=fill("n"),
               key=f.content_key(fill("h"), fill("l"), fill("n")))
    wrapped = f.wrap_half(root, content, license_id, fill("h"), fill("iv")[:12])
    give = lambda name, expect, **changes: case(name, "wrapped-half", expect, **{
        "root": root, "content": content, "license": license_id, "wrapped": wrapped, "half": fill("h"), **changes})
    yield give("wrapped half", "ok")
    yield give("of another content", "forged", content=fill("x"))
    yield give("of another license", "forged", license=fill("x")[:16])
    yield give("of another root", "forged", root=fill("x"))
    yield give("changed", "forged", wrapped=flip(wrapped, 59))
    yield give("cut", "forged", wrapped=wrapped[:-1])
    secret = fill("sealing")
    sealed = sealed_box(fill("ephemeral"), f.box_public(secret), fill("l") + content)
    give = lambda name, expect, **changes: case(name, "license-half", expect, **{
        "secret": secret, "content": content, "sealed": sealed, "half": fill("l"), **changes})
    yield give("license half", "ok")
    yield give("of another content", "forged", content=fill("x"))
    yield give("of another device", "forged", secret=fill("x"))
    yield give("ephemeral key changed", "forged", sealed=flip(sealed, 0))
    yield give("changed", "forged", sealed=flip(sealed, 111))
    yield give("cut", "forged", sealed=sealed[:-1])
    yield give("ephemeral key of low order", "forged", sealed=bytes(32) + sealed[32:])


def bodies():
    key, nonce, plain = fill("kc"), fill("nonce"), b"what is heard"
    block = f.block_seal(key, nonce, 3, 9, plain, fill("seed")[:16], fill("iv")[:12])
    give = lambda name, expect, **changes: case(name, "block", expect, **{
        "key": key, "nonce": nonce, "index": 3, "count": 9, "block": block, "plain": plain, "hash": f.merkle_leaf(block), **changes})
    yield give("block", "ok")
    yield give("at another place", "forged", index=4)
    yield give("of a longer content", "forged", count=10)
    yield give("of another content", "forged", nonce=fill("x"))
    yield give("under another key", "forged", key=fill("x"))
    yield give("seed changed", "forged", block=flip(block, 0))
    yield give("iv changed", "forged", block=flip(block, 16))
    yield give("ciphertext changed", "forged", block=flip(block, 28))
    yield give("tag changed", "forged", block=flip(block, len(block) - 1))
    yield give("cut", "forged", block=block[:-1])
    yield give("shorter than any", "forged", block=block[:43])
    yield case("content ID", "content-id", "ok", info=b"info", list_root=fill("list"), id=f.content_id(b"info", fill("list")))
    yield case("content ID, byte moved", "content-id", "wrong", info=b"inf", list_root=fill("list"),
               id=f.content_id(b"info", fill("list")))


def program_seal(information, plain, digest):
    key, parts = f.hkdf(information, "hearth program", digest), [plain[at:at + 16384] for at in range(0, len(plain), 16384)]
    return b"".join(f.block_seal(key, digest, i, len(parts), part, fill(f"seed {i}")[:16], fill(f"iv {i}")[:12]) for i, part in enumerate(parts))


def programs():
    """What a device gets: opened with its own information only, whole, block by block in its place (section 13)."""
    plain, information = b"a program", fill("information")
    digest = f.sha256(plain)
    sealed = program_seal(information, plain, digest)
    give = lambda name, expect, **changes: case(name, "program", expect, **{
        "information": information, "digest": digest, "bytes": len(plain), "sealed": sealed, **changes})
    yield give("program", "ok")
    yield give("with another device's information", "forged", information=fill("x"))
    yield give("with a mark changed", "forged", information=flip(information, 0))
    yield give("as another version", "forged", digest=fill("x"))
    yield give("other bytes than were signed", "wrong", digest=f.sha256(b"other"), sealed=program_seal(information, plain, f.sha256(b"other")))
    yield give("seed changed", "forged", sealed=flip(sealed, 0))
    yield give("iv changed", "forged", sealed=flip(sealed, 16))
    yield give("ciphertext changed", "forged", sealed=flip(sealed, 28))
    yield give("tag changed", "forged", sealed=flip(sealed, len(sealed) - 1))
    yield give("cut", "malformed", sealed=sealed[:-1])
    yield give("a byte behind", "malformed", sealed=sealed + b"\0")
    yield give("nothing", "malformed", sealed=b"")
    yield give("signed as shorter", "malformed", bytes=len(plain) - 1)
    two = fill("two") * 512 + b"end"
    sealed = program_seal(information, two, f.sha256(two))
    yield give("program of two blocks", "ok", digest=f.sha256(two), bytes=len(two), sealed=sealed)
    long = fill("two") * 1024
    sealed = program_seal(information, long, f.sha256(long))
    yield give("blocks exchanged", "forged", digest=f.sha256(long), bytes=len(long), sealed=sealed[16428:] + sealed[:16428])


def main():
    out = HEAD
    for part in (identities, envelopes, es256, tree, key_blocks, key_blocks_in_parts, content_keys, bodies, programs):
        out += "".join(part())
    if len(sys.argv) == 1:
        sys.stdout.write(out)
        return 0
    if out != pathlib.Path(sys.argv[1]).read_text(encoding="ascii"):
        print(f"{sys.argv[1]} is not what this implementation computes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
