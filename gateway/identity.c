/* SPDX-License-Identifier: MIT */
#include "gateway/identity.h"

#include "backplane/base/count.h"
#include "backplane/base/hex.h"
#include "backplane/base/json.h"
#include "backplane/base/utf8.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#define KEY_MIN         16
#define KEY_MAX         256
#define NAME_MAX_POINTS 64

/* The label keeps these hashes apart from any other use of the same key. */
static const char LABEL[] = "madang guest 1";
#define LABEL_BYTES sizeof(LABEL) /* its NUL separates it from the key */

static const char PREFIX[] = "g_";
#define ID_CHARS 26
#define ID_BYTES 17 /* 26 × 5 = 130 bits */

static const char WHY_GUEST[] = "data.guest must be an object with key and name";
static const char WHY_KEY[] = "data.guest.key must be a string of 16 to 256 bytes";
static const char WHY_NAME[] = "data.guest.name must be a string";

/* ---- random and hashed bytes ---- */

static void random_bytes(void *out, size_t n)
{
    int rc = getentropy(out, n); /* from the kernel; up to 256 bytes it cannot fail once booted */
    assert(rc == 0);
    (void)rc;
}

void random_uuid(char out[36])
{
    unsigned char b[16];

    random_bytes(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40); /* version 4 */
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80); /* the variant of RFC 9562 */
    for (size_t i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        out = hex_bytes(out, &b[i], 1);
    }
}

/* `g_` and the first 130 bits in base32 (RFC 4648, lower case). */
static void add_user_id(struct buf *user, const unsigned char bits[ID_BYTES])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned window = 0, held = 0;
    size_t at = 0;

    buf_str(user, PREFIX);
    for (size_t i = 0; i < ID_CHARS; i++) {
        if (held < 5) {
            window = window << 8 | bits[at++];
            held += 8;
        }
        held -= 5;
        buf_char(user, alphabet[window >> held & 31]);
    }
}

static enum err add_random_user(struct buf *user)
{
    unsigned char bits[ID_BYTES];

    random_bytes(bits, sizeof(bits));
    add_user_id(user, bits);
    return OK;
}

static enum err add_hashed_user(struct buf *user, const char *key, size_t n)
{
    unsigned char text[LABEL_BYTES + KEY_MAX], hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;

    memcpy(text, LABEL, LABEL_BYTES);
    memcpy(text + LABEL_BYTES, key, n);
    int done = EVP_Digest(text, LABEL_BYTES + n, hash, &hash_len, EVP_sha256(), NULL);
    OPENSSL_cleanse(text, sizeof(text));
    if (done != 1 || hash_len < ID_BYTES)
        return ERR_INTERNAL;
    add_user_id(user, hash);
    return OK;
}

/* ---- the name ---- */

/* Whether a code point may stand in a name: not if it is a control character, breaks a line,
 * changes the direction of the text around it, or cannot be seen at all. The joiners U+200C and
 * U+200D stay: Persian and emoji need them. */
static bool shown(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0000, 0x001F}, /* C0 */
        {0x007F, 0x009F}, /* DEL, C1 */
        {0x00AD, 0x00AD}, /* soft hyphen */
        {0x061C, 0x061C}, /* Arabic letter mark */
        {0x200B, 0x200B}, /* zero width space */
        {0x200E, 0x200F}, /* left-to-right and right-to-left marks */
        {0x2028, 0x202E}, /* line and paragraph separators; embeddings and overrides */
        {0x2060, 0x206F}, /* word joiner, invisible operators, isolates, old format characters */
        {0xFEFF, 0xFEFF}, /* byte order mark */
        {0xFFF9, 0xFFFB}, /* interlinear annotations */
    };

    for (size_t i = 0; i < COUNT_OF(hidden); i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return false;
    return true;
}

static uint32_t code_point(const char *p, size_t seq)
{
    static const unsigned char lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t c = (unsigned char)p[0] & lead[seq];

    for (size_t i = 1; i < seq; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3F);
    return c;
}

/* Keeps of the text what may be shown, in place, at most NAME_MAX_POINTS code points and without
 * spaces around it. */
static struct span clean_name(char *text, size_t n)
{
    struct span rest = {text, n};
    size_t kept = 0, seq;

    for (size_t points = 0; points < NAME_MAX_POINTS && (seq = utf8_seq(rest)) > 0;) {
        bool leading_space = kept == 0 && rest.p[0] == ' ';
        if (!leading_space && shown(code_point(rest.p, seq))) {
            memmove(text + kept, rest.p, seq);
            kept += seq;
            points++;
        }
        rest = (struct span){rest.p + seq, rest.n - seq};
    }
    while (kept > 0 && text[kept - 1] == ' ')
        kept--;
    return (struct span){text, kept};
}

/* conn_info is {"name":…}; nothing of the name left, nothing is said. */
static enum err add_name(struct buf *conn_info, struct span value, const char **why)
{
    struct buf text = {0};
    enum err e = OK;

    if (!buf_reserve(&text, value.n)) {
        e = ERR_INTERNAL;
        goto done;
    }
    long n = json_unquote(value, text.p, value.n);
    if (n < 0) {
        *why = WHY_NAME;
        e = ERR_BAD_REQUEST;
        goto done;
    }
    struct span name = clean_name(text.p, (size_t)n);
    if (name.n > 0) {
        buf_lit(conn_info, "{\"name\":");
        buf_json(conn_info, name);
        buf_char(conn_info, '}');
    }
done:
    buf_deinit(&text);
    return e;
}

/* ---- guests ---- */

/* The member `name` of an object, the last one if there are several, as JSON.parse has it. Absent,
 * null, or no object around: p is NULL. */
static struct span member(struct span object, struct span name)
{
    struct json_members it;
    struct span key, value, found = {0};

    if (!json_members_begin(&it, object, JSON_MAX_DEPTH))
        return found;
    while (json_members_next(&it, &key, &value) == JSON_MEMBER)
        if (span_eq(key, name))
            found = value;
    if (span_eq(found, SPAN("null")))
        return (struct span){0};
    return found;
}

static enum err add_guest_user(struct buf *user, struct span key, const char **why)
{
    char text[KEY_MAX];

    if (!key.p)
        return add_random_user(user);
    long n = json_unquote(key, text, sizeof(text));
    enum err e = ERR_BAD_REQUEST;
    if (n < KEY_MIN)
        *why = WHY_KEY;
    else
        e = add_hashed_user(user, text, (size_t)n);
    OPENSSL_cleanse(text, sizeof(text));
    return e;
}

static enum err identify_guest(struct span data, struct identity *out, const char **why)
{
    struct span guest = member(data, SPAN("guest"));

    if (!guest.p)
        return add_random_user(&out->user);
    if (guest.p[0] != '{') {
        *why = WHY_GUEST;
        return ERR_BAD_REQUEST;
    }
    enum err e = add_guest_user(&out->user, member(guest, SPAN("key")), why);
    struct span name = member(guest, SPAN("name"));
    if (e == OK && name.p)
        e = add_name(&out->conn_info, name, why);
    return e;
}

bool identity_is_guest(struct span user)
{
    return user.n >= sizeof(PREFIX) - 1 && memcmp(user.p, PREFIX, sizeof(PREFIX) - 1) == 0;
}

enum err identify(enum auth_mode mode, struct span data, struct identity *out, const char **why)
{
    struct identity made = {0};
    enum err e = OK;

    *why = "";
    if (mode == AUTH_GUEST)
        e = identify_guest(data, &made, why);
    if (e == OK && (made.user.failed || made.conn_info.failed))
        e = ERR_INTERNAL;
    if (e != OK) {
        identity_deinit(&made);
        return e;
    }
    *out = made;
    return OK;
}

void identity_deinit(struct identity *i)
{
    buf_deinit(&i->user);
    buf_deinit(&i->conn_info);
}
