/* SPDX-License-Identifier: MIT */
/* options_tls.c: the table of the section [tls]. */
#include "gateway/options_table.h"

#include "gateway/options.h"

#define GATEWAY(field) OPTION_FIELD(struct options, field)

const struct option tls_options[TLS_OPTION_COUNT] = {
    {
        .key = "cert",
        .type = OPTION_STRING,
        GATEWAY(tls_cert),
        .argument = "FILE",
        .initial = "",
        .help = "A file with the certificate in PEM, and behind it those that lead to whom "
                "browsers trust. With it, the addresses of listen speak TLS, but for unix sockets.",
    },
    {
        .key = "key",
        .type = OPTION_STRING,
        GATEWAY(tls_key),
        .argument = "FILE",
        .initial = "",
        .help = "A file with its private key in PEM, without a passphrase.",
    },
};
