/* SPDX-License-Identifier: MIT */
/* options_jwt.c: the table of the section [jwt]. */
#include "gateway/options_table.h"

#include "gateway/options.h"

#include <string.h>

#define GATEWAY(field)      OPTION_FIELD(struct options, field)
#define GATEWAY_LIST(field) OPTION_LIST_FIELD(struct options, field)

#define FILES_MAX 16

static bool is_source(const char *text)
{
    return !strstr(text, "://") || strncmp(text, "http://", 7) == 0 ||
           strncmp(text, "https://", 8) == 0;
}

static bool is_file(const char *text)
{
    return *text != '\0';
}

#define TEXT(key_, field_, argument_, help_)                                                       \
    {                                                                                              \
        .key = key_, .type = OPTION_STRING, GATEWAY(field_), .argument = argument_, .initial = "", \
        .help = help_,                                                                             \
    }

#define SECRET(key_, field_, help_)                                                                \
    {                                                                                              \
        .key = key_, .type = OPTION_STRING, GATEWAY(field_), .secret = true, .argument = "SECRET", \
        .initial = "", .help = help_,                                                              \
    }

#define JWKS(key_, field_, help_)                                                                  \
    {                                                                                              \
        .key = key_, .type = OPTION_STRING, GATEWAY(field_), .check = is_source,                   \
        .allowed = "a path, or a URL that begins with http:// or https://",                        \
        .argument = "FILE|URL", .initial = "", .help = help_,                                      \
    }

#define KEY_FILES(key_, field_, help_)                                                             \
    {                                                                                              \
        .key = key_, .type = OPTION_LIST, GATEWAY_LIST(field_), .max = FILES_MAX,                  \
        .check = is_file, .allowed = "paths without spaces and commas", .argument = "FILE …",      \
        .initial = "", .help = help_,                                                              \
    }

const struct option jwt_options[JWT_OPTION_COUNT] = {
    TEXT("audience", jwt_audience, "NAME", "What `aud` must be, or hold."),
    SECRET("hmac_previous_secret", jwt.hmac_previous_secret,
           "A secret that was replaced but is still accepted."),
    TEXT("hmac_previous_secret_file", jwt.hmac_previous_secret_file, "FILE",
         "A file with that secret."),
    SECRET("hmac_secret", jwt.hmac_secret,
           "The secret of tokens signed with HS256, HS384 or HS512. On the command line others can "
           "see it: better use a file."),
    TEXT("hmac_secret_file", jwt.hmac_secret_file, "FILE",
         "A file with that secret; the end of its line does not count."),
    TEXT("issuer", jwt_issuer, "NAME", "What `iss` must be."),
    JWKS("jwks", jwt.jwks, "A JWK set with keys for RS and ES tokens."),
    {
        .key = "jwks_cooldown",
        .type = OPTION_DURATION,
        GATEWAY(jwks_cooldown_ms),
        .min = SECONDS(1),
        .max = HOURS(1),
        .initial = "10s",
        .help = "A token with an unknown key makes JWK sets be read again, but not more often than "
                "this.",
    },
    {
        .key = "jwks_refresh",
        .type = OPTION_DURATION,
        GATEWAY(jwks_refresh_ms),
        .min = SECONDS(1),
        .max = HOURS(24),
        .initial = "10m",
        .help = "How often JWK sets are read again. Should that fail, the keys read last stay in "
                "use.",
    },
    KEY_FILES("public_key_files", jwt.public_key_files,
              "Files with an RSA or EC public key each, in PEM, for RS and ES tokens."),
    SECRET("subscription_hmac_previous_secret", subscription_jwt.hmac_previous_secret,
           "As hmac_previous_secret, for subscription tokens."),
    TEXT("subscription_hmac_previous_secret_file", subscription_jwt.hmac_previous_secret_file,
         "FILE", "A file with that secret."),
    SECRET("subscription_hmac_secret", subscription_jwt.hmac_secret,
           "As hmac_secret, for subscription tokens."),
    TEXT("subscription_hmac_secret_file", subscription_jwt.hmac_secret_file, "FILE",
         "A file with that secret."),
    JWKS("subscription_jwks", subscription_jwt.jwks, "As jwks, for subscription tokens."),
    KEY_FILES("subscription_public_key_files", subscription_jwt.public_key_files,
              "As public_key_files, for subscription tokens."),
    TEXT("user_claim", jwt_user_claim, "CLAIM", "The claim that names the user, instead of `sub`."),
};
