#include "shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define RATE 8000u

void shop_add_user(struct program *p, const char *user)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/password", p->dir);
    assert_int_equal(file_replace(path, slice_str(SHOP_PASSWORD "\n"), 0600), 0);
    assert_int_equal(program_admin(p, "user", "add", user, "--password-file", path, "--credit", SHOP_CREDIT, NULL), 0);
    unlink(path);
}

static void put_le(uint8_t *p, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* RIFF, 8 bits, mono. */
void shop_write_track(const char *path, unsigned number)
{
    static uint8_t wave[44 + RATE];
    memcpy(wave, "RIFF\0\0\0\0WAVEfmt ", 16);
    put_le(wave + 4, 36 + RATE, 4);
    put_le(wave + 16, 16, 4);
    put_le(wave + 20, 1, 2);
    put_le(wave + 22, 1, 2);
    put_le(wave + 24, RATE, 4);
    put_le(wave + 28, RATE, 4);
    put_le(wave + 32, 1, 2);
    put_le(wave + 34, 8, 2);
    memcpy(wave + 36, "data", 4);
    put_le(wave + 40, RATE, 4);
    struct rng_fake rng;
    rng_fake_init(&rng, number);
    rng_fill(&rng.rng, wave + 44, RATE);
    assert_int_equal(file_replace(path, SLICE_ARRAY(wave), 0600), 0);
}

void shop_publish(struct program *p, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char path[256], title[32];
        snprintf(path, sizeof(path), "%s-track.wav", p->dir);
        snprintf(title, sizeof(title), "Track %02u", i + 1);
        shop_write_track(path, i + 1);
        assert_int_equal(
            program_admin(p, "publish", path, "--title", title, "--price", SHOP_PRICE, "--max-copies", "50", NULL), 0);
        unlink(path);
    }
}

unsigned shop_browse_most(struct client *c, struct shop_item *items, unsigned most)
{
    struct answer a = { 0 };
    unsigned count = 0;
    for (bool more = true; more;) {
        static msg_Catalogue page;
        msg_CatalogueGet get = msg_CatalogueGet_init_zero;
        get.offset = count;
        client_ask(c, msg_Type_CATALOGUE_GET, msg_CatalogueGet_fields, &get, slice(NULL, 0), &a);
        assert_true(a.there);
        assert_int_equal(a.type, msg_Type_CATALOGUE);
        assert_int_equal(CODEC_DECODE(msg_Catalogue, buf_slice(&a.message), &page), 0);
        for (pb_size_t i = 0; i < page.items_count && count < most; i++, count++) {
            memcpy(items[count].content, page.items[i].content, 32);
            items[count].product = page.items[i].products[0].product;
        }
        more = page.items_count > 0 && count < page.total && count < most;
    }
    answer_free(&a);
    return count;
}

unsigned shop_browse(struct client *c, struct shop_item items[SHOP_TRACKS_MAX])
{
    return shop_browse_most(c, items, SHOP_TRACKS_MAX);
}

void shop_quote(struct client *c, const struct shop_item *item, struct buf *items)
{
    struct answer a = { 0 };
    msg_QuoteGet get = msg_QuoteGet_init_zero;
    msg_Quote quote;
    msg_Item wanted = msg_Item_init_zero;
    memcpy(get.content, item->content, 32);
    get.product = item->product;
    client_ask(c, msg_Type_QUOTE_GET, msg_QuoteGet_fields, &get, slice(NULL, 0), &a);
    assert_true(a.there);
    assert_int_equal(a.type, msg_Type_QUOTE);
    assert_int_equal(CODEC_DECODE(msg_Quote, buf_slice(&a.message), &quote), 0);
    wanted.has_purchase = true;
    assert_int_equal(CODEC_SET_BYTES(wanted.purchase.quote, CODEC_BYTES(quote.quote)), 0);
    struct buf encoded = buf(4096);
    assert_int_equal(CODEC_ENCODE(msg_Item, &encoded, &wanted), 0);
    assert_int_equal(codec_list_put(items, buf_slice(&encoded)), 0);
    buf_free(&encoded);
    answer_free(&a);
}

int64_t shop_balance(struct client *c)
{
    struct answer a = { 0 };
    msg_Account account;
    client_ask(c, msg_Type_ACCOUNT_GET, NULL, NULL, slice(NULL, 0), &a);
    assert_true(a.there);
    assert_int_equal(a.type, msg_Type_ACCOUNT);
    assert_int_equal(CODEC_DECODE(msg_Account, buf_slice(&a.message), &account), 0);
    answer_free(&a);
    return account.balance;
}

unsigned shop_charges(struct client *c, int64_t *sum)
{
    struct answer a = { 0 };
    unsigned count = 0;
    uint64_t before = 0;
    *sum = 0;
    for (bool more = true; more;) {
        static msg_Bills page;
        msg_BillsGet get = { .before = before };
        client_ask(c, msg_Type_BILLS_GET, msg_BillsGet_fields, &get, slice(NULL, 0), &a);
        assert_true(a.there);
        assert_int_equal(a.type, msg_Type_BILLS);
        assert_int_equal(CODEC_DECODE(msg_Bills, buf_slice(&a.message), &page), 0);
        for (pb_size_t i = 0; i < page.lines_count; i++) {
            before = page.lines[i].number;
            if (page.lines[i].amount < 0) {
                count++;
                *sum += page.lines[i].amount;
            }
        }
        more = page.more;
    }
    answer_free(&a);
    return count;
}
