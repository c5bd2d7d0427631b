/* SPDX-License-Identifier: MIT */
#include "load/dialogue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "load/insist.h"
#include "load/swarm.h"

enum {
    ID_CONNECT = 1,
    ID_SUBSCRIBE = 2,  /* and the seat's place */
    ID_PUBLISH = 1000, /* and the flight */
    SHOWN = 120,
};

static size_t put_subscribe(const struct swarm *swarm, const struct seat *seat, uint32_t place,
                            char *out, size_t size)
{
    const struct options *opt = swarm->opt;
    const struct room *room = &swarm->check->rooms[seat->room];
    int n =
        snprintf(out, size, "\n{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"%s%s",
                 ID_SUBSCRIBE + place, room->name, opt->join_leave ? ",\"join_leave\":true" : "",
                 opt->recover ? ",\"recoverable\":true,\"positioned\":true" : "");
    if (opt->recover && seat->joined)
        n += snprintf(out + n, size - (size_t)n,
                      ",\"recover\":true,\"offset\":%" PRIu64 ",\"epoch\":\"%s\"",
                      room->base + seat->index, room->epoch);
    return (size_t)n + (size_t)snprintf(out + n, size - (size_t)n, "}}");
}

void dialogue_greet(struct swarm *swarm, struct client *client)
{
    char *out = swarm->scratch;
    size_t n = (size_t)snprintf(out, SWARM_SCRATCH, "{\"id\":%d,\"connect\":%s}", ID_CONNECT,
                                swarm->opt->connect);
    client->replies = 0;
    if (check_listens(swarm->opt, client->number)) {
        const struct seat *seats = check_seats(swarm->check, client->number);
        for (uint32_t i = 0; i < swarm->check->seats_per_session; i++, client->replies++)
            n += put_subscribe(swarm, &seats[i], i, out + n, SWARM_SCRATCH - n);
    }
    client_set_state(swarm, client, CLIENT_GREETING);
    client_send(swarm, client, WIRE_TEXT, out, n);
}

/* Only what insists may be refused for now. */
static bool failed_for_now(const struct swarm *swarm, struct span line)
{
    struct span error, temporary;
    return swarm->opt->insist && json_member(line, "error", &error) &&
           json_member(error, "temporary", &temporary) && span_is(temporary, "true");
}

static bool refused(struct swarm *swarm, struct client *client, struct span line, const char *what)
{
    struct span error, text = {"", 0};
    uint64_t code = 0;
    if (!json_member(line, "error", &error))
        return false;
    json_number(error, "code", &code);
    json_text(error, "message", &text);
    verdict_add(&swarm->check->verdict, VERDICT_REFUSED, "session %u: %s was refused: %u %.*s",
                client->number, what, (unsigned)code, (int)(text.n < SHOWN ? text.n : SHOWN),
                text.p);
    swarm->failed |= client->state < CLIENT_LIVE;
    return true;
}

static void on_subscribed(struct swarm *swarm, struct client *client, uint32_t place,
                          struct span line)
{
    struct span result;
    if (failed_for_now(swarm, line)) {
        client_retry(swarm, client);
        return;
    }
    if (refused(swarm, client, line, "a subscription"))
        return;
    if (!json_member(line, "subscribe", &result) || place >= swarm->check->seats_per_session ||
        !check_listens(swarm->opt, client->number)) {
        client_fail(swarm, client, "a subscribe reply without its body, or to nothing");
        return;
    }
    check_joined(swarm->check, &check_seats(swarm->check, client->number)[place], result,
                 swarm->now);
    if (client->replies && --client->replies == 0 && client->state == CLIENT_GREETING)
        client_set_state(swarm, client, CLIENT_LIVE);
}

static void on_connected(struct swarm *swarm, struct client *client, struct span line)
{
    if (failed_for_now(swarm, line))
        client_retry(swarm, client);
    else if (!refused(swarm, client, line, "the connect command") && client->replies == 0)
        client_set_state(swarm, client, CLIENT_LIVE);
}

static void on_reply(struct swarm *swarm, struct client *client, struct span line)
{
    uint64_t id = 0;
    json_number(line, "id", &id);
    if (id == ID_CONNECT) {
        on_connected(swarm, client, line);
    } else if (id >= ID_PUBLISH && failed_for_now(swarm, line)) {
        insist_failed(swarm, (uint32_t)(id - ID_PUBLISH));
    } else if (id >= ID_PUBLISH) {
        refused(swarm, client, line, "a publication");
        check_replied(swarm->check, (uint32_t)(id - ID_PUBLISH));
    } else {
        on_subscribed(swarm, client, (uint32_t)(id - ID_SUBSCRIBE), line);
    }
}

/* The gateway ended the subscription; from 2500 on it asks for a new one. */
static void on_unsubscribed(struct swarm *swarm, struct client *client, struct seat *seat,
                            struct span push)
{
    uint64_t code = 0;
    json_number(push, "code", &code);
    if (code >= 2500 && swarm->opt->recover) {
        uint32_t place = (uint32_t)(seat - check_seats(swarm->check, client->number));
        char *out = swarm->scratch;
        size_t n = put_subscribe(swarm, seat, place, out, SWARM_SCRATCH);
        client_send(swarm, client, WIRE_TEXT, out + 1, n - 1);
        return;
    }
    verdict_add(&swarm->check->verdict, VERDICT_GAP_TOLD,
                "session %u was unsubscribed from room %s: code %u", client->number,
                swarm->check->rooms[seat->room].name, (unsigned)code);
}

static void on_push(struct swarm *swarm, struct client *client, struct span push, struct span line)
{
    struct counters *counters = &swarm->check->counters;
    struct span channel = {"", 0}, body;
    json_text(push, "channel", &channel);
    struct seat *seat = check_find_seat(swarm->check, client->number, channel);
    if (!seat)
        verdict_add(&swarm->check->verdict, VERDICT_UNEXPECTED,
                    "session %u got a push for a room it is not in: %.*s", client->number,
                    (int)(line.n < SHOWN ? line.n : SHOWN), line.p);
    else if (json_member(push, "pub", &body))
        check_publication(swarm->check, seat, body, line, swarm->now);
    else if (json_member(push, "join", &body))
        counters->joins++;
    else if (json_member(push, "leave", &body))
        counters->leaves++;
    else if (json_member(push, "unsubscribe", &body))
        on_unsubscribed(swarm, client, seat, body);
}

/* Most replies are these bytes around the number. */
static bool is_plain_reply(struct swarm *swarm, struct span line)
{
    static const char head[] = "{\"id\":";
    static const char tail[] = ",\"publish\":{}}";
    size_t around = sizeof head - 1 + sizeof tail - 1;
    if (line.n <= around || line.n > around + 10 || !span_starts(line, head) ||
        memcmp(line.p + line.n - (sizeof tail - 1), tail, sizeof tail - 1) != 0)
        return false;
    uint64_t id = 0;
    for (const char *p = line.p + sizeof head - 1; *p >= '0' && *p <= '9'; p++)
        id = id * 10 + (uint64_t)(*p - '0');
    if (id < ID_PUBLISH)
        return false;
    check_replied(swarm->check, (uint32_t)(id - ID_PUBLISH));
    return true;
}

void dialogue_line(struct swarm *swarm, struct client *client, struct span line)
{
    struct span push;
    if (check_line(swarm->check, client->number, line, swarm->now) || is_plain_reply(swarm, line))
        return;
    if (span_is(line, "{}")) {
        swarm->check->counters.pings++;
        client_send(swarm, client, WIRE_TEXT, "{}", 2);
    } else if (json_member(line, "push", &push)) {
        on_push(swarm, client, push, line);
    } else if (span_starts(line, "{\"id\":")) {
        on_reply(swarm, client, line);
    } else {
        verdict_add(&swarm->check->verdict, VERDICT_PROTOCOL,
                    "session %u got a line that is no reply, push or ping: %.*s", client->number,
                    (int)(line.n < SHOWN ? line.n : SHOWN), line.p);
    }
}

void dialogue_publish(struct swarm *swarm, struct client *client, uint32_t flight)
{
    struct check *check = swarm->check;
    char *out = swarm->scratch;
    int n = snprintf(out, SWARM_SCRATCH,
                     "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":", ID_PUBLISH + flight,
                     check->rooms[check->flights[flight].room].name);
    check_data(check, flight, out + n);
    size_t len = (size_t)n + swarm->opt->size;
    out[len++] = '}';
    out[len++] = '}';
    client_send(swarm, client, WIRE_TEXT, out, len);
}
