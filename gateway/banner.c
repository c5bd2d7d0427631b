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

static void print_rooms(const struct options *o)
{
    if (o->backplane == BACKPLANE_REDIS)
        printf("  rooms   redis: shared with every gateway of the same server and prefix\n");
    else if (options_have_store(o))
        printf("  rooms   local: they are kept in %s\n", o->store);
    else
        printf("  rooms   local: they live in memory and end with this process\n");
}

/* A certificate is for a name. */
static void write_page(const struct gateway *g, struct buf *text)
{
    const struct settings *s = g->settings;
    const char *host = s->certificate && s->options->public_names_count
                           ? s->options->public_names[0]
                           : "localhost";
    if (acceptor_port(g->acceptor))
        buf_fmt(text, "  page    http%s://%s:%u\n", s->certificate ? "s" : "", host,
                acceptor_port(g->acceptor));
}

static void print_addresses(const struct gateway *g)
{
    const struct acceptor *a = g->acceptor;
    struct buf text = {0};
    write_page(g, &text);
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

static void warn(const struct gateway *g)
{
    const struct options *o = g->settings->options;
    struct buf text = {0};
    settings_warn(g->settings, &text);
    if (text.n)
        log_warn("%.*s", (int)text.n - 1, text.p);
    buf_deinit(&text);
    if (o->auth != AUTH_JWT && options_listens_beyond_loopback(o))
        log_warn("listening beyond this machine with auth %s: anyone who can connect is let in",
                 o->auth == AUTH_GUEST ? "guest" : "insecure");
}

void banner_print(const struct gateway *g)
{
    const struct options *o = g->settings->options;
    printf("madang " MADANG_VERSION " is ready\n\n");
    print_addresses(g);
    printf("  auth    %s\n", auth_words(o->auth));
    print_rooms(o);
    printf("  hubs    %u\n"
           "  stop    Ctrl+C, or kill %ld\n\n",
           g->hub_count, (long)getpid());
    (void)fflush(stdout);
    warn(g);
}
