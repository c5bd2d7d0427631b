/* SPDX-License-Identifier: MIT */
#include "tests/unit/jwt_kit.h"

#include <openssl/hmac.h>

static enum verdict verify(const struct keyring *r, const struct buf *text)
{
    struct buf payload = {0};
    enum verdict v = jwt_verify(r, kit_span(text), &payload);
    assert_int_equal(v == TOKEN_VALID, payload.n != 0);
    buf_deinit(&payload);
    return v;
}

/* RFC 7515, appendices A.1 and A.3. */
#define RFC_PAYLOAD                                                                                \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static void the_examples_of_the_standard(void **state)
{
    (void)state;
    struct buf secret = {0}, why = {0}, payload = {0};
    struct keyring *r = keyring_new();
    assert_true(base64_decode(BASE64_URL,
                              SPAN("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
                                   "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
                              &secret));
    assert_true(keyring_add_secret(r, kit_span(&secret), &why));
    assert_true(keyring_add_jwks(r,
                                 SPAN("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                                      "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                      "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"),
                                 &why));
    static const char *const texts[] = {
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_PAYLOAD
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
        "Kg6NU1Q",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(jwt_verify(r, span_str(texts[i]), &payload), TOKEN_VALID);
        assert_true(
            span_eq(kit_span(&payload), SPAN("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                                             "\"http://example.com/is_root\":true}")));
        buf_deinit(&payload);
    }
    buf_deinit(&secret);
    keyring_unref(r);
}

static void each_algorithm_signs_and_verifies(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"HS256", NULL},    {"HS384", NULL},    {"HS512", NULL},
        {"RS256", "RSA"},   {"RS384", "RSA"},   {"RS512", "RSA"},
        {"ES256", "P-256"}, {"ES384", "P-384"}, {"ES512", "P-521"},
    };
    struct buf text = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *type = names[i][1];
        EVP_PKEY *key = type ? kit_generate(type) : NULL;
        EVP_PKEY *foreign = type ? kit_generate(type) : NULL;
        struct keyring *ours = kit_ring(key ? NULL : SECRET, key);
        struct keyring *theirs = kit_ring(key ? NULL : "another secret", foreign);
        kit_sign(&text, names[i][0], NULL, key, "{}");
        assert_int_equal(verify(ours, &text), TOKEN_VALID);
        assert_int_equal(verify(theirs, &text), TOKEN_INVALID);
        for (size_t at = 0; at < text.n; at += 7) { /* any other character makes it another token */
            char was = text.p[at];
            text.p[at] = was == 'x' ? 'y' : 'x';
            assert_int_not_equal(verify(ours, &text), TOKEN_VALID);
            text.p[at] = was;
        }
        keyring_unref(ours);
        keyring_unref(theirs);
        EVP_PKEY_free(key);
        EVP_PKEY_free(foreign);
    }
    buf_deinit(&text);
}

/* The classic: the public key, which everybody has, taken for a secret. */
static void a_public_key_is_no_secret(void **state)
{
    (void)state;
    EVP_PKEY *rsa = kit_generate("RSA");
    struct keyring *r = kit_ring(NULL, rsa);
    struct buf pem = {0}, text = {0};
    kit_pem(rsa, &pem);
    struct key k = {.kind = KEY_SECRET, .secret = pem};
    assert_true(jwt_sign(&k, jwt_algorithm(SPAN("HS256")), SPAN("{}"), &text));
    assert_int_equal(verify(r, &text), TOKEN_UNKNOWN_KEY);
    /* and with a secret beside it, that one is used */
    struct buf why = {0};
    assert_true(keyring_add_secret(r, SPAN(SECRET), &why));
    assert_int_equal(verify(r, &text), TOKEN_INVALID);
    buf_deinit(&pem);
    buf_deinit(&text);
    keyring_unref(r);
    EVP_PKEY_free(rsa);
}

static void a_key_of_one_curve_takes_no_other_algorithm(void **state)
{
    (void)state;
    EVP_PKEY *p256 = kit_generate("P-256"), *p384 = kit_generate("P-384");
    struct keyring *r = kit_ring(NULL, p256);
    struct buf text = {0};
    kit_sign(&text, "ES384", NULL, p384, "{}");
    assert_int_equal(verify(r, &text), TOKEN_UNKNOWN_KEY);
    buf_deinit(&text);
    keyring_unref(r);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
}

static void what_is_no_token_of_ours_is_invalid(void **state)
{
    (void)state;
    struct keyring *r = kit_ring(SECRET, NULL);
    struct buf text = {0};
    static const char *const texts[] = {
        "",
        ".",
        "..",
        "eyJ",
        "eyJ.",
        "eyJ..",
        "eyJ...",
        "a.b.c",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.e30",
        "eyJhbGciOiJIUzI1NiJ9.e30.",
        "eyJhbGciOiJIUzI1NiJ9.e30.=",
        "{\"alg\":\"HS256\"}.{}.x",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        buf_clear(&text);
        buf_str(&text, texts[i]);
        assert_int_equal(verify(r, &text), TOKEN_INVALID);
    }
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":\"PS256\"}",
        "{\"alg\":\"EdDSA\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":256}",
        "{\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":7}",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        kit_forge(&text, headers[i], "{\"sub\":\"a\"}", "");
        assert_int_equal(verify(r, &text), TOKEN_INVALID);
    }
    buf_deinit(&text);
    keyring_unref(r);
}

/* A signature that is right, under a text that is written in another way. */
static void one_token_has_one_text(void **state)
{
    (void)state;
    struct keyring *r = kit_ring(SECRET, NULL);
    struct buf text = {0};
    kit_sign(&text, "HS256", NULL, NULL, "{\"sub\":\"a\"}");
    static const char *const tails[] = {"=", "==", ".", ".x", "\n", " ", "A"};
    size_t n = text.n;
    for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
        text.n = n;
        buf_str(&text, tails[i]);
        assert_int_equal(verify(r, &text), TOKEN_INVALID);
    }
    buf_deinit(&text);
    for (size_t i = 0; i < 3; i++) { /* signed, but no object */
        static const char *const payloads[] = {"", "[]", "{\"sub\":"};
        kit_sign(&text, "HS256", NULL, NULL, payloads[i]);
        assert_int_equal(verify(r, &text), TOKEN_INVALID);
    }
    buf_deinit(&text);
    keyring_unref(r);
}

/* ---- JWK sets ---- */

#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_KEY(more)                                                                               \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"" more "}"

static void sets_hold_only_what_can_verify(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":7}",
        "{\"keys\":[]}",
        "{\"keys\":[7,null,[]]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" EC_X "\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\"}]}",
        "{\"keys\":[" EC_KEY(",\"use\":\"enc\"") "]}",
        "{\"keys\":[" EC_KEY(",\"key_ops\":[\"sign\"]") "]}",
        "{\"keys\":[" EC_KEY(",\"alg\":\"HS256\"") "]}",
        "{\"keys\":[" EC_KEY(",\"alg\":\"ES384\"") "]}",
        "{\"keys\":[" EC_KEY(",\"alg\":7") "]}",
        "{\"keys\":[" EC_KEY(",\"d\":\"" EC_X "\"") "]}",
    };
    struct buf why = {0};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct keyring *r = keyring_new();
        buf_clear(&why);
        assert_false(keyring_add_jwks(r, span_str(refused[i]), &why));
        assert_true(why.n > 0);
        assert_int_equal(r->count, 0);
        keyring_unref(r);
    }
    struct keyring *r = keyring_new();
    const char *set =
        "{\"keys\":[" EC_KEY(",\"kid\":\"a\",\"use\":\"sig\",\"alg\":\"ES256\"") ",null," EC_KEY(
            ",\"kid\":\"b\",\"key_ops\":[\"verify\"]") "]}";
    assert_true(keyring_add_jwks(r, span_str(set), &why));
    assert_int_equal(r->count, 2);
    assert_string_equal(r->keys[0].id, "a");
    keyring_unref(r);
    buf_deinit(&why);
}

static void rings_are_bounded(void **state)
{
    (void)state;
    struct keyring *r = keyring_new();
    struct buf why = {0}, set = {0};
    buf_lit(&set, "{\"keys\":[" EC_KEY(""));
    for (int i = 0; i < KEYS_MAX; i++)
        buf_lit(&set, "," EC_KEY(""));
    buf_lit(&set, "]}");
    assert_false(keyring_add_jwks(r, kit_span(&set), &why));
    assert_true(span_eq(kit_span(&why), SPAN("too many keys")));
    keyring_unref(r);
    buf_deinit(&why);
    buf_deinit(&set);
}

static void a_key_is_found_by_its_id(void **state)
{
    (void)state;
    struct keyring *r = kit_ring(SECRET, NULL);
    struct buf text = {0};
    kit_sign(&text, "HS256", "a", NULL, "{}");
    assert_int_equal(verify(r, &text), TOKEN_VALID); /* our key has none: it may be that one */
    r->keys[0].id = strdup("b");
    assert_int_equal(verify(r, &text), TOKEN_UNKNOWN_KEY);
    kit_sign(&text, "HS256", "b", NULL, "{}");
    assert_int_equal(verify(r, &text), TOKEN_VALID);
    kit_sign(&text, "HS256", NULL, NULL, "{}");
    assert_int_equal(verify(r, &text), TOKEN_VALID);
    kit_sign(&text, "HS256", "", NULL, "{}");
    assert_int_equal(verify(r, &text), TOKEN_UNKNOWN_KEY);
    buf_deinit(&text);
    keyring_unref(r);
}

static void bad_keys_are_refused(void **state)
{
    (void)state;
    struct keyring *r = keyring_new();
    struct buf why = {0}, pem = {0};
    assert_false(keyring_add_secret(r, SPAN(""), &why));
    assert_false(keyring_add_pem(r, SPAN("-----BEGIN PUBLIC KEY-----\n"), &why));
    static const char *const types[] = {"ED25519", "secp256k1", "1024"};
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *k = i == 0   ? EVP_PKEY_Q_keygen(NULL, NULL, types[i])
                      : i == 1 ? EVP_EC_gen(types[i])
                               : EVP_RSA_gen(1024);
        buf_clear(&pem);
        buf_clear(&why);
        kit_pem(k, &pem);
        assert_false(keyring_add_pem(r, kit_span(&pem), &why));
        assert_true(why.n > 0);
        EVP_PKEY_free(k);
    }
    assert_int_equal(r->count, 0);
    buf_deinit(&pem);
    buf_deinit(&why);
    keyring_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard),
        cmocka_unit_test(each_algorithm_signs_and_verifies),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(a_key_of_one_curve_takes_no_other_algorithm),
        cmocka_unit_test(what_is_no_token_of_ours_is_invalid),
        cmocka_unit_test(one_token_has_one_text),
        cmocka_unit_test(sets_hold_only_what_can_verify),
        cmocka_unit_test(rings_are_bounded),
        cmocka_unit_test(a_key_is_found_by_its_id),
        cmocka_unit_test(bad_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
