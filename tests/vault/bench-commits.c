/* How many small copies a vault can check and commit in a second, many at a time, each durable (design section 8: 1,000 a second). */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "check.h"
#include "rig.h"

#define COUNT 2000
#define WINDOW 64

static struct rig rig;
static struct maker shop, other;
static struct device source;
static struct buf certificates[COUNT], delegation;
static struct content songs[COUNT];
static vlt_CertificateName names[COUNT];

static uint32_t send_check(unsigned i)
{
    static vlt_CertificateCheck ask;
    memset(&ask, 0, sizeof(ask));
    check(CODEC_SET_BYTES(ask.certificate, buf_slice(&certificates[i])) == 0);
    ask.has_delegation = true;
    check(CODEC_SET_BYTES(ask.delegation, buf_slice(&delegation)) == 0);
    check(CODEC_SET_BYTES(ask.info, buf_slice(&songs[i].info_bytes)) == 0);
    memcpy(ask.list_root, songs[i].list_root, 32);
    ask.has_presenter = true;
    memcpy(ask.presenter, source.client.bytes, 32);
    return rig_send(&rig, vlt_Type_CERTIFICATE_CHECK, vlt_CertificateCheck_fields, &ask, slice(NULL, 0), -1);
}

static uint32_t send_commit(unsigned i)
{
    vlt_CertificateCommit ask = { .name = names[i] };
    return rig_send(&rig, vlt_Type_CERTIFICATE_COMMIT, vlt_CertificateCommit_fields, &ask, slice(NULL, 0), -1);
}

/* As hearthd does with many transfers at once: WINDOW requests are under way. */
static double run(uint32_t (*send)(unsigned i), unsigned window)
{
    uint32_t ids[COUNT];
    int64_t began_ms = clock_mono_ms(clock_system());
    for (unsigned sent = 0, done = 0; done < COUNT;) {
        if (sent < COUNT && sent - done < window) {
            ids[sent] = send(sent);
            sent++;
            continue;
        }
        vlt_CertificateState state;
        check(rig_receive(&rig, ids[done], vlt_Type_CERTIFICATE_STATE, vlt_CertificateState_fields,
                          vlt_CertificateState_size, &state, sizeof(state)) == 0);
        names[done] = state.name;
        done++;
    }
    return COUNT * 1000.0 / (double)(clock_mono_ms(clock_system()) - began_ms);
}

int main(void)
{
    struct key32 key;
    doc_Delegation d;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    maker_key(&key, 90, 1);
    sign_public_key(&key, source.device_key);
    source.client = id_of_key(source.device_key);
    check(rig_register(&rig, &shop) == 0);
    maker_delegation(&shop, &other, &d);
    delegation = buf(1024);
    sign_into(&delegation, DOCUMENT_DELEGATION, &d, &shop.license);
    for (unsigned i = 0; i < COUNT; i++) {
        doc_CopyCertificate certificate;
        content_init(&songs[i], &other, 1, "audio/flac", slice(&i, sizeof(i)), 4096);
        memcpy(songs[i].license_id, &i, sizeof(i));
        maker_copy(&other, &shop, &source, &rig.self, &songs[i], i + 1, &certificate);
        memcpy(certificate.serial + 8, &i, sizeof(i));
        certificates[i] = buf(4096);
        sign_into(&certificates[i], DOCUMENT_COPY_CERTIFICATE, &certificate, &other.copy);
    }
    double checks = run(send_check, WINDOW), commits = run(send_commit, WINDOW);
    printf("%d copies, %d at a time: %.0f checks/s, %.0f commits/s, both %.0f/s\n", COUNT, WINDOW, checks, commits,
           1 / (1 / checks + 1 / commits));
    char command[64];
    snprintf(command, sizeof(command), "grep -E 'Pss:' /proc/%d/smaps_rollup", (int)rig.pid);
    check(system(command) == 0);
    rig_deinit(&rig);
    return 0;
}
