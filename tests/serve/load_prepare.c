/* The state that a load needs. What many devices would do one after another, is done so here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "load.h"
#include "shop.h"

#define USER_BYTES 16

static void user_name(unsigned account, char out[USER_BYTES]) { snprintf(out, USER_BYTES, "user%u", account); }

static void publish(struct load *l)
{
    static char paths[LOAD_TRACKS][192];
    const char *argv[LOAD_TRACKS + 8] = { "publish", "--price",      "0.10",     "--copy-price",
                                          "0.01",    "--max-copies", "unlimited" };
    for (unsigned i = 0; i < LOAD_TRACKS; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s-track%u.wav", l->server.dir, i);
        shop_write_track(paths[i], i);
        argv[7 + i] = paths[i];
    }
    assert_int_equal(program_admin_list(&l->server, argv, LOAD_TRACKS + 7), 0);
    for (unsigned i = 0; i < LOAD_TRACKS; i++)
        unlink(paths[i]);
}

static void browse(struct load *l)
{
    struct shop_item *items = calloc(LOAD_TRACKS, sizeof(*items));
    assert_non_null(items);
    assert_int_equal(shop_browse_most(&l->devices[0].client, items, LOAD_TRACKS), LOAD_TRACKS);
    for (unsigned i = 0; i < LOAD_TRACKS; i++) {
        memcpy(l->tracks[i].content, items[i].content, 32);
        l->tracks[i].product = items[i].product;
    }
    free(items);
}

static void take_license(struct load *l, unsigned track, const struct load_device *d, struct slice wire)
{
    static msg_Result result;
    doc_License license;
    assert_int_equal(CODEC_DECODE(msg_Result, wire, &result), 0);
    assert_true(result.has_license);
    assert_int_equal(license_judge(CODEC_BYTES(result.license), &d->client.keyset, &license), 0);
    assert_memory_equal(license.content, l->tracks[track].content, 32);
    memcpy(l->tracks[track].license_id, license.license_id, 16); /* of the content: everybody's is the same */
}

/* All tracks of a device in one transaction. */
static void buy(struct load *l, struct load_device *d)
{
    unsigned first = d->number % LOAD_HOUSEHOLD * LOAD_TRACKS_OF_ONE;
    struct buf items = buf(FRAME_TAIL_MAX);
    struct answer a = { 0 };
    struct client *c = &d->client;
    for (unsigned i = first; i < first + LOAD_TRACKS_OF_ONE; i++) {
        struct shop_item item = { .product = l->tracks[i].product };
        memcpy(item.content, l->tracks[i].content, 32);
        shop_quote(c, &item, &items);
    }
    msg_Transact t = { .session = c->session, .bit = c->bit ^= 1, .count = LOAD_TRACKS_OF_ONE };
    rng_fill(rng_system(), t.transaction, sizeof(t.transaction));
    client_ask(c, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&items), &a);
    assert_int_equal(a.type, msg_Type_TRANSACTED);
    struct reader list = reader(buf_slice(&a.tail));
    for (unsigned i = first; i < first + LOAD_TRACKS_OF_ONE; i++) {
        struct slice one;
        assert_int_equal(codec_list_next(&list, msg_Result_size, &one), 0);
        take_license(l, i, d, one);
    }
    buf_free(&items);
    answer_free(&a);
}

static void register_devices(struct load *l)
{
    for (unsigned i = 0; i < LOAD_DEVICES; i++) {
        struct load_device *d = &l->devices[i];
        struct answer a = { 0 };
        char user[USER_BYTES];
        user_name(i / LOAD_HOUSEHOLD, user);
        client_init(&d->client, l->loop, (uint8_t)i);
        d->load = l;
        d->number = i;
        assert_true(client_connect(&d->client, l->server.address));
        client_hello(&d->client);
        client_register(&d->client, user, SHOP_PASSWORD, &a);
        assert_int_equal(a.type, msg_Type_REGISTERED);
        answer_free(&a);
    }
}

void load_prepare(struct load *l, uv_loop_t *loop, const char *binary)
{
    memset(l, 0, sizeof(*l));
    l->loop = loop;
    l->devices = calloc(LOAD_DEVICES, sizeof(*l->devices));
    l->waited_ms = calloc((size_t)LOAD_DEVICES * LOAD_COPIES_OF_ONE, sizeof(*l->waited_ms));
    assert_true(l->devices != NULL && l->waited_ms != NULL);
    const char *database = getenv("HEARTH_LOAD_DATABASE");
    if (database != NULL)
        program_init_database(&l->server, binary, "load", database);
    else
        program_init(&l->server, binary, "load");
    snprintf(l->kept, sizeof(l->kept), "%s.kept", l->server.dir);
    for (unsigned i = 0; i < LOAD_ACCOUNTS; i++) {
        char user[USER_BYTES];
        user_name(i, user);
        shop_add_user(&l->server, user);
    }
    publish(l);
    program_start(&l->server);
    register_devices(l);
    browse(l);
    for (unsigned i = 0; i < LOAD_DEVICES; i++)
        buy(l, &l->devices[i]);
    load_disconnect(l);
    program_stop(&l->server);
    const char *const copy[] = { "cp", "-a", "--", l->server.dir, l->kept, NULL };
    assert_int_equal(program_run(copy), 0);
}

void load_restore(struct load *l)
{
    const char *const away[] = { "rm", "-rf", "--", l->server.dir, NULL };
    const char *const back[] = { "cp", "-a", "--", l->kept, l->server.dir, NULL };
    assert_int_equal(program_run(away), 0);
    assert_int_equal(program_run(back), 0);
}

void load_deinit(struct load *l)
{
    const char *const away[] = { "rm", "-rf", "--", l->kept, NULL };
    for (unsigned i = 0; i < LOAD_DEVICES; i++)
        client_deinit(&l->devices[i].client);
    program_deinit(&l->server);
    assert_int_equal(program_run(away), 0);
    free(l->devices);
    free(l->waited_ms);
}
