/* SPDX-License-Identifier: MIT */
#include "gateway/transfer.h"

#include "backplane/base/count.h"

#include <string.h>

static CURLcode set_numbers(CURL *curl, const struct transfer_number *numbers, size_t count)
{
    CURLcode rc = CURLE_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
    return rc;
}

CURLcode transfer_begin(CURL *curl, const char *url, long ms, const struct transfer_number *numbers,
                        size_t count)
{
    const struct transfer_number common[] = {{CURLOPT_NOSIGNAL, 1}, {CURLOPT_TIMEOUT_MS, ms}};
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_URL, url);
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_PROXY, "");
    rc = rc ? rc : curl_easy_setopt(curl, CURLOPT_USERAGENT, "madang/" MADANG_VERSION);
    rc = rc ? rc : set_numbers(curl, common, COUNT_OF(common));
    return rc ? rc : set_numbers(curl, numbers, count);
}

const char *transfer_socket_why(CURL *curl, CURLcode code)
{
    long error = 0;
    if (code != CURLE_COULDNT_CONNECT || curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error))
        return NULL;
    return error > 0 ? strerrordesc_np((int)error) : NULL;
}
