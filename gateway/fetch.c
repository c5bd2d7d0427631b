/* SPDX-License-Identifier: MIT */
#include "gateway/fetch.h"

#include "backplane/base/count.h"

#include "gateway/transfer.h"

#include <curl/curl.h>

#define REDIRECTS_MAX 3L

struct sink {
    const struct fetch_limits *limits;
    struct buf *body;
    size_t begin;
    bool too_long;
};

void fetch_global_init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *p, size_t size, size_t n, void *data)
{
    struct sink *sink = data;
    sink->too_long = sink->body->n - sink->begin + size * n > sink->limits->bytes;
    if (sink->too_long)
        return 0;
    buf_add(sink->body, p, size * n);
    return sink->body->failed ? 0 : size * n;
}

static int progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct sink *sink = data;
    (void)a, (void)b, (void)c, (void)d;
    return sink->limits->cancel && atomic_load(sink->limits->cancel);
}

static CURLcode configure(CURL *curl, const char *url, struct sink *sink)
{
    static const struct transfer_number numbers[] = {
        {CURLOPT_NOPROGRESS, 0},
        {CURLOPT_FOLLOWLOCATION, 1},
        {CURLOPT_MAXREDIRS, REDIRECTS_MAX},
        {CURLOPT_HTTPGET, 1},
    };
    CURLcode rc = transfer_begin(curl, url, sink->limits->ms, numbers, COUNT_OF(numbers));
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
    return rc ? rc : curl_easy_setopt(curl, CURLOPT_XFERINFODATA, sink);
}

bool fetch(const char *url, const struct fetch_limits *limits, struct buf *body, struct buf *why)
{
    struct sink sink = {limits, body, body->n, false};
    long status = 0;
    CURL *curl = curl_easy_init();
    CURLcode rc = curl ? configure(curl, url, &sink) : CURLE_OUT_OF_MEMORY;
    rc = rc ? rc : curl_easy_perform(curl);
    rc = rc ? rc : curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (sink.too_long)
        buf_fmt(why, "it has more than %zu bytes", limits->bytes);
    else if (rc)
        buf_str(why, curl_easy_strerror(rc));
    else if (status != 200)
        buf_fmt(why, "the answer is %ld, not 200", status);
    bool ok = !rc && status == 200;
    if (!ok)
        body->n = sink.begin;
    return ok;
}
