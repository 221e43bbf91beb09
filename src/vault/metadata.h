/* Whether metadata may be used with a content here: who signed it, whom content and license permit, what was said later. The vault judges, hearthd keeps
 * the files and shows what is permitted. Kept here, sealed: the highest sequence of each content, signer and language (table metadata), and the latest vouch
 * for each provider (table metadata_vouch), which counts for every file of his; what was withdrawn does not come back with an older file.
 * Source: related system R1. */
#ifndef VAULT_METADATA_H
#define VAULT_METADATA_H

#include "vault/requests.h"

/* METADATA_JUDGE, with the file: in this order envelope, signature and signer, content, parts, vouch and keyset beside it, time, range of the content, range of a license of this device,
 * sequence (docs/FORMATS.md, section 14). Refused only while it is not known who speaks: REASON_MALFORMED, REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID,
 * REASON_TOO_LARGE; REASON_CONTENT_ID_MISMATCH: information of another content. From then on the verdict is in the answer, with who signed:
 * REASON_CONTENT_ID_MISMATCH, REASON_SIGNATURE_INVALID (parts, vouch or keyset were altered), REASON_KEYSET_INVALID (another's), REASON_METADATA_ENDED, REASON_METADATA_NOT_PERMITTED, REASON_NO_LICENSE,
 * REASON_METADATA_OUTDATED. With keep a permitted one's numbers are remembered. */
request_fn metadata_judge_file;
/* METADATA_VOUCH: a vouch file, for its number: a later vouch takes an earlier one's place, also when it has ended. REASON_MALFORMED,
 * REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID, REASON_METADATA_OUTDATED (a later one was here). */
request_fn metadata_take_vouch;

#endif
