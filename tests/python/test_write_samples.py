#!/usr/bin/python3
"""Writes documents and contents, good ones and ones with a single fault, for the C implementation to judge; both must agree.

usage: test_write_samples.py CHECK-SAMPLES   (the program that judges them)
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import formats as f
import judge as j
import p256
import records as r
from world import NOW, YEAR, Cases, World

SKEW = j.SKEW_MS


class Writer:
    def __init__(self, directory):
        self.w = World()
        self.cases = Cases(directory)
        self.a_file, self.b_file = self.cases.file(self.w.a.keyset()), self.cases.file(self.w.b.keyset())
        self.a_keyset = j.keyset(self.w.a.keyset(), self.w.a.id, 0, NOW)
        self.b_keyset = j.keyset(self.w.b.keyset(), self.w.b.id, 0, NOW)

    # ---- one case of each kind ----

    def known(self, of):
        mine = of is self.w.a
        known = {"keyset": self.a_file if mine else self.b_file, "keyset_now": NOW, "distributor": of.id}
        return known, self.a_keyset if mine else self.b_keyset

    def keyset(self, name, expect, data, distributor=None, sequence=8, now=NOW):
        who = distributor or self.w.a.id
        self.cases.add(name, "keyset", data, expect, lambda d: j.keyset(d, who, sequence, now), distributor=who,
                       sequence=sequence, now=now)

    def simple(self, kind, name, expect, data, of, call, now=NOW, **more):
        """A document judged with a keyset: call(data, keyset)."""
        known, keyset = self.known(of)
        self.cases.add(name, kind, data, expect, lambda d: call(d, keyset), now=now, **known, **more)

    def time(self, name, expect, data, reader=None):
        reader = reader or self.w.source.id
        self.simple("time", name, expect, data, self.w.a, lambda d, k: j.time(d, k, reader), reader=reader)

    def license(self, name, expect, data, of=None):
        self.simple("license", name, expect, data, of or self.w.a, j.license_)

    def quote(self, name, expect, data, now=NOW, reader=None):
        reader = reader or self.w.source.id
        self.simple("quote", name, expect, data, self.w.a, lambda d, k: j.quote(d, k, reader, now), now=now, reader=reader)

    def delegation(self, name, expect, data, now=NOW):
        self.simple("delegation", name, expect, data, self.w.b, lambda d, k: j.delegation(d, k, now), now=now)

    def body(self, name, expect, data, content=None):
        content = content or self.w.content
        self.cases.add(name, "body", data, expect, lambda d: j.body(d, content), content=content)

    def certificate(self, name, expect, fields, of=None, delegation=None, signer=None, reader=None, now=NOW,
                    presenter="source", newest=0, body=None):
        w, of = self.w, of or self.w.b
        signer = signer or (w.a.license if of is w.a else w.copy_key)
        data = r.document_sign("copy-certificate", fields, signer)
        reader = reader or (w.sibling if of is w.a else w.destination).id
        if delegation is None and of is w.b:
            delegation = r.document_sign("delegation", w.delegation_fields(), w.b.license)
        known, keyset = self.known(of)
        more = {"body": self.cases.file(body or w.body), "reader": reader, "newest": newest}
        if delegation:
            more["delegation"] = self.cases.file(delegation)
        if presenter:
            presenter = w.source.id if presenter == "source" else presenter
            more["presenter"] = presenter
        info, rest = f.body_split(body or w.body)
        root = f.merkle_root([rest[32 * k:32 * k + 32] for k in range(5)])
        self.cases.add(name, "copy-certificate", data, expect,
                       lambda d: j.copy_certificate(d, delegation or None, keyset, reader, presenter or None, info, root, now,
                                                    newest),
                       now=now, **known, **more)

    def play(self, name, expect, header, of, device, license_fields=None, body=None, set_=None, sealing=None):
        """Both implementations must open the content, or refuse it for the same reason."""
        w = self.w
        license_fields = license_fields or w.license_fields(device)
        body, set_, sealing = body or w.body, set_ or device.set, sealing or device.sealing
        known, keyset = self.known(of)
        names = {"forged": "signature-invalid", "not-covered": "device-revoked"} # sections 7 to 9 have no codes of their own

        def judge(data):
            try:
                if j.play(data, license_fields, body, keyset, set_, sealing) != w.plain:
                    raise f.Refused("other plain text")
            except f.Refused as refused:
                raise f.Refused(names.get(refused.args[0], refused.args[0])) from None

        self.cases.add(name, "play", header, expect, judge, now=NOW, **known, sealing=sealing,
                       license=self.cases.file(r.document_sign("license", license_fields, w.a.license)),
                       body=self.cases.file(body), set=self.cases.file(set_), plain=self.cases.file(w.plain))

    def es256(self, sign):
        """B's root key is an ES256 key: its keyset counts, and nothing else that such a key has signed."""
        w, b = self.w, self.w.b
        keyset, root = b.keyset(), b.root
        give = lambda name, expect, data: self.keyset("ES256: " + name, expect, data, distributor=b.id)
        give("good", "ok", keyset)
        body, point, signature = keyset[:-129], keyset[-129:-64], keyset[-64:]
        numbers = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        put = lambda r_, s: body + point + p256.be32(r_) + p256.be32(s)
        give("the other s", "signature-invalid", put(numbers[0], p256.N - numbers[1]))
        for name, r_, s in (("r is 0", 0, numbers[1]), ("s is 0", numbers[0], 0), ("both are 0", 0, 0), ("r is n", p256.N, numbers[1]), ("s is n", numbers[0], p256.N),
                            ("r is one too large", numbers[0] + 1, numbers[1]), ("r and s exchanged", numbers[1], numbers[0])):
            give(name, "signature-invalid", put(r_, s))
        give("signed as Ed25519", "malformed", body[:1] + b"\1" + keyset[2:])
        give("an Ed25519 key, named ES256", "malformed", b"\1\2" + w.a.keyset()[2:])
        give("algorithm 3", "malformed", b"\1\3" + keyset[2:])
        give("a compressed point", "malformed", body + bytes([2 + point[-1] % 2]) + point[1:33] + signature)
        give("a hybrid point", "signature-invalid", body + bytes([6 + point[-1] % 2]) + point[1:] + signature)
        give("a point beside the curve", "signature-invalid", body + point[:-1] + bytes([point[-1] ^ 1]) + signature)
        give("the point at infinity", "signature-invalid", body + b"\4" + bytes(64) + signature)
        give("another key", "keyset-invalid", sign("keyset", b.keyset_fields(), p256.Signer(12345)))
        give("an Ed25519 key of the distributor's", "keyset-invalid", sign("keyset", b.keyset_fields(), b.license))
        give("of another payload", "signature-invalid", keyset[:40] + bytes([keyset[40] ^ 1]) + keyset[41:])
        self.license("signed by an ES256 key", "malformed", sign("license", w.license_fields(w.source), root), of=b)
        self.simple("roster", "signed by an ES256 key", "malformed", sign("roster", w.roster_fields(1), root), b, lambda d, k: j.roster(d, k, NOW))
        self.cases.add("signed by an ES256 key", "receipt", sign("receipt", w.receipt_fields(), root), "malformed", j.receipt)

    # ---- what is written ----

    def good_ones(self):
        w = self.w
        sign = r.document_sign
        self.keyset("good", "ok", w.a.keyset())
        full = w.a.keyset_fields()
        full["keys"] = (full["keys"] * 4)[:16]
        full["floors"] = [{"partner": w.b.id, "lowest_sequence": n} for n in range(64)]
        self.keyset("as large as may be", "ok", sign("keyset", {**full, "name": "é" * 31 + "x"}, w.a.root))
        for device, of in ((w.source, w.a), (w.destination, w.b)):
            self.simple("device", "good", "ok", sign("device", w.device_fields(device), of.license), of,
                        lambda d, k: j.device(d, k, NOW))
        for count in (0, 1, 32):
            self.simple("roster", f"{count} devices", "ok", sign("roster", w.roster_fields(count), w.b.roster), w.b,
                        lambda d, k: j.roster(d, k, NOW))
        self.license("good, with an optional field that is zero", "ok", sign("license", w.license_fields(w.source), w.a.license))
        self.delegation("good", "ok", sign("delegation", w.delegation_fields(), w.b.license))
        for of in (w.a, w.b):
            self.simple("ekb", "good", "ok", sign("ekb", of.ekb_fields(), of.license), of, j.ekb)
        self.simple("key-grant", "good", "ok", sign("key-grant", w.grant_fields(), w.b.license), w.b,
                    lambda d, k: j.key_grant(d, k, w.a.id, NOW), reader=w.a.id)
        self.quote("good, lowest price there is", "ok", sign("quote", w.quote_fields(), w.a.license))
        self.simple("settlement", "good, lowest net there is", "ok", sign("settlement", w.settlement_fields(), w.a.license), w.a,
                    lambda d, k: j.settlement(d, k, w.b.id), reader=w.b.id)
        self.cases.add("good", "receipt", sign("receipt", w.receipt_fields(), w.destination.signer), "ok", j.receipt)
        self.cases.add("good", "surrender", sign("surrender", w.surrender_fields(), w.source.signer), "ok", j.surrender)
        self.cases.add("good, no flag set", "use", sign("use", w.use_fields(), w.source.signer), "ok", j.use)
        for numbers in ((1,), (9, 10, 11), range(1, 33)):
            self.cases.add(f"{len(numbers)} entries", "use-log", sign("use-log", w.use_log_fields(*numbers), w.source.signer), "ok", j.use_log)
        self.simple("use-log-taken", "good", "ok", sign("use-log-taken", w.taken_fields(), w.a.license), w.a,
                    lambda d, k: j.use_log_taken(d, k, w.source.id), reader=w.source.id)
        self.standings_good()
        self.programs()
        self.metadata()
        full = {**w.license_fields(w.source), "lease": {"until_ms": NOW, "grace_ms": 0, "max_plays": 3}, "lender": w.sibling.id}
        full["conditions"] = {**w.conditions(), "max_plays": 1, "max_play_ms": 2, "max_checkouts": 3, "record": True, "own_price": -1, "use_log": False,
                              "max_recoveries": 0, "charge_from_ms": 2**63,
                              "metadata_signers": {"kind": 3, "keys": [w.a.id] * 3}}
        self.license("every field there is", "ok", sign("license", full, w.a.license))
        self.time("good", "ok", sign("time", w.time_fields(), w.a.license))
        self.simple("share", "good", "ok", sign("share", w.share_fields(), w.a.license), w.a, j.share)

    def records(self):
        """Rules of section 2, each broken once in an otherwise good payload that is correctly signed."""
        w = self.w
        self.mutants(r.TIME, w.time_fields(), "time", w.a.license, self.time)
        self.mutants(r.LICENSE, w.license_fields(w.source), "license", w.a.license, self.license)
        self.mutants(r.QUOTE, w.quote_fields(), "quote", w.a.license, self.quote)
        self.mutants(r.KEYSET, w.a.keyset_fields(), "keyset", w.a.root, self.keyset)
        long_list = w.a.keyset_fields()
        for name, fields in (
                ("17 keys", {**long_list, "keys": (long_list["keys"] * 5)[:17]}),
                ("65 floors", {**long_list, "floors": [{"partner": w.b.id, "lowest_sequence": 0}] * 65}),
                ("name of 64 bytes", {**long_list, "name": "n" * 64})):
            self.keyset(name, "malformed", r.document_sign("keyset", fields, w.a.root))
        for name, shown in (("NUL", "a\0b"), ("escape", "a\x1b[2J"), ("DEL", "\x7f"), ("C1", "\x9b"), ("line separator", "\u2028"),
                            ("right-to-left override", "\u202e"), ("isolate", "\u2066"), ("byte order mark", "\ufeff"),
                            ("Arabic letter mark", "\u061c"), ("annotation", "\ufffb"), ("zero width space", "a\u200bb"), ("word joiner", "a\u2060b"),
                            ("invisible times", "\u2062"), ("soft hyphen", "a\u00adb"), ("Hangul filler", "\u3164"), ("grapheme joiner", "a\u034fb"), ("tag", "a\U000e0061"), ("cancel tag", "\U000e007f")):
            self.keyset(f"text with {name}", "malformed",
                        r.document_sign("keyset", {**long_list, "name": shown}, w.a.root))
        payload = r.encode(r.KEYSET, {**long_list, "name": "NAME"})
        for name, raw in (("overlong", b"\xc0\xafxx"), ("surrogate", b"\xed\xa0\x80x"), ("cut", b"xx\xc3("), ("lone", b"\x80xxx"),
                          ("beyond Unicode", b"\xf4\x90\x80\x80")):
            self.keyset(f"text that is not UTF-8: {name}", "malformed",
                        f.envelope_sign("hearth/keyset/1", payload.replace(b"NAME", raw), w.a.root))
        keys = [r.encode(r.KEY, k) for k in long_list["keys"]]
        floor = b"\x3a" + r.varint(len(keys[0])) + keys[0]
        apart = r.encode(r.KEYSET, {**long_list, "floors": [{"partner": w.b.id, "lowest_sequence": 0}]})
        self.keyset("elements of a list apart", "malformed",
                    f.envelope_sign("hearth/keyset/1", apart + b"\x32" + r.varint(len(keys[0])) + keys[0], w.a.root))
        self.keyset("a key where a floor belongs", "malformed", f.envelope_sign("hearth/keyset/1", apart + floor, w.a.root))

    def mutants(self, record, fields, name, signer, case):
        """`case` is called with each payload that breaks one rule."""
        payload = r.encode(record, fields)
        parts = []  # (number, wire type, tag + value) of each field, in order
        at = 0
        while at < len(payload):
            start = at
            tag, at = r.read_varint(payload, at)
            if tag & 7 == 0:
                _, end = r.read_varint(payload, at)
            else:
                length, begin = r.read_varint(payload, at)
                end = begin + length
            parts.append((tag >> 3, tag & 7, payload[start:end]))
            at = end
        whole = [p[2] for p in parts]
        send = lambda what, data: case(what, "malformed", f.envelope_sign(f"hearth/{name}/1", data, signer))
        for i, (number, wire, part) in enumerate(parts):
            kind, rule = next(x[2:] for x in record.fields if x[0] == number)
            others = lambda put: b"".join(whole[:i] + put + whole[i + 1:])
            if rule is None:
                send(f"field {number} missing", others([]))
            if not isinstance(rule, int):
                send(f"field {number} twice", others([part, part]))
            send(f"field {number} with a long tag", others([bytes([part[0] | 0x80, 0]) + part[1:]]))
            if wire == 0:
                send(f"field {number} with a long number", others([part[:-1] + bytes([part[-1] | 0x80, 0])]))
                send(f"field {number} of eight bytes", others([bytes([part[0] | 1]) + bytes(8)]))
                send(f"field {number} beyond 64 bits", others([part[:1] + b"\xff" * 9 + b"\x7f"]))
                if kind == r.U32:
                    send(f"field {number} beyond 32 bits", others([part[:1] + r.varint(1 << 32)]))
            else:
                value = r.read_varint(part, 1)
                data = part[value[1]:]
                send(f"field {number} longer than allowed", others([part[:1] + r.varint(1200) + data + bytes(1200 - len(data))]))
                send(f"field {number} longer than the payload",
                     b"".join(whole[:i]) + part[:1] + r.varint(len(payload)) + data)
                if isinstance(kind, tuple) and kind[0] == "fixed":
                    send(f"field {number} a byte short", others([part[:1] + r.varint(len(data) - 1) + data[:-1]]))
                if isinstance(kind, r.Record):
                    send(f"unknown field inside field {number}",
                         others([part[:1] + r.varint(len(data) + 3) + data + b"\xf8\x01\x01"]))
        send("first two fields exchanged", b"".join([whole[1], whole[0]] + whole[2:]))
        send("unknown field at the end", payload + b"\xf8\x01\x01")
        send("unknown field first", b"\xf8\x01\x01" + payload)
        send("group", payload + b"\xfb\x01\xfc\x01")
        send("field number 0", b"\x00\x00" + payload)
        send("last byte missing", payload[:-1])
        send("zero byte behind", payload + b"\0")

    def who_may_sign(self):
        w = self.w
        sign = r.document_sign
        good = w.license_fields(w.source)
        for name, signer in (("roster key", w.a.roster), ("root key", w.a.root), ("other distributor", w.b.license),
                             ("device", w.source.signer), ("copy key", w.copy_key)):
            self.license(f"signed by the {name}", "signature-invalid", sign("license", good, signer))
        self.license("issuer is not the keyset's", "signature-invalid", sign("license", {**good, "issuer": w.b.id}, w.a.license))
        self.license("issued at the key's last moment", "ok", sign("license", {**good, "issued_ms": NOW + YEAR}, w.a.license))
        self.license("issued after the key's end", "signature-invalid",
                     sign("license", {**good, "issued_ms": NOW + YEAR + 1}, w.a.license))
        self.license("issued beyond all time", "signature-invalid",
                     sign("license", {**good, "issued_ms": 2**64 - 1}, w.a.license))
        self.license("a quote", "malformed", sign("quote", w.quote_fields(), w.a.license))
        neutral = b"\1" + bytes(31)
        payload = r.encode(r.LICENSE, good)
        self.license("key of small order, which would sign anything", "signature-invalid",
                     b"\1\1\x10hearth/license/1" + f.be32(len(payload)) + payload + neutral + neutral + bytes(32))
        envelope = sign("license", good, w.a.license)
        s = int.from_bytes(envelope[-32:], "little") + f.ORDER
        self.license("S not reduced", "signature-invalid", envelope[:-32] + s.to_bytes(32, "little"))
        self.license("version 2", "malformed", b"\2" + envelope[1:])
        self.license("algorithm 2", "malformed", envelope[:1] + b"\2" + envelope[2:])
        keyset = w.a.keyset_fields()
        self.keyset("signed by the license key", "keyset-invalid", sign("keyset", keyset, w.a.license))
        self.keyset("of another distributor", "keyset-invalid", w.b.keyset())
        self.keyset("names another distributor", "keyset-invalid", sign("keyset", {**keyset, "distributor": w.b.id}, w.a.root))
        self.es256(sign)
        self.keyset("older than one known", "keyset-invalid", w.a.keyset(), sequence=9)
        roster = w.roster_fields(1)
        self.simple("roster", "signed by the license key", "signature-invalid", sign("roster", roster, w.b.license), w.b,
                    lambda d, k: j.roster(d, k, NOW))
        self.simple("device", "leaf of another distributor", "signature-invalid",
                    sign("device", w.device_fields(w.source), w.b.license), w.b, lambda d, k: j.device(d, k, NOW))
        self.simple("key-grant", "to another partner", "wrong-destination", sign("key-grant", w.grant_fields(), w.b.license),
                    w.b, lambda d, k: j.key_grant(d, k, w.b.id, NOW), reader=w.b.id)
        self.quote("to another device", "wrong-destination", sign("quote", w.quote_fields(), w.a.license), reader=w.sibling.id)
        self.time("for another device", "wrong-destination", sign("time", w.time_fields(), w.a.license), reader=w.sibling.id)
        self.simple("settlement", "about another partner", "wrong-destination", sign("settlement", w.settlement_fields(), w.a.license),
                    w.a, lambda d, k: j.settlement(d, k, w.a.id), reader=w.a.id)
        self.simple("settlement", "by another distributor", "signature-invalid", sign("settlement", w.settlement_fields(), w.b.license),
                    w.a, lambda d, k: j.settlement(d, k, w.b.id), reader=w.b.id)
        receipt = w.receipt_fields()
        self.cases.add("by the source", "receipt", sign("receipt", receipt, w.source.signer), "signature-invalid", j.receipt)
        for outcome in (0, 3):
            self.cases.add(f"outcome {outcome}", "receipt", sign("receipt", {**receipt, "outcome": outcome}, w.destination.signer),
                           "malformed", j.receipt)
        self.cases.add("by another device", "surrender", sign("surrender", w.surrender_fields(), w.sibling.signer),
                       "signature-invalid", j.surrender)
        self.cases.add("by another device", "use", sign("use", w.use_fields(), w.sibling.signer), "signature-invalid", j.use)
        self.cases.add("by another device", "use-log", sign("use-log", w.use_log_fields(1), w.sibling.signer), "signature-invalid", j.use_log)
        for name, numbers in (("no entries", ()), ("from zero", (0, 1)), ("a gap", (4, 6)), ("falling", (4, 3)), ("twice", (4, 4))):
            self.cases.add(name, "use-log", sign("use-log", w.use_log_fields(*numbers), w.source.signer), "malformed", j.use_log)
        self.standings_bad()
        self.simple("use-log-taken", "to another device", "wrong-destination", sign("use-log-taken", w.taken_fields(), w.a.license), w.a,
                    lambda d, k: j.use_log_taken(d, k, w.sibling.id), reader=w.sibling.id)
        self.simple("use-log-taken", "by another distributor", "signature-invalid", sign("use-log-taken", w.taken_fields(), w.b.license), w.a,
                    lambda d, k: j.use_log_taken(d, k, w.source.id), reader=w.source.id)
        self.simple("share", "by another distributor", "signature-invalid", sign("share", w.share_fields(), w.b.license), w.a,
                    j.share)

    def catch_up(self, name, outcome, fields, signer=None, reader=None):
        w = self.w
        self.simple("catch-up", name, outcome, r.document_sign("catch-up", fields, signer or w.a.license), w.a,
                    lambda d, k: j.catch_up(d, k, reader or w.source.id), reader=reader or w.source.id)

    def standing(self, name, outcome, fields, signer=None, reader=None):
        w = self.w
        self.simple("standing", name, outcome, r.document_sign("standing", fields, signer or w.a.license), w.a,
                    lambda d, k: j.standing(d, k, reader or w.source.id), reader=reader or w.source.id)

    def generation(self, name, outcome, fields, signer=None, reader=None):
        w = self.w
        reader = reader or w.source.id
        self.simple("generation", name, outcome, r.document_sign("generation", fields, signer or w.source.signer), w.a,
                    lambda d, k: j.generation(d, reader, k["distributor"]), reader=reader)

    def program(self, case, outcome, signer=None, **changes):
        w = self.w
        self.cases.add(case, "program", r.document_sign("program", {**w.program_fields(), **changes}, signer or w.provider), outcome, j.program)

    def program_grant(self, name, outcome, signer=None, reader=None, **changes):
        w = self.w
        reader = reader or w.source.id
        self.simple("program-grant", name, outcome, r.document_sign("program-grant", {**w.grant_of_program_fields(), **changes}, signer or w.a.license),
                    w.a, lambda d, k: j.program_grant(d, k, reader), reader=reader)

    def programs(self):
        w = self.w
        sign = r.document_sign
        self.program("as high and large as may be", "ok")
        self.program("as low and small as may be", "ok", version=1, program_bytes=1, kind=1)
        self.program("a long name", "ok", name="1-" + "z" * 29)
        self.program("signed by another", "signature-invalid", signer=w.a.license)
        for changes in ({"kind": 0}, {"kind": 3}, {"version": 0}, {"version": 1 << 48}, {"program_bytes": 0}, {"program_bytes": (1 << 24) + 1},
                        {"name": ""}, {"name": "-a"}, {"name": "a-"}, {"name": "A"}, {"name": "a b"}, {"name": "a/b"}, {"name": "ä"}, {"name": "a_b"}):
            self.program(f"unlike any program: {changes}", "malformed", **changes)
        self.program_grant("good", "ok")
        self.program_grant("to another device", "wrong-destination", reader=w.sibling.id)
        self.program_grant("for another device", "wrong-destination", client=w.sibling.id)
        self.program_grant("by another distributor", "signature-invalid", signer=w.b.license)
        self.program_grant("in another's name", "signature-invalid", distributor=w.b.id)
        self.program_grant("by the provider", "signature-invalid", signer=w.provider)
        self.program_grant("by the device itself", "signature-invalid", signer=w.source.signer)
        self.program_grant("after the key's end", "signature-invalid", issued_ms=NOW + YEAR + 1)
        self.program_grant("beyond all time", "signature-invalid", issued_ms=2**64 - 1)
        self.program_grant("of a forged program", "signature-invalid", program=sign("program", w.program_fields(), w.a.license))
        self.program_grant("of what is no program", "malformed", program=sign("time", w.time_fields(), w.a.license))
        self.program_grant("of a program without a kind", "malformed", program=sign("program", {**w.program_fields(), "kind": 7}, w.provider))

    def metadata_document(self, name, outcome, by=None, known=True, publisher=None, **changes):
        w = self.w
        publisher = publisher or w.a.id
        fields = {k: v for k, v in {**w.metadata_fields(), **changes}.items() if v is not None}
        data = r.document_sign("metadata", fields, by or w.provider)
        keyset = self.known(w.a)[1] if known else None
        more = self.known(w.a)[0] if known else {}
        self.cases.add(name, "metadata", data, outcome, lambda d: j.metadata(d, publisher, keyset), publisher=publisher, **more)

    def metadata_file(self, name, outcome, data):
        """Split, and its parts read."""
        self.cases.add(name, "metadata-file", data, outcome, lambda d: j.metadata_parts(j.metadata_file(d)[3]))

    def metadata_vouch(self, name, outcome, signer=None, provider=None, **changes):
        w = self.w
        provider = provider or f.id_of_key(w.provider.public)
        self.simple("metadata-vouch", name, outcome, r.document_sign("metadata-vouch", {**w.vouch_fields(), **changes}, signer or w.a.license), w.a,
                    lambda d, k: j.metadata_vouch(d, k, provider), reader=provider)

    def metadata(self):
        w = self.w
        own = {"kind": 2, "signer": w.a.id}
        self.metadata_document("a provider's", "ok")
        self.metadata_document("a provider's, the publisher unknown", "ok", known=False)
        self.metadata_document("without an end or a language", "ok", ends_ms=None, language="")
        self.metadata_document("as much as may be", "ok", parts_bytes=(1 << 20) - 8192)
        self.metadata_document("in a provider's name", "signature-invalid", by=w.a.license)
        self.metadata_document("the publisher's", "ok", by=w.a.license, **own)
        self.metadata_document("the publisher's, unknown", "keyset-invalid", by=w.a.license, known=False, **own)
        self.metadata_document("in the publisher's name", "signature-invalid", **own)
        self.metadata_document("of another publisher's content", "signature-invalid", by=w.a.license, publisher=w.b.id, **own)
        self.metadata_document("after the key's end", "signature-invalid", by=w.a.license, issued_ms=NOW + YEAR + 1, **own)
        for changes in ({"kind": 0}, {"kind": 3}, {"parts_bytes": 0}, {"parts_bytes": (1 << 20) - 8191}, {"sequence": 0}, {"sequence": 2**63},
                        {"language": "-"}, {"language": "de-"}, {"language": "a--b"}, {"language": "a b"}, {"language": "\u00e4"}):
            self.metadata_document(f"unlike any metadata: {changes}", "malformed", **changes)
        self.metadata_vouch("good", "ok")
        self.metadata_vouch("for another provider", "wrong-destination", provider=w.b.id)
        self.metadata_vouch("by the provider", "signature-invalid", signer=w.provider)
        self.metadata_vouch("in another's name", "signature-invalid", distributor=w.b.id)
        self.metadata_vouch("without a number", "malformed", sequence=0)
        self.metadata_files()

    def metadata_files(self):
        w = self.w
        part = lambda kind, value: bytes([kind]) + f.be32(len(value)) + value
        give = lambda name, outcome, parts: self.metadata_file(name, outcome, w.metadata_file(parts=parts))
        self.metadata_file("whole", "ok", w.metadata_file())
        self.metadata_file("with a vouch and a keyset", "ok", w.metadata_file(vouch=b"v" * 320, keyset=b"k" * 3900))
        self.metadata_file("no document", "malformed", w.metadata_file(envelope=b""))
        self.metadata_file("a document too long", "malformed", w.metadata_file(envelope=b"d" * 385))
        self.metadata_file("a vouch too long", "malformed", w.metadata_file(vouch=b"v" * 321))
        self.metadata_file("a keyset too long", "malformed", w.metadata_file(keyset=b"k" * 3901))
        self.metadata_file("nothing", "malformed", b"")
        self.metadata_file("another magic", "malformed", b"HEARTHM2" + w.metadata_file()[8:])
        self.metadata_file("cut off", "malformed", w.metadata_file()[:-1])
        give("no parts", "malformed", b"")
        give("a kind that is none", "malformed", part(5, b"x"))
        give("kind 0", "malformed", part(0, b"x"))
        give("kinds that go back", "malformed", part(2, f.be64(0) + b"x") + part(1, b"\x01ab"))
        give("chapters at once", "malformed", part(2, f.be64(5) + b"x") * 2)
        give("lines at once", "ok", part(3, f.be64(5) + b"x") * 2)
        give("lines that go back", "malformed", part(3, f.be64(5) + b"x") + part(3, f.be64(4) + b"x"))
        give("too late", "malformed", part(3, f.be64((1 << 40) + 1)))
        give("a time cut off", "malformed", part(3, bytes(7)))
        give("a key longer than its tag", "malformed", part(1, b"\x05abc"))
        give("a key with a capital", "malformed", part(1, b"\x01Ab"))
        give("a tag without a value", "malformed", part(1, b"\x01a"))
        give("a long value", "ok", part(1, b"\x01a" + b"b" * 1023))
        give("one too long", "malformed", part(1, b"\x01a" + b"b" * 1024))
        give("an escape", "malformed", part(1, b"\x01a\x1b[2J"))
        give("no UTF-8", "malformed", part(1, b"\x01a\xff"))
        give("64 tags", "ok", part(1, b"\x01ab") * 64)
        give("65 tags", "malformed", part(1, b"\x01ab") * 65)
        give("two covers", "malformed", part(4, f.JPEG) * 2)
        give("a cover of another kind", "malformed", part(4, b"GIF89a  "))
        for what, outcome, picture in (
                ("a PNG", "ok", f.png()), ("no more than its first bytes", "malformed", f.png()[:8]), ("a PNG of 4096 pixels", "ok", f.png(4096, 4096)),
                ("wider", "malformed", f.png(4097, 1)), ("higher", "malformed", f.png(1, 4097)), ("of no height", "malformed", f.png(1, 0)),
                ("cut off", "malformed", f.png()[:-1]), ("with a byte behind it", "malformed", f.png() + b"."),
                ("with two heads", "malformed", f.png(1, 1, (b"IHDR", bytes(13)))), ("animated", "malformed", f.png(1, 1, (b"acTL", bytes(8)))),
                ("with notes", "ok", f.png(1, 1, (b"zTXt", bytes(60000)), (b"iCCP", bytes(5536)))),
                ("with many", "malformed", f.png(1, 1, (b"zTXt", bytes(60000)), (b"iTXt", bytes(5537)))),
                ("a JPEG of 4096 pixels", "ok", f.JPEG.replace(b"\x00\x01\x00\x01", b"\x10\x00\x10\x00")),
                ("a wider JPEG", "malformed", f.JPEG.replace(b"\x00\x01\x00\x01", b"\x00\x01\x10\x01")),
                ("a higher JPEG", "malformed", f.JPEG.replace(b"\x00\x01\x00\x01", b"\x10\x01\x00\x01")),
                ("a JPEG without a frame", "malformed", f.JPEG[:2] + f.JPEG[-2:]), ("with two frames", "malformed", f.JPEG[:-2] + f.JPEG[2:]),
                ("without an end", "malformed", f.JPEG[:-2]), ("with another behind it", "malformed", f.JPEG * 2),
                ("with samples", "ok", f.JPEG[:-2] + b"\xff\xda\x00\x02ab\xff\x00c\xff\xd3d\xff\xff\xd9"),
                ("with a frame behind its samples", "malformed", f.JPEG[:-2] + b"\xff\xda\x00\x02ab" + f.JPEG[2:]),
                ("lossless", "malformed", f.JPEG.replace(b"\xc0", b"\xc3"))):
            give(f"a cover: {what}", outcome, part(4, picture))

    def standings_good(self):
        w = self.w
        e = w.catch_up_entry
        self.standing("nothing taken yet", "ok", w.standing_fields())
        self.standing("one was taken", "ok", {**w.standing_fields(), "last": bytes(range(16))})
        self.generation("current", "ok", w.generation_fields())
        self.generation("not current", "ok", {**w.generation_fields(), "current": False})
        self.catch_up("nothing was used up", "ok", w.catch_up_fields())
        self.catch_up("each kind", "ok", w.catch_up_fields(e(1, w.b.id), e(2), e(3)))
        self.catch_up("a full page", "ok", w.catch_up_fields(*(e(1, w.b.id, bytes([i]) * 16) for i in range(96)), last=False))

    def standings_bad(self):
        w = self.w
        e = w.catch_up_entry
        self.standing("to another device", "wrong-destination", w.standing_fields(), reader=w.sibling.id)
        self.standing("by another distributor", "signature-invalid", w.standing_fields(), w.b.license)
        self.standing("by the device itself", "signature-invalid", w.standing_fields(), w.source.signer)
        self.generation("of another device", "signature-invalid", w.generation_fields(), w.sibling.signer)
        self.generation("read for another device", "signature-invalid", w.generation_fields(), reader=w.sibling.id)
        self.generation("for another distributor", "wrong-destination", {**w.generation_fields(), "distributor": w.b.id})
        self.catch_up("to another device", "wrong-destination", w.catch_up_fields(), reader=w.sibling.id)
        self.catch_up("by another distributor", "signature-invalid", w.catch_up_fields(), w.b.license)
        self.catch_up("by the device itself", "signature-invalid", w.catch_up_fields(), w.source.signer)
        low, high = e(1, name=bytes(16)), e(1, name=bytes([1]) * 16)
        place = bytes([1]) + high["issuer"] + high["name"]
        for name, entries, more in (("kind 0", [e(0)], {}), ("kind 4", [e(4)], {}), ("falling", [high, low], {}), ("twice", [low, low], {}),
                                    ("kinds fall", [e(2), e(1)], {}), ("before its page", [low], {"after": place}),
                                    ("again on the next page", [high], {"after": place}),
                                    ("no end and no entries", [], {"last": False}),
                                    ("another's license", [e(2, w.b.id)], {}), ("another's move", [e(3, w.b.id)], {}),
                                    ("a serial with a sequence", [{**low, "sequence": 1}], {}),
                                    ("a license without a sequence", [{**low, "kind": 2}], {}),
                                    ("a license with a content", [{**e(2), "content": bytes(32)}], {}),
                                    ("a move without its digest", [{k: v for k, v in e(3).items() if k != "digest"}], {}),
                                    ("a move without its sequence", [{k: v for k, v in e(3).items() if k != "sequence"}], {})):
            self.catch_up(name, "malformed", w.catch_up_fields(*entries, **more))

    def times(self):
        w = self.w
        sign = r.document_sign
        delegation = sign("delegation", w.delegation_fields(), w.b.license)
        quote = sign("quote", w.quote_fields(), w.a.license)
        for name, expect, moment in (("as early as clocks may differ", True, NOW - SKEW),
                                     ("too early", False, NOW - SKEW - 1)):
            self.keyset(name, "ok" if expect else "keyset-invalid", w.a.keyset(), now=moment)
            self.quote(name, "ok" if expect else "quote-changed", quote, now=moment)
        for name, expect, late in (("as late as clocks may differ", True, SKEW), ("too late", False, SKEW + 1)):
            self.keyset(name, "ok" if expect else "keyset-invalid", w.a.keyset(), now=NOW + YEAR + late)
            self.quote(name, "ok" if expect else "quote-changed", quote, now=NOW + 1000 + late)
        ended = {**w.delegation_fields(), "ends_ms": NOW - SKEW - 1, "issued_ms": NOW - YEAR}
        self.delegation("ended", "delegation-invalid", sign("delegation", ended, w.b.license))
        self.delegation("withdrawn by the floor", "delegation-invalid",
                        sign("delegation", {**w.delegation_fields(), "sequence": 5}, w.b.license))
        self.delegation("to a partner without a floor", "ok",
                        sign("delegation", {**w.delegation_fields(), "partner": w.source.id, "sequence": 0}, w.b.license))
        self.delegation("by the partner itself", "signature-invalid", sign("delegation", w.delegation_fields(), w.a.license))

    def certificates(self):
        """Section 6, each rule broken once."""
        w = self.w
        sign = r.document_sign
        good = lambda **changes: {**w.certificate_fields(w.b, w.destination, w.copy_key), **changes}
        own = lambda **changes: {**w.certificate_fields(w.a, w.sibling, w.a.license), **changes}
        c = self.certificate
        c("good, across distributors", "ok", good())
        c("good, of the own distributor", "ok", own(), of=w.a)
        c("good, on a medium", "ok", good(removable=True), presenter=None)
        c("good, brought by its source though meant for a medium", "ok", good(removable=True))
        delegation = lambda **changes: sign("delegation", {**w.delegation_fields(), **changes}, w.b.license)
        c("own distributor, signed by the copy key", "signature-invalid", own(), of=w.a, signer=w.copy_key)
        c("own distributor, partner root", "malformed", own(partner_root=True), of=w.a)
        c("own distributor, other issuer", "signature-invalid", own(issuer=w.b.id), of=w.a)
        c("no delegation", "signature-invalid", good(), delegation=b"")
        c("delegation withdrawn", "delegation-invalid", good(), delegation=delegation(sequence=5))
        c("delegation ended", "delegation-invalid", good(),
          delegation=delegation(issued_ms=NOW - YEAR, ends_ms=NOW - SKEW - 1))
        c("delegation to another partner", "delegation-invalid", good(), delegation=delegation(partner=w.source.id))
        c("delegation of another key", "signature-invalid", good(), delegation=delegation(copy_key=w.a.license.public))
        c("delegation by the partner", "delegation-invalid", good(),
          delegation=sign("delegation", w.delegation_fields(), w.a.license))
        c("delegation that is a license", "delegation-invalid", good(),
          delegation=sign("license", w.license_fields(w.source), w.b.license))
        c("delegated, but not the partner root", "delegation-invalid", good(partner_root=False))
        c("longer than the delegation allows", "delegation-invalid", good(ends_ms=NOW + 60001))
        c("ends after its delegation", "delegation-invalid", good(), delegation=delegation(ends_ms=NOW + 59999))
        c("ends before it begins", "delegation-invalid", good(ends_ms=NOW - 1))
        other = r.encode(r.CONTENT_INFO, {**w.info_fields(), "publisher": w.b.id})
        body, content = f.body_make(other, w.blocks)
        foreign = {**w.certificate_fields(w.b, w.destination, w.copy_key, {"content": content}), "content": content}
        c("content the partner did not publish", "delegation-invalid", foreign, body=body)
        license_of = lambda signer=None, **changes: w.certificate_fields(
            w.b, w.destination, w.copy_key, changes, signer)["license"]
        c("license by another key", "signature-invalid", good(license=license_of(w.a.license)))
        c("license of another issuer", "signature-invalid", good(license=license_of(issuer=w.b.id)))
        c("license for another content", "content-id-mismatch", good(license=license_of(content=w.draw())))
        c("license for another device", "wrong-destination", good(license=license_of(client=w.sibling.id)))
        c("license for a leaf of another distributor", "wrong-destination", good(license=license_of(leaf=w.source.leaf)))
        c("license that is no license", "malformed", good(license=sign("time", w.time_fields(), w.copy_key)))
        license_ = license_of()
        c("license altered", "signature-invalid", good(license=license_[:-1] + bytes([license_[-1] ^ 1])))
        block = lambda **changes: w.b.key_block(5, **changes)
        c("key block of another kind", "malformed", good(key_block=block(kind=3)))
        c("key block in parts without the part", "malformed", good(key_block=block(kind=2)))
        c("key block in parts", "ok", good(key_block={**block(kind=2), "part": bytes(16 + 8 + 37)}))
        c("key block of one kind with a part of the other", "malformed", good(key_block={**block(), "part": bytes(73)}))
        c("key block of another category", "malformed", good(key_block=block(category=8)))
        c("key block entry beyond the block", "malformed", good(key_block={**block(), "index": len(w.b.entries)}))
        c("key block of another distributor", "signature-invalid", good(key_block=w.a.key_block(5)))
        c("key block without a proof", "ok", good(key_block={k: v for k, v in block().items() if k != "proof"}))
        c("key block as new as known", "ok", good(), newest=w.b.version)
        c("key block older than known", "key-block-outdated", good(), newest=w.b.version + 1)
        c("as late as clocks may differ", "ok", good(), now=NOW + 60000 + SKEW)
        c("too late", "certificate-expired", good(), now=NOW + 60000 + SKEW + 1)
        c("of the own distributor, too early", "certificate-expired", own(), of=w.a, now=NOW - SKEW - 1)
        c("for another device", "wrong-destination", good(), reader=w.revoked.id)
        c("brought by another device", "not-permitted", good(), presenter=w.sibling.id)
        c("brought by its issuer", "ok", good(move=False), presenter=w.a.id)
        c("a move brought by its issuer", "not-permitted", good(), presenter=w.a.id)
        c("brought by the destination's distributor", "not-permitted", good(move=False), presenter=w.b.id)
        c("on a medium, not meant for one", "not-permitted", good(), presenter=None)
        moved = f.body_make(r.encode(r.CONTENT_INFO, {**w.info_fields(), "title": "another"}), w.blocks)[0]
        c("another content beside it", "content-id-mismatch", good(), body=moved)

    def bodies(self):
        w = self.w
        self.body("good", "ok", w.body)
        body, content = f.body_make(r.encode(r.CONTENT_INFO, {**w.info_fields(), "metadata_signers": {"kind": 3, "keys": [w.b.id]}}), w.blocks)
        self.body("that names who may sign metadata", "ok", body, content)
        for name, changes in (("no plain bytes", {"plain_bytes": 0}), ("block size not a power of two", {"block_bytes": 5000}),
                              ("blocks too small", {"block_bytes": 2048, "block_count": 9}),
                              ("blocks too large", {"block_bytes": 1 << 21, "block_count": 1}), ("a block too many", {"block_count": 6}),
                              ("a block too few", {"block_count": 4}), ("too many blocks", {"plain_bytes": (4096 << 20) + 1}),
                              ("no media type", {"media_type": ""}), ("signers of no kind", {"metadata_signers": {"kind": 6, "keys": []}}),
                              ("keys of no signer", {"metadata_signers": {"kind": 3, "keys": []}}), ("title too long", {"title": "t" * 128}),
                              ("plain bytes beyond all", {"plain_bytes": 2**64 - 1})):
            body, content = f.body_make(r.encode(r.CONTENT_INFO, {**w.info_fields(), **changes}), w.blocks)
            self.body(name, "malformed", body, content)
        flip = lambda at: w.body[:at] + bytes([w.body[at] ^ 1]) + w.body[at + 1:]
        list_at = 12 + len(w.info)
        self.body("other magic", "malformed", flip(0))
        self.body("nonce changed", "content-id-mismatch", flip(list_at - 1))
        self.body("hash list changed", "content-id-mismatch", flip(list_at))
        self.body("first block changed", "block-corrupt", flip(list_at + 160))
        self.body("last byte changed", "block-corrupt", flip(len(w.body) - 1))
        self.body("last byte missing", "malformed", w.body[:-1])
        self.body("a byte behind", "malformed", w.body + b"\0")
        self.body("nothing", "malformed", b"")
        swapped = w.body[:list_at + 160] + w.blocks[1] + w.blocks[0] + b"".join(w.blocks[2:])
        self.body("blocks exchanged", "block-corrupt", swapped)

    def contents(self):
        """Sections 7 to 10 from end to end."""
        w = self.w
        header = lambda of, device, **changes: r.encode(r.HEADER, {**w.header_fields(of, device), **changes})
        mine = header(w.b, w.destination)
        self.play("good, own distributor, one entry", "ok", header(w.a, w.source), w.a, w.source)
        self.play("good, last leaf of the tree", "ok", header(w.a, w.sibling), w.a, w.sibling)
        self.play("good, across distributors", "ok", mine, w.b, w.destination)
        self.play("on a revoked device", "device-revoked", mine, w.b, w.destination, set_=w.revoked.set)
        lying = w.revoked.set[:5] + w.destination.set[5:9] + w.revoked.set[9:]
        self.play("on a revoked device that lies about its leaf", "signature-invalid", mine, w.b, w.destination, set_=lying)
        self.play("with another device's sealing key", "signature-invalid", mine, w.b, w.destination, sealing=w.sibling.sealing)
        self.play("with another device's license", "signature-invalid", mine, w.b, w.destination,
                  license_fields=w.license_fields(w.source))
        self.play("root taken for the partner root", "signature-invalid", header(w.a, w.source, partner_root=True), w.a, w.source)
        self.play("partner root taken for the root", "signature-invalid", header(w.b, w.destination, partner_root=False), w.b,
                  w.destination)
        for name, value in (("content", w.draw()), ("issuer", w.b.id), ("license_id", w.draw(16))):
            self.play(f"license of another {name}", "no-license", header(w.b, w.destination, **{name: value}), w.b, w.destination)
        other_half = {**w.license_fields(w.destination), "license_half": f.seal_license_half(
            f.box_public(w.destination.sealing), w.draw(), w.content)}
        self.play("another license half", "signature-invalid", mine, w.b, w.destination, license_fields=other_half)
        other_content = {**w.license_fields(w.destination), "license_half": f.seal_license_half(
            f.box_public(w.destination.sealing), w.license_half, w.draw())}
        self.play("license half of another content", "signature-invalid", mine, w.b, w.destination,
                  license_fields=other_content)
        block = w.b.key_block(5)
        self.play("key block of another version", "signature-invalid",
                  header(w.b, w.destination, key_block=w.b.key_block(5, version=99)), w.b, w.destination)
        self.play("entry's neighbour", "signature-invalid",
                  header(w.b, w.destination, key_block={**block, "index": block["index"] + 1}), w.b, w.destination)
        self.play("no proof", "signature-invalid",
                  header(w.b, w.destination, key_block={k: v for k, v in block.items() if k != "proof"}), w.b, w.destination)
        self.play("header with a byte behind", "malformed", mine + b"\0", w.b, w.destination)


def main(checker):
    with tempfile.TemporaryDirectory() as scratch:
        writer = Writer(pathlib.Path(scratch))
        for part in (writer.good_ones, writer.records, writer.who_may_sign, writer.times, writer.certificates, writer.bodies,
                     writer.contents):
            part()
        writer.cases.write()
        for line in writer.cases.disagreements:
            print(f"second implementation: {line}", file=sys.stderr)
        done = subprocess.run([checker], env={**os.environ, "HEARTH_SAMPLES": scratch}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        return 1 if writer.cases.disagreements or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
