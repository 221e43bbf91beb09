"""A household made by the second implementation: two distributors, three devices, one content; and a file of cases."""
import random

import formats as f
import judge as j
import p256
import records as r

NOW = 1700000000000
YEAR = 365 * 86400 * 1000


class Distributor:
    """es256: its root key is an ES256 key."""

    def __init__(self, world, name, category, revoked, es256=False):
        self.root, self.license, self.roster = (f.Signer(world.draw()) for _ in range(3))
        self.tls = f.Signer(world.draw())
        if es256:
            self.root = p256.Signer(int.from_bytes(self.license.public, "big") % p256.N)
        self.sealing, self.tree, self.block_root = world.draw(), world.draw(), world.draw()
        self.id, self.name, self.category = f.id_of_key(self.root.public), name, category
        self.version, self.floors = 10 + category, []
        self.entries = f.ekb_entries(self.tree, category, self.version, revoked, self.block_root)
        self.hashes = [f.merkle_leaf(e) for e in self.entries]

    def keyset_fields(self):
        key = lambda purpose, public: {"purpose": purpose, "key": public, "ends_ms": NOW + YEAR}
        return {"distributor": self.id, "name": self.name, "sequence": 8, "issued_ms": NOW, "ends_ms": NOW + YEAR,
                "keys": [key(1, self.tls.public), key(2, self.license.public), key(3, self.roster.public),
                         key(4, f.box_public(self.sealing))], "floors": self.floors}

    def keyset(self):
        return r.document_sign("keyset", self.keyset_fields(), self.root)

    def ekb_fields(self):
        return {"distributor": self.id, "category": self.category, "kind": 1, "version": self.version,
                "entry_count": len(self.entries), "entries_root": f.merkle_root(self.hashes),
                "key_check": f.key_check(self.block_root, self.version), "issued_ms": NOW}

    def key_block(self, leaf, **changes):
        index = next(i for i, e in enumerate(self.entries) if f.covers(e[0], int.from_bytes(e[1:5], "big"), leaf))
        entry = {"block": r.document_sign("ekb", {**self.ekb_fields(), **changes}, self.license), "index": index,
                 "entry": self.entries[index]}
        proof = b"".join(f.merkle_prove(self.hashes, index))
        return {**entry, "proof": proof} if proof else entry


class Device:
    def __init__(self, world, distributor, number):
        self.signer, self.sealing = f.Signer(world.draw()), world.draw()
        self.id = f.id_of_key(self.signer.public)
        self.leaf = {"distributor": distributor.id, "category": distributor.category, "number": number}
        self.set = f.device_set(distributor.tree, distributor.category, number)


class World:
    def __init__(self):
        self.chance = random.Random(2024)
        self.a = Distributor(self, "Ä", 4, [])
        self.b = Distributor(self, "B", 9, [3, 4, 1000, 4294967295], es256=True)
        self.b.floors = [{"partner": self.a.id, "lowest_sequence": 6}]
        self.source, self.sibling = Device(self, self.a, 0), Device(self, self.a, 4294967295)
        self.destination, self.revoked = Device(self, self.b, 5), Device(self, self.b, 1000)
        self.copy_key = f.Signer(self.draw())
        self.provider, self.digest = f.Signer(self.draw()), self.draw()
        self.license_id = self.draw(16)
        self.header_half, self.license_half = self.draw(), self.draw()
        self.plain = self.draw(4096 * 4 + 1)
        self.make_body()

    def draw(self, n=32):
        return self.chance.randbytes(n)

    def info_fields(self):
        return {"publisher": self.a.id, "media_type": "audio/ogg", "title": "t" * 127, "creator": "c", "duration_ms": 0,
                "plain_bytes": len(self.plain), "block_bytes": 4096, "block_count": 5, "nonce": self.nonce}

    def make_body(self):
        self.nonce = self.draw()
        kc = f.content_key(self.header_half, self.license_half, self.nonce)
        self.blocks = [f.block_seal(kc, self.nonce, k, 5, self.plain[4096 * k:4096 * k + 4096], self.draw(16), self.draw(12))
                       for k in range(5)]
        self.info = r.encode(r.CONTENT_INFO, self.info_fields())
        self.body, self.content = f.body_make(self.info, self.blocks)
        self.list_root = f.merkle_root([f.merkle_leaf(b) for b in self.blocks])

    # ---- fields of each document as they should be ----

    def device_fields(self, device):
        return {"device_key": device.signer.public, "sealing_key": f.box_public(device.sealing), "leaf": device.leaf,
                "issued_ms": NOW, "ends_ms": NOW + YEAR}

    def roster_fields(self, count):
        certificate = r.document_sign("device", self.device_fields(self.destination), self.b.license)
        device = {"client": self.destination.id, "distributor": self.b.id, "name": "n" * 63, "distributor_name": "B",
                  "certificate": certificate}
        return {"distributor": self.b.id, "household": self.draw(16), "sequence": 1, "issued_ms": NOW,
                "ends_ms": NOW + YEAR, "devices": [device] * count}

    def conditions(self):
        return {"usage_from_ms": 0, "max_copies": 4294967295, "copy_depth": 0, "max_removable": 0}

    def license_fields(self, device):
        return {"issuer": self.a.id, "license_id": self.license_id, "sequence": 2**64 - 1, "content": self.content,
                "client": device.id, "leaf": device.leaf, "issued_ms": NOW, "conditions": self.conditions(),
                "license_half": f.seal_license_half(f.box_public(device.sealing), self.license_half, self.content)}

    def wrapped(self, of):
        root = of.block_root if of is self.a else f.partner_root(of.block_root, self.a.id)
        return f.wrap_half(root, self.content, self.license_id, self.header_half, self.draw(12))

    def header_fields(self, of, device):
        return {"content": self.content, "issuer": self.a.id, "license_id": self.license_id, "wrapped_half": self.wrapped(of),
                "partner_root": of is not self.a, "key_block": of.key_block(device.leaf["number"])}

    def certificate_fields(self, of, device, signer, license_changes=None, license_signer=None):
        license_ = r.document_sign("license", {**self.license_fields(device), **(license_changes or {})},
                                   license_signer or signer)
        return {"issuer": self.a.id, "serial": self.draw(16), "source": self.source.id, "destination": device.id,
                "content": self.content, "license": license_, "wrapped_half": self.wrapped(of),
                "partner_root": of is not self.a, "key_block": of.key_block(device.leaf["number"]), "move": True,
                "removable": False, "issued_ms": NOW, "ends_ms": NOW + 60000}

    def delegation_fields(self):
        return {"delegator": self.b.id, "partner": self.a.id, "copy_key": self.copy_key.public, "sequence": 6,
                "max_certificate_ms": 60000, "issued_ms": NOW, "ends_ms": NOW + YEAR}

    def grant_fields(self):
        root = f.partner_root(self.b.block_root, self.a.id)
        return {"distributor": self.b.id, "partner": self.a.id, "category": 9, "version": self.b.version,
                "sealed_root": f.box_seal(f.box_public(self.a.sealing), root), "issued_ms": NOW, "ends_ms": NOW + YEAR}

    def quote_fields(self):
        return {"distributor": self.a.id, "client": self.source.id, "content": self.content, "license_id": self.license_id,
                "product": 1, "product_name": "", "price": -2**63, "currency": "JPY", "conditions": self.conditions(),
                "issued_ms": NOW, "ends_ms": NOW + 1000}

    def receipt_fields(self):
        return {"issuer": self.a.id, "serial": self.draw(16), "content": self.content, "source": self.source.id,
                "destination": self.destination.id, "outcome": 2, "signed_ms": NOW}

    def surrender_fields(self):
        return {"issuer": self.a.id, "license_id": self.license_id, "serial": self.draw(16), "client": self.source.id,
                "signed_ms": NOW}

    def use_fields(self):
        return {"issuer": self.a.id, "license_id": self.license_id, "client": self.source.id, "sequence": 2**63, "plays": 2**32 - 1,
                "play_ms": 0, "returned": False, "signed_ms": NOW, "recoveries": 2**32 - 1}

    def use_log_fields(self, *numbers):
        return {"issuer": self.a.id, "client": self.source.id, "signed_ms": NOW,
                "entries": [{"number": n, "license_id": self.license_id, "content": self.content, "began_ms": NOW, "play_ms": 0}
                            for n in numbers]}

    def taken_fields(self):
        return {"issuer": self.a.id, "client": self.source.id, "through": 2**64 - 1}

    def standing_fields(self):
        return {"distributor": self.a.id, "client": self.source.id, "session": 9, "generation": NOW, "time_ms": NOW}

    def generation_fields(self):
        return {"distributor": self.a.id, "client": self.source.id, "session": 9, "nonce": bytes(16), "generation": NOW, "current": True}

    def catch_up_entry(self, kind, issuer=None, name=bytes(16)):
        entry = {"kind": kind, "issuer": issuer or self.a.id, "name": name}
        if kind >= 2:
            entry["sequence"] = 4
        if kind == 3:
            entry |= {"license_id": bytes(16), "content": bytes(32), "destination": self.destination.id, "digest": bytes(32)}
        return entry

    def catch_up_fields(self, *entries, after=bytes(49), last=True):
        return {"distributor": self.a.id, "client": self.source.id, "nonce": bytes(16), "generation": NOW, "after": after,
                "last": last, "time_ms": NOW, "entries": list(entries)}

    def program_fields(self):
        return {"provider": f.id_of_key(self.provider.public), "name": "a", "kind": 2, "version": 2**48 - 1, "program_bytes": 1 << 24,
                "digest": self.digest, "signed_ms": 0}

    def grant_of_program_fields(self, program=None):
        return {"distributor": self.a.id, "client": self.source.id, "program": program or r.document_sign("program", self.program_fields(), self.provider),
                "information": f.box_seal(f.box_public(self.source.sealing), self.draw(32)), "issued_ms": NOW}

    def metadata_fields(self):
        parts = self.metadata_parts()
        return {"content": self.content, "kind": 1, "signer": f.id_of_key(self.provider.public), "sequence": 2**63 - 1, "language": "de-AT",
                "issued_ms": NOW, "ends_ms": NOW + YEAR, "parts_bytes": len(parts), "parts_digest": f.sha256(parts)}

    def metadata_parts(self):
        part = lambda kind, value: bytes([kind]) + f.be32(len(value)) + value
        return (part(1, b"\x05titleForelle") + part(2, f.be64(0) + b"One") + part(2, f.be64(1 << 40) + b"Two") + part(3, f.be64(0)) +
                part(3, f.be64(0) + "schöne".encode()) + part(4, f.JPEG))

    def metadata_file(self, envelope=None, vouch=b"", keyset=b"", parts=None):
        counted = lambda value: f.be32(len(value)) + value
        envelope = r.document_sign("metadata", self.metadata_fields(), self.provider) if envelope is None else envelope
        return b"HEARTHM1" + counted(envelope) + counted(vouch) + counted(keyset) + (self.metadata_parts() if parts is None else parts)

    def vouch_fields(self):
        return {"distributor": self.a.id, "provider": f.id_of_key(self.provider.public), "sequence": 1, "issued_ms": NOW, "ends_ms": NOW + YEAR}

    def time_fields(self):
        return {"distributor": self.a.id, "client": self.source.id, "time_ms": NOW}

    def settlement_fields(self):
        return {"issuer": self.a.id, "partner": self.b.id, "number": 2**63, "from_ms": NOW - 1000, "until_ms": NOW, "currency": "EUR",
                "row_count": 0, "rows_digest": self.draw(32), "net": -2**63, "issued_ms": NOW}

    def share_fields(self):
        return {"origin": self.a.id, "sequence": 0, "table": 0, "removed": False, "row": self.draw(4000)}


class Cases:
    """What is judged by both implementations: (name, kind, file's bytes, expected outcome, what the reader knows)."""

    def __init__(self, directory):
        self.dir, self.lines, self.count = directory, [], 0
        self.disagreements = []

    def file(self, data):
        self.count += 1
        name = f"{self.count}.bin"
        (self.dir / name).write_bytes(data)
        return name

    def add(self, name, kind, data, expect, judge, **known):
        try:
            judge(data)
            outcome = "ok"
        except f.Refused as refused:
            outcome = refused.args[0]
        if outcome != expect:
            self.disagreements.append(f"{kind}: {name}: {outcome}, not {expect}")
        self.lines += ["", f"case = {kind}: {name}", f"kind = {kind}", f"file = {self.file(data)}", f"expect = {expect}"]
        for key, value in known.items():
            self.lines.append(f"{key} = {value.hex() if isinstance(value, bytes) else value}")

    def write(self):
        (self.dir / "cases.vec").write_text("\n".join(self.lines) + "\n")
