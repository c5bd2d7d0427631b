/* SPDX-License-Identifier: MIT */
#include "gateway/left_out.h"

#include "tests/unit/options_kit.h"

struct row {
    const char *name, *feature;
};

static void names_of_what_is_left_out_are_known(void **state)
{
    static const struct row rows[] = {
        {"allow_tags_filter", "tags filters"},
        {"--rooms-allow-tags-filter", "tags filters"},
        {"ROOMS_ALLOW_TAGS_FILTER", "tags filters"},
        {"map", "maps"},
        {"map_clients_presence_channel_prefix", "maps"},
        {"map_publish", "maps"},
        {"subscription_type", "maps and shared polls"},
        {"shared_poll_publish", "shared polls"},
        {"proxies", "backend proxies"},
        {"client.proxy.connect", "backend proxies"},
        {"subscribe_stream_proxy_enabled", "backend proxies"},
        {"websocket_protobuf", "protobuf"},
        {"/connection/http_stream", "HTTP fallbacks"},
        {"/connection/sse", "HTTP fallbacks"},
        {"/emulation", "HTTP fallbacks"},
        {"uni_sse", "HTTP fallbacks"},
        {"uni_websocket", "unidirectional transports"},
        {"grpc_api", "gRPC"},
        {"webtransport", "WebTransport"},
        {"eddsa_public_key", "EdDSA"},
        {"Ed25519", "EdDSA"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *feature = left_out(span_str(rows[i].name));
        if (!feature || strcmp(feature, rows[i].feature) != 0)
            fail_msg("%s is said to be of %s", rows[i].name, feature ? feature : "nothing");
    }
}

static void words_count_as_a_whole_only(void **state)
{
    static const char *const names[] = {
        "",
        "mapped",
        "bitmap",
        "heatmap_x",
        "unit",
        "sse4",
        "asset",
        "proxied",
        "trusted_proxys",
        "trused_proxies",
        "trusted_proxy",
        "proxy_protocol",
        "presence",
        "tags_filters",
        "tagsfilter",
        "/",
        "--",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (left_out(span_str(names[i])))
            fail_msg("%s is said to be of %s", names[i], left_out(span_str(names[i])));
}

static void options_of_it_are_refused_by_name(void **state)
{
    (void)state;
    refuse_text("[rooms chat]\nallow_tags_filter = on\n",
                "x.ini:2: unknown option \"allow_tags_filter\" in [rooms]; not offered: tags "
                "filters\n");
    refuse_text("[http_stream]\nenabled = on\n",
                "x.ini:1: unknown section \"http_stream\"; not offered: HTTP fallbacks\n");
    refuse_text("[map]\n", "x.ini:1: unknown section \"map\"; not offered: maps\n");
    refuse_flags(WORDS("--uni-websocket", "on"),
                 "unknown option \"--uni-websocket\"; not offered: unidirectional transports\n");
    refuse_env(WORDS("MADANG_CLIENT_PROXY_CONNECT_ENDPOINT=http://x"),
               "MADANG_CLIENT_PROXY_CONNECT_ENDPOINT: unknown variable; not offered: backend "
               "proxies\n");
}

static void variables_of_services_of_such_names_are_left_alone(void **state)
{
    struct buf report = {0};
    (void)state;
    struct options *o = load(
        NULL, WORDS("MADANG_PROXY_SERVICE_HOST=10.0.0.1", "MADANG_MAP_PORT_80_TCP_ADDR=10.0.0.2"),
        &report);
    assert_non_null(o);
    options_free(o);
    buf_deinit(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_what_is_left_out_are_known),
        cmocka_unit_test(words_count_as_a_whole_only),
        cmocka_unit_test(options_of_it_are_refused_by_name),
        cmocka_unit_test(variables_of_services_of_such_names_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
