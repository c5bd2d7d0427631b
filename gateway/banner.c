/* SPDX-License-Identifier: MIT */
#include "gateway/banner.h"

#include "backplane/base/log.h"
#include "gateway/acceptor.h"

#include <stdio.h>
#include <unistd.h>

static const char *auth_words(enum auth_mode mode)
{
    static const char *const words[] = {
        [AUTH_GUEST] =
            "guest: everyone who reaches this address may chat, under a name of their own",
        [AUTH_INSECURE] = "insecure: everyone may do everything; for tests and load runs only",
        [AUTH_JWT] = "jwt: who shows a token may do what its rules and the token say",
    };
    return words[mode];
}

static void print_addresses(const struct acceptor *a)
{
    struct buf text = {0};
    if (acceptor_port(a))
        buf_fmt(&text, "  page    http://localhost:%u\n", acceptor_port(a));
    buf_lit(&text, "  listen  ");
    acceptor_addresses(a, false, &text);
    buf_char(&text, '\n');
    size_t before = text.n;
    acceptor_addresses(a, true, &text);
    if (text.n > before) {
        text.n = before;
        buf_lit(&text, "  internal ");
        acceptor_addresses(a, true, &text);
        buf_char(&text, '\n');
    }
    printf("%.*s", (int)text.n, text.p ? text.p : "");
    buf_deinit(&text);
}

void banner_print(const struct gateway *g)
{
    const struct options *o = g->settings->options;
    printf("madang " MADANG_VERSION " is ready\n\n");
    print_addresses(g->acceptor);
    printf("  auth    %s\n"
           "  store   none: rooms live in memory and end with this process\n"
           "  hubs    %u\n"
           "  stop    Ctrl+C, or kill %ld\n\n",
           auth_words(o->auth), g->hub_count, (long)getpid());
    (void)fflush(stdout);
    if (o->auth != AUTH_JWT && options_listens_beyond_loopback(o))
        log_warn("listening beyond this machine with auth %s: anyone who can connect is let in",
                 o->auth == AUTH_GUEST ? "guest" : "insecure");
}
