/* SPDX-License-Identifier: MIT */
#include "gateway/token_command.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"
#include "backplane/base/loop.h"
#include "backplane/base/option.h"
#include "gateway/identity.h"
#include "gateway/keys.h"
#include "gateway/token.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

#define PEM_MAX   (64 * 1024)
#define ROOMS_MAX 128

/* What is asked for. */
struct order {
    char *user, *room, *info, *private_key_file, *kid, *alg;
    char **rooms;
    size_t rooms_count;
    uint64_t expires_ms;
};

#define ORDER(field)      OPTION_FIELD(struct order, field)
#define ORDER_LIST(field) OPTION_LIST_FIELD(struct order, field)

static bool is_room(const char *text)
{
    return *text != '\0';
}

static bool is_json(const char *text)
{
    struct span value;
    return !*text || (strlen(text) <= TOKEN_INFO_MAX &&
                      json_document(span_str(text), JSON_MAX_DEPTH, &value));
}

static bool is_user(const char *text)
{
    return room_name_check(span_str(text), TOKEN_USER_MAX) == OK &&
           !identity_is_guest(span_str(text));
}

static const struct option WORDS[] = {
    {
        .key = "alg",
        .type = OPTION_STRING,
        ORDER(alg),
        .argument = "ALG",
        .initial = "",
        .help = "HS256 (default), HS384, HS512; for RSA keys RS256 (default), RS384, RS512.",
    },
    {
        .key = "expires",
        .type = OPTION_DURATION,
        ORDER(expires_ms),
        .max = 1000ULL * 3600 * 24 * 3650,
        .initial = "24h",
        .help = "How long from now on the token is good; 0: for ever.",
    },
    {
        .key = "info",
        .type = OPTION_STRING,
        ORDER(info),
        .check = is_json,
        .allowed = "JSON of at most 4096 bytes",
        .argument = "JSON",
        .initial = "",
        .help = "What others are told about the user.",
    },
    {
        .key = "kid",
        .type = OPTION_STRING,
        ORDER(kid),
        .argument = "ID",
        .initial = "",
        .help = "The id of the key.",
    },
    {
        .key = "private_key_file",
        .type = OPTION_STRING,
        ORDER(private_key_file),
        .argument = "FILE",
        .initial = "",
        .help = "Sign with this RSA or EC key, in PEM, and not with the configured secret.",
    },
    {
        .key = "room",
        .type = OPTION_STRING,
        ORDER(room),
        .argument = "ROOM",
        .initial = "",
        .help = "Make a token for a subscription to this room.",
    },
    {
        .key = "rooms",
        .type = OPTION_LIST,
        ORDER_LIST(rooms),
        .max = ROOMS_MAX,
        .check = is_room,
        .allowed = "names of rooms",
        .argument = "ROOM …",
        .initial = "",
        .help = "Put the connection into these rooms.",
    },
    {
        .key = "user",
        .type = OPTION_STRING,
        ORDER(user),
        .check = is_user,
        .allowed = "up to 255 bytes without control characters, that do not begin with g_",
        .argument = "USER",
        .initial = "",
        .help = "The user id; without it, the token is for the user without a name.",
    },
};

#define WORD_COUNT COUNT_OF(WORDS)

/* ---- reading the words ---- */

/* The word's option if it is `--key` or `--key=…`, with '-' for '_'; *value behind the '='. */
static const struct option *option_of(const char *word, const char **value)
{
    static const struct option_section none = {.name = ""};
    const struct option *found = NULL;
    for (size_t i = 0; !found && i < WORD_COUNT; i++) {
        struct buf flag = {0};
        option_flag(&none, &WORDS[i], &flag);
        size_t n = flag.failed ? 0 : flag.n;
        if (n && strncmp(word, flag.p, n) == 0 && (word[n] == '\0' || word[n] == '=')) {
            found = &WORDS[i];
            *value = word[n] ? word + n + 1 : NULL;
        }
        buf_deinit(&flag);
    }
    return found;
}

static bool set(struct order *order, const struct option *o, const char *value, struct buf *report)
{
    struct buf why = {0};
    bool ok = option_set(o, order, value, &why);
    if (!ok) {
        static const struct option_section none = {.name = ""};
        option_flag(&none, o, report);
        buf_fmt(report, ": %.*s\n", (int)why.n, why.p ? why.p : "");
    }
    buf_deinit(&why);
    return ok;
}

/* Takes our words out of argv, in place; what is left is for the gateway's options. */
static bool take_words(struct order *order, int *argc, char **argv, struct buf *report)
{
    bool ok = true;
    int kept = 0;
    for (size_t i = 0; i < WORD_COUNT; i++)
        ok = ok && set(order, &WORDS[i], WORDS[i].initial, report);
    for (int i = 0; i < *argc; i++) {
        const char *value = NULL;
        const struct option *o = option_of(argv[i], &value);
        if (!o) {
            argv[kept++] = argv[i];
        } else if (value || i + 1 < *argc) {
            ok &= set(order, o, value ? value : argv[++i], report);
        } else {
            buf_fmt(report, "%s: a value is missing\n", argv[i]);
            ok = false;
        }
    }
    *argc = kept;
    return ok;
}

/* ---- the key ---- */

static bool read_private_key(const char *path, struct key *k, struct buf *report)
{
    struct buf pem = {0};
    if (!keys_read_file(path, PEM_MAX, &pem, report))
        return false;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    /* a passphrase is not asked for: the empty one is tried */
    k->pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
    BIO_free(bio);
    ERR_clear_error();
    OPENSSL_cleanse(pem.p, pem.n);
    buf_deinit(&pem);
    const struct jwt_algorithm *a = k->pkey ? jwt_algorithm_of(k->pkey) : NULL;
    if (!a) {
        buf_fmt(report, "%s: it holds no RSA or EC private key in PEM without a passphrase\n",
                path);
        return false;
    }
    k->kind = a->kind;
    return true;
}

static bool find_key(const struct order *order, const struct options *o, struct key *k,
                     struct buf *report)
{
    const struct key_sources *s =
        keys_sources(o, *order->room ? KEYS_SUBSCRIPTION : KEYS_CONNECTION);
    if (*order->private_key_file)
        return read_private_key(order->private_key_file, k, report);
    k->kind = KEY_SECRET;
    if (!keys_read_secret(s->hmac_secret, s->hmac_secret_file, &k->secret, report))
        return false;
    if (!k->secret.n)
        buf_lit(report, "no key to sign with: set [jwt] hmac_secret or hmac_secret_file, as for "
                        "serve, or --private-key-file\n");
    return k->secret.n != 0;
}

static const struct jwt_algorithm *choose(const struct order *order, const struct key *k,
                                          struct buf *report)
{
    const struct jwt_algorithm *a = k->pkey ? jwt_algorithm_of(k->pkey) : NULL;
    const struct jwt_algorithm *wanted = jwt_algorithm(span_str(order->alg));
    if (!*order->alg)
        return a ? a : jwt_algorithm(SPAN("HS256"));
    if (wanted && wanted->kind == k->kind && (k->kind != KEY_EC || wanted == a))
        return wanted;
    buf_lit(report, "--alg: the key is not one for it\n");
    return NULL;
}

/* ---- the claims ---- */

static void add_string(struct buf *b, const char *name, const char *value)
{
    buf_json(b, span_str(name));
    buf_lit(b, ":");
    buf_json(b, span_str(value));
    buf_lit(b, ",");
}

static void add_claims(struct buf *b, const struct order *order, const struct options *o)
{
    uint64_t now_s = wall_ms() / 1000;
    buf_lit(b, "{");
    add_string(b, *o->jwt_user_claim ? o->jwt_user_claim : "sub", order->user);
    if (*order->room)
        add_string(b, "channel", order->room);
    if (*o->jwt_audience)
        add_string(b, "aud", o->jwt_audience);
    if (*o->jwt_issuer)
        add_string(b, "iss", o->jwt_issuer);
    if (*order->info)
        buf_fmt(b, "\"info\":%s,", order->info);
    for (size_t i = 0; i < order->rooms_count; i++) {
        buf_str(b, i ? "," : "\"channels\":[");
        buf_json(b, span_str(order->rooms[i]));
    }
    if (order->rooms_count)
        buf_lit(b, "],");
    if (order->expires_ms) {
        buf_lit(b, "\"exp\":");
        buf_u64(b, now_s + order->expires_ms / 1000);
        buf_lit(b, ",");
    }
    buf_lit(b, "\"iat\":");
    buf_u64(b, now_s);
    buf_lit(b, "}");
}

/* ---- the whole ---- */

static bool make(const struct order *order, const struct options *o, struct buf *text,
                 struct buf *report)
{
    struct key k = {.id = *order->kid ? order->kid : NULL};
    struct buf claims = {0};
    const struct jwt_algorithm *a =
        find_key(order, o, &k, report) ? choose(order, &k, report) : NULL;
    add_claims(&claims, order, o);
    bool ok = a && !claims.failed && jwt_sign(&k, a, (struct span){claims.p, claims.n}, text);
    if (a && !ok)
        buf_lit(report, "the token could not be signed\n");
    buf_lit(text, "\n");
    if (k.secret.p)
        OPENSSL_cleanse(k.secret.p, k.secret.cap);
    buf_deinit(&k.secret);
    EVP_PKEY_free(k.pkey);
    buf_deinit(&claims);
    return ok && !text->failed;
}

bool token_command(int argc, char **argv, char **env, struct buf *text, struct buf *report)
{
    struct order order = {0};
    struct options *o = NULL;
    bool ok = take_words(&order, &argc, argv, report) && options_load(&o, argc, argv, env, report);
    if (ok && *order.room && order.rooms_count) {
        buf_lit(report, "--room is for a subscription, --rooms for a connection: give one\n");
        ok = false;
    }
    ok = ok && make(&order, o, text, report);
    options_free(o);
    for (size_t i = 0; i < WORD_COUNT; i++)
        option_clear(&WORDS[i], &order);
    return ok;
}

void token_command_help(struct buf *text)
{
    static const struct option_section none = {.name = ""};
    buf_lit(text, "  madang token --jwt-hmac-secret-file secret --user 42\n\n"
                  "The secret, audience, issuer and user claim are those of serve: from options,\n"
                  "variables and a file given with --config.\n\n");
    for (size_t i = 0; i < WORD_COUNT; i++) {
        buf_lit(text, "  ");
        option_flag(&none, &WORDS[i], text);
        buf_lit(text, " ");
        option_argument(&WORDS[i], text);
        buf_fmt(text, "\n      %s\n", WORDS[i].help);
        if (*WORDS[i].initial)
            buf_fmt(text, "      Default: %s.\n", WORDS[i].initial);
    }
}
