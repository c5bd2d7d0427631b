/* SPDX-License-Identifier: MIT */
/* fuzz_api.c: bodies of calls of the server API, while two clients are connected.
 *
 * An input is calls, each a byte that says which method and how (see `how`), and a body that ends
 * with a NUL byte. Whatever they are: each is refused at once, or answered once with JSON, or was
 * abandoned; the clients get whole lines and known closes; and nothing is left.
 */
#include "backplane/base/map.h"
#include "gateway/api.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/gateway_kit.h"

enum how {
    HOW_METHOD = 0x0F,    /* one of `methods` */
    HOW_TRANSPORT = 0x10, /* errors are told by the status */
    HOW_ABANDON = 0x20,   /* nobody waits for the answer */
    HOW_NO_TURN = 0x40,   /* the next call comes in the same turn */
    HOW_READER = 0x80,    /* the key is for reading only */
};

static const char *const methods[] = {
    "",          "publish",        "broadcast",  "batch",
    "subscribe", "unsubscribe",    "disconnect", "presence",
    "history",   "history_remove", "refresh",    "channels",
    "info",      "presence_stats", "rpc",        "",
};

static unsigned begun, answered;

static void check_answer(void *owner, int status, struct buf *json)
{
    struct span value, rest = {json->p, json->n};
    must(owner == &answered && !json->failed && status >= 200 && status <= 503);
    for (const char *end; (end = memchr(rest.p, '\n', rest.n));) { /* the older way */
        must(json_document((struct span){rest.p, (size_t)(end - rest.p)}, JSON_MAX_DEPTH, &value));
        rest = (struct span){end + 1, rest.n - (size_t)(end + 1 - rest.p)};
        if (!rest.n)
            break;
    }
    must(!rest.n || json_document(rest, JSON_MAX_DEPTH, &value));
    buf_deinit(json);
    answered++;
}

static void call(struct span body, unsigned how)
{
    struct api_call *c = NULL;
    struct api_ask ask = {
        .method = span_str(methods[how & HOW_METHOD]),
        .scopes = how & HOW_READER ? SCOPE_READ : SCOPE_ALL,
        .transport_errors = how & HOW_TRANSPORT,
        .answer = check_answer,
        .owner = &answered,
    };
    buf_span(&ask.body, body);
    must(!ask.method.n || api_knows(ask.method));
    int status = api_begin(&c, kit_hub, &ask);
    must(status == 0 || status == 400 || status == 503);
    must((status == 0) == (c != NULL));
    begun += !status && !(how & HOW_ABANDON);
    if (c && how & HOW_ABANDON)
        api_abandon(c);
    buf_deinit(&ask.body);
    if (!(how & HOW_NO_TURN))
        kit_turn();
}

static struct options *small_options(void)
{
    struct options *o = NULL;
    struct buf report = {0};
    must(options_load_text(&o, "fuzz",
                           SPAN("[gateway]\nauth = insecure\n[client]\ncredits = 3\n"
                                "channel_limit = 4\nhistory_bytes = 8KiB\n[hub]\ncredits = 5\n"
                                "inbox_bytes = 4KiB\n[api]\ncalls = 6\n[backplane]\n"
                                "max_rooms = 10\n[rooms news]\nhistory_size = 4\n"
                                "[rooms bare]\nhistory_size = 0\npresence = false\n"),
                           &report));
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool seeded;
    static struct lws clients[2];
    if (!seeded)
        map_seed();
    seeded = kit_orders = true;
    begun = answered = 0;
    struct options *o = small_options();
    kit_open(o);
    must(client_open(&clients[0]) && client_open(&clients[1]));
    for (int i = 0; i < 2; i++)
        client_send(&clients[i], "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":"
                                 "\"a\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"bare:b\"}}");
    struct span rest = {(const char *)data, size};
    while (rest.n) {
        unsigned how = (unsigned char)rest.p[0];
        const char *end = memchr(rest.p + 1, 0, rest.n - 1);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        call((struct span){rest.p + 1, n - 1}, how);
        size_t used = end ? n + 1 : n;
        rest = (struct span){rest.p + used, rest.n - used};
    }
    kit_rest(clients, 2);
    must(begun == answered && !kit_hub->api.calls && !kit_hub->api.bytes);
    client_deinit(&clients[0]);
    client_deinit(&clients[1]);
    kit_close();
    return 0;
}
