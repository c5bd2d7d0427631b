/* SPDX-License-Identifier: MIT */
#include "gateway/tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT "what a ticket holds"

struct ticket {
    unsigned char name[16], iv[16], sealed[64];
    int n;
};

struct box {
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
};

static struct box box_new(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    struct box b = {EVP_CIPHER_CTX_new(), EVP_MAC_CTX_new(hmac)};
    EVP_MAC_free(hmac);
    assert_non_null(b.cipher);
    assert_non_null(b.mac);
    return b;
}

static void box_free(struct box *b)
{
    EVP_CIPHER_CTX_free(b->cipher);
    EVP_MAC_CTX_free(b->mac);
}

static struct ticket make(const struct tickets *t)
{
    struct ticket ticket = {0};
    struct box b = box_new();
    int more;
    assert_int_equal(tickets_crypt(t, ticket.name, ticket.iv, b.cipher, b.mac, 1), 1);
    assert_int_equal(EVP_EncryptUpdate(b.cipher, ticket.sealed, &ticket.n,
                                       (const unsigned char *)TEXT, sizeof(TEXT)),
                     1);
    assert_int_equal(EVP_EncryptFinal_ex(b.cipher, ticket.sealed + ticket.n, &more), 1);
    ticket.n += more;
    box_free(&b);
    return ticket;
}

/* What tickets_crypt says of it; opened it must be what it was. */
static int take(const struct tickets *t, struct ticket ticket)
{
    unsigned char text[64];
    struct box b = box_new();
    int n, more;
    int result = tickets_crypt(t, ticket.name, ticket.iv, b.cipher, b.mac, 0);
    if (result > 0) {
        assert_int_equal(EVP_DecryptUpdate(b.cipher, text, &n, ticket.sealed, ticket.n), 1);
        assert_int_equal(EVP_DecryptFinal_ex(b.cipher, text + n, &more), 1);
        assert_string_equal(text, TEXT);
    }
    box_free(&b);
    return result;
}

static void a_key_opens_for_two_rotations(void **state)
{
    (void)state;
    struct tickets *first = tickets_new(NULL), *second = tickets_new(first);
    struct tickets *third = tickets_new(second);
    struct ticket ticket = make(first);
    assert_int_equal(take(first, ticket), 1);
    assert_int_equal(take(second, ticket), 2);
    assert_int_equal(take(third, ticket), 0);
    assert_int_equal(take(second, make(second)), 1);
    tickets_unref(first);
    tickets_unref(second);
    tickets_unref(third);
}

static void two_gateways_do_not_share_keys(void **state)
{
    (void)state;
    struct tickets *one = tickets_new(NULL), *other = tickets_new(NULL);
    assert_int_equal(take(other, make(one)), 0);
    tickets_unref(one);
    tickets_unref(other);
}

static void two_tickets_differ(void **state)
{
    (void)state;
    struct tickets *t = tickets_new(NULL);
    struct ticket a = make(t), b = make(t);
    assert_memory_equal(a.name, b.name, sizeof(a.name));
    assert_memory_not_equal(a.iv, b.iv, sizeof(a.iv));
    assert_memory_not_equal(a.sealed, b.sealed, (size_t)a.n);
    tickets_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_opens_for_two_rotations),
        cmocka_unit_test(two_gateways_do_not_share_keys),
        cmocka_unit_test(two_tickets_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
