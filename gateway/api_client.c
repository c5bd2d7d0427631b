/* SPDX-License-Identifier: MIT */
#include "gateway/api_client.h"

#include "backplane/base/count.h"
#include "backplane/base/err.h"
#include "gateway/fetch.h"
#include "gateway/store_socket.h"
#include "gateway/transfer.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 60000L /* a take may wait for half of it */
#define ANSWER_MAX      ((size_t)64 * 1024 * 1024)

static size_t receive(char *p, size_t size, size_t n, void *data)
{
    struct buf *b = data;
    if (b->n + size * n > ANSWER_MAX)
        return 0;
    buf_add(b, p, size * n);
    return b->failed ? 0 : size * n;
}

/* One POST, and what there is to say of it. */
struct call {
    CURL *curl;
    struct curl_slist *headers;
    struct buf url, answer;
    char socket[PATH_MAX]; /* "": by the url */
    char words[CURL_ERROR_SIZE];
    long status;
    bool only_store, has_key;
};

static bool add_header(struct call *c, const char *name, const char *value)
{
    struct buf line = {0};
    buf_fmt(&line, "%s: %s", name, value);
    buf_char(&line, '\0');
    struct curl_slist *more = line.failed ? NULL : curl_slist_append(c->headers, line.p);
    c->headers = more ? more : c->headers;
    buf_deinit(&line);
    return more != NULL;
}

static bool address(struct call *c, const struct api_client *to, const char *method,
                    struct buf *why)
{
    const char *base = to->url ? to->url : "http://localhost";
    size_t n = strlen(base);
    if (!to->url && !store_socket_path(to->store, c->socket)) {
        buf_fmt(why, "there is no folder for %s", to->store);
        return false;
    }
    buf_fmt(&c->url, "%.*s/api/%s", (int)(n && base[n - 1] == '/' ? n - 1 : n), base, method);
    buf_char(&c->url, '\0');
    bool well = !c->url.failed && add_header(c, "Content-Type", "application/json") &&
                (!to->key || add_header(c, "X-API-Key", to->key));
    if (!well)
        buf_lit(why, "out of memory");
    return well;
}

static CURLcode perform(struct call *c, const char *body)
{
    const struct transfer_number numbers[] = {
        {CURLOPT_POST, 1},
        {CURLOPT_POSTFIELDSIZE, (long)strlen(body)},
    };
    CURLcode rc = transfer_begin(c->curl, c->url.p, CALL_TIMEOUT_MS, numbers, COUNT_OF(numbers));
    rc = rc ? rc : curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
    rc = rc ? rc : curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    rc = rc ? rc : curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->words);
    rc = rc ? rc : curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, receive);
    rc = rc ? rc : curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &c->answer);
    if (!rc && *c->socket)
        rc = curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    rc = rc ? rc : curl_easy_perform(c->curl);
    return rc ? rc : curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
}

/* No answer, or one that is no JSON. */
static void explain(const struct call *c, CURLcode rc, struct buf *why)
{
    const char *words = *c->socket ? transfer_socket_why(c->curl, rc) : NULL;
    if (rc && *c->socket)
        buf_fmt(why,
                "no gateway answers at %s (%s). Is one running with this store? Name another with "
                "--store FILE%s",
                c->socket, words ? words : curl_easy_strerror(rc),
                c->only_store ? "" : ", or say --url and --api-key");
    else if (rc)
        buf_fmt(why, "%s: %s", c->url.p, *c->words ? c->words : curl_easy_strerror(rc));
    else if (c->status == 401)
        buf_str(why, c->has_key ? "the gateway does not know this key; see --api-key"
                                : "the gateway asks for a key: say --api-key");
    else
        buf_fmt(why, "%s answered %ld: %.*s", c->url.p, c->status,
                (int)(c->answer.n < 200 ? c->answer.n : 200), c->answer.p ? c->answer.p : "");
    while (why->n && why->p[why->n - 1] == '\n')
        why->n--;
}

static void say_error(const json_t *error, struct buf *why)
{
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    buf_fmt(why, "error %" JSON_INTEGER_FORMAT ": %s%s", code,
            json_string_value(json_object_get(error, "message")),
            code == ERR_INTERNAL ? " (the log of the gateway says why)" : "");
}

/* The result in the answer; NULL: an error. */
static json_t *read_answer(const struct call *c, struct buf *why)
{
    json_t *all = json_loadb(c->answer.p ? c->answer.p : "", c->answer.n, JSON_ALLOW_NUL, NULL);
    json_t *result = json_object_get(all, "result");
    const json_t *error = json_object_get(all, "error");
    if (result)
        json_incref(result);
    else if (error)
        say_error(error, why);
    else
        explain(c, CURLE_OK, why);
    json_decref(all);
    return result;
}

json_t *api_client_call(const struct api_client *to, const char *method, const json_t *params,
                        struct buf *why)
{
    struct call c = {.only_store = to->only_store, .has_key = to->key != NULL};
    json_t *result = NULL;
    char *body = json_dumps(params, JSON_COMPACT);
    fetch_global_init();
    c.curl = curl_easy_init();
    if (!body || !c.curl)
        buf_lit(why, "out of memory");
    else if (address(&c, to, method, why)) {
        CURLcode rc = perform(&c, body);
        if (rc)
            explain(&c, rc, why);
        else
            result = read_answer(&c, why);
    }
    curl_easy_cleanup(c.curl);
    curl_slist_free_all(c.headers);
    buf_deinit(&c.url);
    buf_deinit(&c.answer);
    free(body);
    return result;
}
