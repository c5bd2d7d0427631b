/* SPDX-License-Identifier: MIT */
#include "gateway/http_client.h"

#include "backplane/base/count.h"
#include "backplane/base/loop.h"
#include "gateway/reach.h"
#include "gateway/transfer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_CONNECTIONS_MAX 32L
_Static_assert(HTTP_WHY_MAX >= CURL_ERROR_SIZE, "the library writes there");

/* A libuv handle of its own memory: it is closed later than whoever needed it is gone. */
struct watch {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

struct http_client {
    struct actor actor;
    struct http_client_config config;
    CURLM *multi;
    uv_timer_t *clock;
    struct list waiting, running, ended; /* struct http_call */
    size_t count;
};

/* ---- ends ----------------------------------------------------------------------------------- */

/* Lets go of what the call holds; its answer stays. */
static void let_go(struct http_call *c)
{
    if (c->easy)
        (void)curl_multi_remove_handle(c->client->multi, c->easy);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->header_list);
    free(c->host);
    c->easy = c->header_list = c->host = NULL;
}

static void end(struct http_call *c, enum http_end how, const char *why)
{
    let_go(c);
    c->end = how;
    if (why)
        (void)snprintf(c->why, sizeof(c->why), "%s", why);
    list_del(&c->link);
    list_push(&c->client->ended, &c->link);
    loop_again(c->client->config.loop);
}

/* What the library says of a transfer that is over. */
static void conclude(struct http_call *c, CURLcode code)
{
    long status = 0;
    curl_off_t after = 0;
    char why[HTTP_WHY_MAX];
    const char *words = c->client->config.unix_path ? transfer_socket_why(c->easy, code) : NULL;

    if (!words)
        words = *c->why ? c->why : curl_easy_strerror(code);
    (void)snprintf(why, sizeof(why), "%s", words);
    if (!curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) && status > 0)
        c->status = (uint32_t)status;
    if (!curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after) && after > 0)
        c->retry_after_ms = (uint64_t)after * 1000;
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && c->cut))
        end(c, HTTP_ANSWERED, NULL);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        end(c, HTTP_TIMEOUT, why);
    else if (c->kept_out && !c->connected)
        end(c, HTTP_REFUSED, "the address is private or reserved, and not allowed");
    else if (code == CURLE_URL_MALFORMAT)
        end(c, HTTP_BAD_URL, why);
    else
        end(c, HTTP_FAILED, why);
}

static void collect(struct http_client *client)
{
    int left;
    CURLMsg *m;

    while ((m = curl_multi_info_read(client->multi, &left))) {
        char *call = NULL;
        if (m->msg == CURLMSG_DONE && !curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call) &&
            call)
            conclude((struct http_call *)(void *)call, m->data.result);
    }
}

/* ---- the library on the loop ---------------------------------------------------------------- */

static void free_handle(uv_handle_t *h)
{
    free(h);
}

static void on_clock(uv_timer_t *t)
{
    struct http_client *client = t->data;
    int running;

    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(client);
}

static int set_clock(CURLM *multi, long ms, void *data)
{
    struct http_client *client = data;

    (void)multi;
    if (ms < 0)
        (void)uv_timer_stop(client->clock);
    else
        (void)uv_timer_start(client->clock, on_clock, (uint64_t)ms, 0);
    return 0;
}

static void on_socket(uv_poll_t *p, int status, int events)
{
    struct watch *w = (struct watch *)p;
    struct http_client *client = w->client; /* the watch may go meanwhile */
    int what = status < 0 ? CURL_CSELECT_ERR : 0, running;

    what |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    what |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    (void)curl_multi_socket_action(client->multi, w->fd, what, &running);
    collect(client);
}

static struct watch *watch_new(struct http_client *client, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->client = client;
    w->fd = fd;
    if (uv_poll_init(&client->config.loop->uv, &w->poll, fd)) {
        free(w);
        return NULL;
    }
    return w;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
    struct http_client *client = data;
    struct watch *w = known;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w)
            uv_close((uv_handle_t *)&w->poll, free_handle); /* the poll is its first member */
        (void)curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (!w && !(w = watch_new(client, fd)))
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    (void)curl_multi_assign(client->multi, fd, w);
    return uv_poll_start(&w->poll, events, on_socket) ? -1 : 0;
}

/* ---- one call ------------------------------------------------------------------------------- */

static size_t take_body(char *p, size_t size, size_t n, void *data)
{
    struct http_call *c = data;
    size_t room = c->answer_max - c->answer.n, bytes = size * n;

    c->cut = bytes > room;
    buf_add(&c->answer, p, c->cut ? room : bytes);
    return c->cut || c->answer.failed ? 0 : bytes;
}

/* The one place where an address is turned into a connection. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct http_call *c = data;
    const struct reach *reach = c->client->config.reach;
    struct address a = address_of(&to->addr);

    (void)purpose;
    if (reach && !reach_has(reach, &a)) {
        c->kept_out = true;
        return CURL_SOCKET_BAD;
    }
    c->connected = true;
    return socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);
}

static bool add_header(struct http_call *c, const char *line)
{
    struct curl_slist *longer = curl_slist_append(c->header_list, line);

    if (longer)
        c->header_list = longer;
    return longer != NULL;
}

static bool add_headers(struct http_call *c)
{
    bool ok = add_header(c, "Expect:"); /* else a large body waits for leave to be sent */

    for (size_t i = 0; ok && i < c->header_count; i++)
        ok = add_header(c, c->headers[i]);
    return ok;
}

static CURLcode set_numbers(struct http_call *c, long ms)
{
    const struct transfer_number numbers[] = {
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_POST, 1},
        {CURLOPT_CONNECTTIMEOUT_MS, ms},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
#if LIBCURL_VERSION_NUM >= 0x075700
        {CURLOPT_QUICK_EXIT, 1}, /* a name that is being looked up does not hold up a cancel */
#endif
    };
    return transfer_begin(c->easy, c->url, ms, numbers, COUNT_OF(numbers));
}

static CURLcode set_texts(struct http_call *c)
{
    const struct http_client_config *config = &c->client->config;
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        {CURLOPT_UNIX_SOCKET_PATH, config->unix_path},
        {CURLOPT_CAINFO, config->ca_file},
        {CURLOPT_POSTFIELDS, c->body.n ? c->body.p : ""},
    };
    CURLcode rc = curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.n);
    for (size_t i = 0; !rc && i < COUNT_OF(texts); i++)
        if (texts[i].value)
            rc = curl_easy_setopt(c->easy, texts[i].option, texts[i].value);
    return rc;
}

static CURLcode set_callbacks(struct http_call *c)
{
    CURLcode rc = curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
    rc = rc ? rc : curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->why);
    rc = rc ? rc : curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, take_body);
    rc = rc ? rc : curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    rc = rc ? rc : curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    rc = rc ? rc : curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c);
    return rc ? rc : curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->header_list);
}

static void start(struct http_call *c)
{
    struct http_client *client = c->client;

    list_del(&c->link);
    list_push(&client->running, &c->link);
    c->easy = curl_easy_init();
    CURLcode rc = c->easy && add_headers(c) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    rc = rc ? rc : set_numbers(c, (long)c->timeout_ms);
    rc = rc ? rc : set_texts(c);
    rc = rc ? rc : set_callbacks(c);
    if (!rc && curl_multi_add_handle(client->multi, c->easy))
        rc = CURLE_OUT_OF_MEMORY;
    if (rc)
        end(c, rc == CURLE_URL_MALFORMAT ? HTTP_BAD_URL : HTTP_FAILED, curl_easy_strerror(rc));
}

/* "host:port", to be freed; NULL: the URL is none that can be called. */
static char *host_of(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *both = NULL;
    bool ok = u && !curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) &&
              !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
              !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
              !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (ok && asprintf(&both, "%s:%s", host, port) < 0)
        both = NULL;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    return both;
}

bool http_url_is(const char *url)
{
    char *host = host_of(url);
    free(host);
    return host != NULL;
}

static bool has_room(const struct http_client *client, const char *host)
{
    uint32_t same = 0, most = client->config.per_host;

    for (const struct list *l = client->running.next; most && l != &client->running; l = l->next)
        same += strcasecmp(container_of(l, struct http_call, link)->host, host) == 0;
    return !most || same < most;
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* Starts whose host has room, first come first served. */
static void serve_waiting(struct http_client *client)
{
    for (struct list *l = client->waiting.next, *next; l != &client->waiting; l = next) {
        struct http_call *c = container_of(l, struct http_call, link);
        next = l->next;
        if (!c->host)
            end(c, HTTP_BAD_URL, "not a URL that begins with http:// or https://");
        else if (has_room(client, c->host))
            start(c);
    }
}

static bool turn(struct actor *a)
{
    struct http_client *client = container_of(a, struct http_client, actor);
    struct list *l;

    serve_waiting(client);
    while ((l = list_shift(&client->ended))) {
        struct http_call *c = container_of(l, struct http_call, link);
        client->count--;
        if (!list_empty(&client->waiting))
            loop_again(client->config.loop);
        c->done(c);
    }
    return false;
}

/* ---- doors ---------------------------------------------------------------------------------- */

void http_client_begin(struct http_client *client, struct http_call *c)
{
    c->client = client;
    c->host = host_of(c->url);
    c->end = HTTP_FAILED;
    c->status = 0;
    c->cut = c->connected = c->kept_out = false;
    c->retry_after_ms = 0;
    c->why[0] = '\0';
    c->easy = c->header_list = NULL;
    client->count++;
    list_push(&client->waiting, &c->link);
    loop_again(client->config.loop);
}

void http_client_cancel(struct http_call *c)
{
    let_go(c);
    list_del(&c->link);
    c->client->count--;
    loop_again(c->client->config.loop); /* another one may have its place */
}

static bool make_multi(struct http_client *client)
{
    CURLM *m = client->multi = curl_multi_init();

    return m && !curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, set_socket) &&
           !curl_multi_setopt(m, CURLMOPT_SOCKETDATA, client) &&
           !curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, set_clock) &&
           !curl_multi_setopt(m, CURLMOPT_TIMERDATA, client) &&
           !curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
}

struct http_client *http_client_new(const struct http_client_config *config)
{
    struct http_client *client = calloc(1, sizeof(*client));

    if (!client)
        return NULL;
    client->config = *config;
    list_init(&client->waiting);
    list_init(&client->running);
    list_init(&client->ended);
    client->actor.turn = turn;
    client->clock = malloc(sizeof(*client->clock));
    if (!client->clock || uv_timer_init(&config->loop->uv, client->clock)) {
        free(client->clock);
        free(client);
        return NULL;
    }
    client->clock->data = client;
    loop_add(config->loop, &client->actor);
    if (make_multi(client))
        return client;
    http_client_free(client);
    return NULL;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    if (client->multi)
        (void)curl_multi_cleanup(client->multi);
    uv_close((uv_handle_t *)client->clock, free_handle);
    loop_remove(client->config.loop, &client->actor);
    free(client);
}
