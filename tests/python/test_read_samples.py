#!/usr/bin/python3
"""Reads what the C implementation wrote: every document verifies, the content opens, nothing altered is accepted.

usage: test_read_samples.py MAKE-SAMPLES   (the program that writes the samples)
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import formats as f
import judge as j
import records as r

MAKER = None


class ReadSamples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.scratch.name)
        subprocess.run([MAKER, str(cls.dir)], check=True)
        cls.keys = {name: bytes.fromhex(value) if isinstance(value, str) and name != "content_text" else value
                    for name, value in json.loads((cls.dir / "keys.json").read_text()).items()}
        k, now = cls.keys, cls.keys["now_ms"]
        cls.a = j.keyset(cls.read("a.keyset"), k["distributor_a"], 3, now)
        cls.b = j.keyset(cls.read("b.keyset"), k["distributor_b"], 3, now)
        cls.body = cls.read("content.body")
        cls.info, rest = f.body_split(cls.body)
        cls.list_root = f.merkle_root([rest[i:i + 32] for i in range(0, 96, 32)])

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def read(cls, name):
        return (cls.dir / name).read_bytes()

    def judges(self):
        """File of each document and how its reader judges it."""
        k, now = self.keys, self.keys["now_ms"]
        certificate = lambda own, delegation, self_, presenter: lambda d: j.copy_certificate(
            d, delegation and self.read(delegation), own, k[self_], presenter and k[presenter], self.info, self.list_root, now)[0]
        return {
            "a.keyset": lambda d: j.keyset(d, k["distributor_a"], 3, now),
            "b.keyset": lambda d: j.keyset(d, k["distributor_b"], 3, now),
            "source.device": lambda d: j.device(d, self.a, now),
            "destination.device": lambda d: j.device(d, self.b, now),
            "b.roster": lambda d: j.roster(d, self.b, now),
            "source.license": lambda d: j.license_(d, self.a),
            "destination.copy-certificate": certificate(self.b, "b-to-a.delegation", "destination", "source"),
            "medium.copy-certificate": certificate(self.b, "b-to-a.delegation", "destination", None),
            "sibling.copy-certificate": certificate(self.a, None, "sibling", "source"),
            "b-to-a.delegation": lambda d: j.delegation(d, self.b, now),
            "b.ekb": lambda d: j.ekb(d, self.b),
            "b-to-a.key-grant": lambda d: j.key_grant(d, self.b, k["distributor_a"], now),
            "a.quote": lambda d: j.quote(d, self.a, k["source"], now),
            "destination.receipt": j.receipt,
            "source.surrender": j.surrender,
            "a.settlement": lambda d: j.settlement(d, self.a, bytes([7] * 32)),
            "source.use": j.use,
            "source.use-log": j.use_log,
            "a.use-log-taken": lambda d: j.use_log_taken(d, self.a, k["source"]),
            "a.standing": lambda d: j.standing(d, self.a, k["source"]),
            "source.generation": lambda d: j.generation(d, k["source"], k["distributor_a"]),
            "a.catch-up": lambda d: j.catch_up(d, self.a, k["source"]),
            "provider.program": j.program,
            "a.program-grant": lambda d: j.program_grant(d, self.a, k["source"])[0],
            "provider.metadata": lambda d: j.metadata(d, k["distributor_a"], None),
            "a.metadata-vouch": lambda d: j.metadata_vouch(d, self.a, k["provider"]),
            "a.time": lambda d: j.time(d, self.a, k["source"]),
            "a.share": lambda d: j.share(d, self.a),
        }

    def assertRefused(self, code, call, *arguments):
        with self.assertRaises(f.Refused) as caught:
            call(*arguments)
        if code:
            self.assertEqual(caught.exception.args[0], code)

    def test_every_document_type_is_here(self):
        self.assertEqual({name.rsplit(".", 1)[1] for name in self.judges()}, set(r.TYPES))

    def test_documents_verify(self):
        for name, judge in self.judges().items():
            with self.subTest(name):
                judge(self.read(name))

    def test_fields(self):
        k, judges = self.keys, self.judges()
        get = lambda name: judges[name](self.read(name))
        self.assertEqual(self.a["name"], "Distributor A")
        self.assertEqual([key["purpose"] for key in self.a["keys"]], [1, 2, 3, 4])
        self.assertEqual(self.b["floors"], [{"partner": k["distributor_a"], "lowest_sequence": 5}])
        roster = get("b.roster")
        self.assertEqual([d["name"] for d in roster["devices"]], ["living room", "küche"])
        self.assertEqual(roster["devices"][0]["certificate"], self.read("source.device"))
        self.assertEqual(f.id_of_key(get("source.device")["device_key"]), k["source"])
        self.assertEqual(get("source.device")["sealing_key"], f.box_public(k["source_sealing"]))
        license_ = get("source.license")
        self.assertEqual(license_["conditions"]["max_copies"], 4294967295)
        self.assertNotIn("usage_from_ms", license_["conditions"])
        self.assertEqual(license_["leaf"], {"distributor": k["distributor_a"], "category": 0, "number": 12})
        quote = get("a.quote")
        self.assertEqual((quote["price"], quote["currency"], quote["product"]), (-250, "EUR", 9))
        self.assertEqual((get("a.settlement")["net"], get("a.settlement")["row_count"]), (-41, 2))
        self.assertEqual((get("source.use")["plays"], get("source.use")["returned"]), (3, True))
        self.assertEqual([entry["number"] for entry in get("source.use-log")["entries"]], [5, 6])
        self.assertEqual(get("a.share")["sequence"], 2**64 - 1)
        self.assertEqual(get("a.share")["row"], b"a row")
        self.assertEqual(f.id_text(k["content"]), k["content_text"])
        info = j.content_info(self.info)
        self.assertEqual((info["title"], info["album"]), ("Schöne Müllerin", ""))
        self.assertNotIn("creator", info)

    def test_wrong_reader_or_signer(self):
        k, now = self.keys, self.keys["now_ms"]
        self.assertRefused("keyset-invalid", j.keyset, self.read("a.keyset"), k["distributor_b"], 0, now)
        self.assertRefused("keyset-invalid", j.keyset, self.read("a.keyset"), k["distributor_a"], 4, now)
        self.assertRefused("signature-invalid", j.license_, self.read("source.license"), self.b)
        self.assertRefused("signature-invalid", j.ekb, self.read("b.ekb"), self.a)
        self.assertRefused("wrong-destination", j.quote, self.read("a.quote"), self.a, k["destination"], now)
        self.assertRefused("malformed", j.license_, self.read("a.quote"), self.a)
        self.assertRefused("wrong-destination", j.settlement, self.read("a.settlement"), self.a, bytes(32))
        self.assertRefused("signature-invalid", j.settlement, self.read("a.settlement"), self.b, bytes([7] * 32))
        self.assertRefused("wrong-destination", j.use_log_taken, self.read("a.use-log-taken"), self.a, k["destination"])
        self.assertRefused("wrong-destination", j.standing, self.read("a.standing"), self.a, k["destination"])
        self.assertRefused("signature-invalid", j.catch_up, self.read("a.catch-up"), self.b, k["source"])
        self.assertRefused("wrong-destination", j.generation, self.read("source.generation"), k["source"], k["distributor_b"])
        certificate, delegation = self.read("destination.copy-certificate"), self.read("b-to-a.delegation")
        arguments = (self.info, self.list_root)
        self.assertRefused("wrong-destination", j.copy_certificate, certificate, delegation, self.b, k["source"], k["source"],
                           *arguments, now)
        self.assertRefused("not-permitted", j.copy_certificate, certificate, delegation, self.b, k["destination"], None,
                           *arguments, now)
        self.assertRefused("signature-invalid", j.copy_certificate, certificate, None, self.b, k["destination"], k["source"],
                           *arguments, now)
        self.assertRefused("certificate-expired", j.copy_certificate, certificate, delegation, self.b, k["destination"],
                           k["source"], *arguments, now + 3600 * 1000 + j.SKEW_MS + 1)
        self.assertRefused("content-id-mismatch", j.copy_certificate, certificate, delegation, self.b, k["destination"],
                           k["source"], self.info, bytes(32), now)

    def test_every_flipped_byte_is_refused(self):
        for name, judge in self.judges().items():
            document = self.read(name)
            step = max(1, len(document) // 160)  # all of the head, a sample of the rest
            for at in sorted({*range(min(40, len(document))), *range(0, len(document), step), len(document) - 1}):
                with self.subTest(name, at=at):
                    altered = bytearray(document)
                    altered[at] ^= 1 << at % 8
                    self.assertRefused(None, judge, bytes(altered))

    def test_truncated_or_longer_is_refused(self):
        for name, judge in self.judges().items():
            document = self.read(name)
            for length in {*range(0, len(document), 13), len(document) - 1}:
                self.assertRefused("malformed", judge, document[:length])
            self.assertRefused("malformed", judge, document + b"\0")

    def test_key_block(self):
        k = self.keys
        block = j.ekb(self.read("b.ekb"), self.b)
        data = self.read("b.entries")
        entries = [data[i:i + 37] for i in range(0, len(data), 37)]
        hashes = [f.merkle_leaf(e) for e in entries]
        self.assertEqual(len(entries), block["entry_count"])
        self.assertEqual(f.merkle_root(hashes), block["entries_root"])
        self.assertEqual(entries, f.ekb_entries(k["b_tree"], 1, block["version"], [0, 77, 78, 0x7FFFFFFF, 0xDEADBEEF],
                                                k["b_root"]))
        mine, revoked = self.read("destination.set"), self.read("revoked.set")
        self.assertEqual(mine, f.device_set(k["b_tree"], 1, 79))
        opened = 0
        for index, entry in enumerate(entries):
            proof = b"".join(f.merkle_prove(hashes, index))
            if f.covers(entry[0], int.from_bytes(entry[1:5], "big"), 79):
                self.assertEqual(f.ekb_open(mine, block, index, entry, proof), k["b_root"])
                opened += 1
            else:
                self.assertRefused("not-covered", f.ekb_open, mine, block, index, entry, proof)
            self.assertRefused("not-covered", f.ekb_open, revoked, block, index, entry, proof)
            lying = revoked[:5] + f.be32(int.from_bytes(entry[1:5], "big") << (32 - entry[0])) + revoked[9:]
            self.assertRefused("forged", f.ekb_open, lying, block, index, entry, proof)
        self.assertEqual(opened, 1)

    def test_key_grant_is_the_partner_root(self):
        k = self.keys
        grant = j.key_grant(self.read("b-to-a.key-grant"), self.b, k["distributor_a"], k["now_ms"])
        self.assertEqual(f.box_open(k["a_sealing"], grant["sealed_root"]), f.partner_root(k["b_root"], k["distributor_a"]))

    def test_content_opens_at_both_ends(self):
        k, plain = self.keys, self.read("plain")
        license_ = j.license_(self.read("source.license"), self.a)
        source = self.read("source.set")
        self.assertEqual(j.play(self.read("source.header"), license_, self.body, self.a, source, k["source_sealing"]), plain)
        _, inner, _ = j.copy_certificate(self.read("destination.copy-certificate"), self.read("b-to-a.delegation"), self.b,
                                         k["destination"], k["source"], self.info, self.list_root, k["now_ms"])
        mine = self.read("destination.set")
        header = self.read("destination.header")
        self.assertEqual(j.play(header, inner, self.body, self.b, mine, k["destination_sealing"]), plain)
        self.assertRefused(None, j.play, header, inner, self.body, self.b, self.read("revoked.set"), k["destination_sealing"])
        self.assertRefused("forged", j.play, header, inner, self.body, self.b, mine, k["source_sealing"])
        self.assertRefused("forged", j.play, header, license_, self.body, self.b, mine, k["destination_sealing"])

    def test_certificate_carries_the_header_half(self):
        """What the destination writes its own header from (section 6, wrapped_half)."""
        k = self.keys
        document, inner, _ = j.copy_certificate(
            self.read("destination.copy-certificate"), self.read("b-to-a.delegation"), self.b, k["destination"], k["source"],
            self.info, self.list_root, k["now_ms"])
        root = f.partner_root(j.root_of(document["key_block"], self.b, self.read("destination.set")), document["issuer"])
        half = f.unwrap_half(root, document["content"], inner["license_id"], document["wrapped_half"])
        header = r.decode(r.HEADER, self.read("destination.header"))
        self.assertEqual(half, f.unwrap_half(root, header["content"], header["license_id"], header["wrapped_half"]))

    def test_program_opens_on_its_device_only(self):
        k = self.keys
        grant, program = j.program_grant(self.read("a.program-grant"), self.a, k["source"])
        sealed, plain = self.read("source.program-sealed"), self.read("program")
        self.assertEqual((program["name"], program["kind"], program["version"]), ("tone-2", 1, 1 << 32 | 2 << 16 | 3))
        self.assertEqual(j.program_open(grant, program, sealed, k["source_sealing"]), plain)
        self.assertRefused("wrong-destination", j.program_grant, self.read("a.program-grant"), self.a, k["destination"])
        self.assertRefused("forged", j.program_open, grant, program, sealed, k["destination_sealing"])
        for at in (0, 16, 28, 16384, 16428, len(sealed) - 1):
            self.assertRefused("forged", j.program_open, grant, program, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:], k["source_sealing"])
        self.assertRefused("malformed", j.program_open, grant, program, sealed[:-1], k["source_sealing"])
        mixed = sealed[16428:2 * 16428] + sealed[:16428] + sealed[2 * 16428:]
        self.assertRefused("forged", j.program_open, grant, program, mixed, k["source_sealing"])

    def test_metadata_file(self):
        k = self.keys
        document, vouch, keyset, parts = j.metadata_file(self.read("metadata"))
        said = j.metadata(document, k["distributor_a"], None)
        self.assertEqual((said["language"], said["sequence"], said["content"]), ("de", 7, k["content"]))
        self.assertEqual((said["parts_bytes"], said["parts_digest"]), (len(parts), f.sha256(parts)))
        self.assertEqual((vouch, keyset), (self.read("a.metadata-vouch"), self.read("a.keyset")))
        self.assertEqual(j.metadata_parts(parts), [(1, b"title", "Das Wandern"), (2, 0, "Vorspiel"), (3, 1500, "Das Wandern ist des Müllers Lust"), (3, 9000, "")])
        for known, of in ((False, None), (True, {"kind": 3, "keys": [k["provider"]]}), (False, {"kind": 3, "keys": [bytes(32)]})):
            self.assertEqual(j.range_permits(of, said, False), known)

    def test_altered_body_is_refused(self):
        content = self.keys["content"]
        j.body(self.body, content)
        for at in {*range(0, 300), *range(300, len(self.body), 97), len(self.body) - 1}:
            altered = bytearray(self.body)
            altered[at] ^= 0x10
            self.assertRefused(None, j.body, bytes(altered), content)
        for length in {*range(0, len(self.body), 499), len(self.body) - 1}:
            self.assertRefused(None, j.body, self.body[:length], content)
        self.assertRefused("malformed", j.body, self.body + b"\0", content)

    def test_altered_header_is_refused(self):
        k, header = self.keys, self.read("source.header")
        license_ = j.license_(self.read("source.license"), self.a)
        source = self.read("source.set")
        for at in range(len(header)):
            altered = bytearray(header)
            altered[at] ^= 1
            self.assertRefused(None, j.play, bytes(altered), license_, self.body, self.a, source, k["source_sealing"])

    def test_medium(self):
        k = self.keys
        package, body = j.media_file(self.read("track.hearth"), b"HEARTHP1", r.EXPORT_PACKAGE)
        self.assertEqual(package["content"], k["content"])
        self.assertEqual(body, self.body)
        beside, rest = j.media_file(self.read("track.certificate"), b"HEARTHC1", r.EXPORT_CERTIFICATE)
        self.assertEqual((rest, beside["delegation"]), (b"", self.read("b-to-a.delegation")))
        j.copy_certificate(beside["certificate"], beside["delegation"], self.b, k["destination"], None, self.info,
                           self.list_root, k["now_ms"])


if __name__ == "__main__":
    MAKER = sys.argv.pop(1)
    unittest.main()
