/* SPDX-License-Identifier: MIT */
#include "load/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/memory.h"

enum {
    NO_FLIGHT = UINT32_MAX,
    REACH = 8192, /* entries to look back through for a publication that came out of turn */
    SHOWN = 100,  /* bytes of unexpected text in a sentence */
};

static uint32_t session_of(const struct check *check, const struct seat *seat)
{
    return (uint32_t)((size_t)(seat - check->seats) / check->seats_per_session);
}

static int shown(struct span span)
{
    return span.n < SHOWN ? (int)span.n : SHOWN;
}

/* ---- who is where --------------------------------------------------------------------------- */

bool check_listens(const struct options *opt, uint32_t session)
{
    return session < opt->sessions && session % opt->split == 0;
}

bool check_slow(const struct options *opt, uint32_t session)
{
    return check_listens(opt, session) && session >= opt->sessions - opt->slow * opt->split;
}

static void take_seats(struct check *check, uint32_t session)
{
    const struct options *opt = check->opt;
    struct seat *seats = check_seats(check, session);
    uint64_t first = session / opt->split * opt->rooms_per_session;
    for (uint32_t i = 0; i < check->seats_per_session; i++) {
        struct seat *seat = &seats[i];
        seat->room = (uint32_t)((first + i) % opt->rooms);
        seat->gone = !check_listens(opt, session);
        if (seat->gone)
            continue;
        struct room *room = &check->rooms[seat->room];
        seat->prompt = !check_slow(opt, session);
        room->listeners++;
        room->prompt += seat->prompt;
        if (seat->prompt && opt->publishers == 0 && opt->split == 1)
            room_add_source(room, session);
    }
}

/* Sessions that only publish: spread over the rooms so that every room has one at least. */
static void place_publishers(struct check *check, uint32_t first, uint64_t count, uint64_t step)
{
    uint64_t rounds = count > check->opt->rooms ? count : check->opt->rooms;
    for (uint64_t i = 0; count && i < rounds; i++) {
        uint64_t nth = i % count;
        uint64_t client = step > 1 ? nth / (step - 1) * step + 1 + nth % (step - 1) : nth;
        room_add_source(&check->rooms[i % check->opt->rooms], first + (uint32_t)client);
    }
}

void check_init(struct check *check, const struct options *opt)
{
    assert(opt->rooms > 0 && opt->rooms_per_session > 0 && opt->split > 0);
    memset(check, 0, sizeof *check);
    check->opt = opt;
    check->sessions = (uint32_t)opt->sessions;
    check->seats_per_session = (uint32_t)opt->rooms_per_session;
    check->free_flight = NO_FLIGHT;
    check->nonce = (uint32_t)stats_now();
    check->rooms = memory_zeroed(opt->rooms * sizeof check->rooms[0]);
    for (uint32_t i = 0; i < opt->rooms; i++)
        room_init(&check->rooms[i], opt->prefix, i);
    check->seats =
        memory_zeroed((size_t)check->sessions * check->seats_per_session * sizeof check->seats[0]);
    for (uint32_t i = 0; i < check->sessions; i++)
        take_seats(check, i);
    uint64_t talkers = opt->sessions - (opt->sessions + opt->split - 1) / opt->split;
    place_publishers(check, 0, talkers, opt->split);
    place_publishers(check, check->sessions, opt->publishers, 1);
}

void check_deinit(struct check *check)
{
    for (uint32_t i = 0; check->rooms && i < check->opt->rooms; i++)
        room_deinit(&check->rooms[i]);
    free(check->rooms);
    free(check->seats);
    free(check->flights);
    check->rooms = NULL;
    check->seats = NULL;
    check->flights = NULL;
}

struct seat *check_seats(struct check *check, uint32_t session)
{
    return &check->seats[(size_t)session * check->seats_per_session];
}

struct seat *check_find_seat(struct check *check, uint32_t session, struct span channel)
{
    if (session >= check->sessions)
        return NULL;
    struct seat *seats = check_seats(check, session);
    for (uint32_t i = 0; i < check->seats_per_session; i++) {
        const struct room *room = &check->rooms[seats[i].room];
        if (!seats[i].gone && span_equal(channel, (struct span){room->name, room->name_len}))
            return &seats[i];
    }
    return NULL;
}

/* ---- flights -------------------------------------------------------------------------------- */

static uint32_t flight_new(struct check *check)
{
    if (check->free_flight == NO_FLIGHT) {
        uint32_t old = check->flight_count;
        uint32_t count = old ? 2 * old : 256;
        check->flights = memory_resize(check->flights, count * sizeof check->flights[0]);
        for (uint32_t i = count; i > old; i--) {
            check->flights[i - 1] = (struct flight){.next_free = check->free_flight};
            check->free_flight = i - 1;
        }
        check->flight_count = count;
    }
    uint32_t id = check->free_flight;
    check->free_flight = check->flights[id].next_free;
    return id;
}

static void flight_unwait(struct check *check, struct flight *flight)
{
    check->waiting -= flight->waited;
    flight->waited = false;
}

/* After any step of a flight: is it waited for, is it over? */
static void flight_step(struct check *check, uint32_t id)
{
    struct flight *flight = &check->flights[id];
    if (flight->replied && (flight->delivered || flight->doubtful || check->opt->await_reply))
        flight_unwait(check, flight);
    if (!flight->replied || !flight->delivered)
        return;
    flight->open = false;
    flight->next_free = check->free_flight;
    check->free_flight = id;
    check->open--;
}

uint32_t check_send(struct check *check, struct room *room, uint32_t source, uint64_t now)
{
    uint32_t id = flight_new(check);
    check->flights[id] = (struct flight){
        .room = (uint32_t)(room - check->rooms),
        .source = source,
        .seq = ++room->sources[source].sent,
        .open = true,
        .waited = true,
        .measured = check->measuring,
        .sent = now,
    };
    check->open++;
    check->waiting++;
    check->counters.published++;
    return id;
}

void check_data(const struct check *check, uint32_t flight, char *out)
{
    const struct flight *f = &check->flights[flight];
    size_t size = check->opt->size;
    char head[192];
    int n = snprintf(head, sizeof head, "{\"room\":%u,\"by\":%u,\"seq\":%u,\"flight\":%u,", f->room,
                     f->source, f->seq, flight);
    if (check->opt->cid)
        n += snprintf(head + n, sizeof head - (size_t)n, "\"cid\":\"%08x-%x-%x-%x\",", check->nonce,
                      f->room, f->source, f->seq);
    n += snprintf(head + n, sizeof head - (size_t)n, "\"text\":\"마\\n");
    memcpy(out, head, (size_t)n);
    for (size_t i = (size_t)n; i < size - 2; i++)
        out[i] = (char)('a' + (i + f->seq) % 26);
    out[size - 2] = '"';
    out[size - 1] = '}';
}

void check_replied(struct check *check, uint32_t flight)
{
    if (flight >= check->flight_count || !check->flights[flight].open ||
        check->flights[flight].replied) {
        verdict_add(&check->verdict, VERDICT_DUPLICATED,
                    "a publish command got a second reply, or one that was never sent");
        return;
    }
    check->counters.replies++;
    check->flights[flight].replied = true;
    flight_step(check, flight);
}

void check_doubt(struct check *check, uint32_t client)
{
    for (uint32_t i = 0; i < check->flight_count; i++) {
        struct flight *flight = &check->flights[i];
        if (!flight->open || flight->replied)
            continue;
        struct room *room = &check->rooms[flight->room];
        if (room->sources[flight->source].client != client)
            continue;
        flight->doubtful = true;
        flight->replied = true;
        room->patchy = true;
        flight_step(check, i);
    }
}

/* ---- receipts ------------------------------------------------------------------------------- */

static void move_seat(struct check *check, struct seat *seat, uint64_t index)
{
    struct room *room = &check->rooms[seat->room];
    if (index / ROOM_CHUNK != seat->index / ROOM_CHUNK && index > seat->index)
        room_pass(room, seat->index, index);
    seat->index = index;
}

/* The seat's owner has this entry, or will never get it. */
static void count_off(struct check *check, const struct seat *seat, struct entry *entry)
{
    if (!seat->prompt || entry->left == 0 || --entry->left > 0)
        return;
    check->flights[entry->flight].delivered = true;
    flight_step(check, entry->flight);
}

static void accept(struct check *check, struct seat *seat, struct entry *entry, uint64_t now)
{
    check->counters.deliveries++;
    if (entry->measured && seat->prompt)
        hist_add(&check->latency, now > entry->sent ? now - entry->sent : 0);
    count_off(check, seat, entry);
    move_seat(check, seat, seat->index + 1);
}

/* The seat goes on at `index`; what lies between is missed. */
static void skip_to(struct check *check, struct seat *seat, uint64_t index)
{
    struct room *room = &check->rooms[seat->room];
    for (uint64_t i = seat->index; i < index && i < room->head; i++) {
        struct entry *entry = room_entry(room, i);
        if (entry)
            count_off(check, seat, entry);
    }
    if (index > room->head)
        room->patchy = true;
    move_seat(check, seat, index);
}

static void report_gap(struct check *check, struct seat *seat, uint64_t index)
{
    verdict_add(&check->verdict, VERDICT_LOST,
                "session %u missed %" PRIu64 " publication(s) of room %s: it had %" PRIu64
                ", then came number %" PRIu64,
                session_of(check, seat), index - seat->index, check->rooms[seat->room].name,
                seat->index, index + 1);
    seat->gap_from = seat->index;
    seat->gap_to = index;
    skip_to(check, seat, index);
}

/* Something else than the seat's next publication: says which promise that breaks. */
static bool out_of_turn(struct check *check, struct seat *seat, struct span data, uint64_t now)
{
    struct room *room = &check->rooms[seat->room];
    uint64_t index;
    if (!room_find(room, data, REACH, &index))
        return false;
    if (index >= seat->index) {
        if (index > seat->index)
            report_gap(check, seat, index);
        accept(check, seat, room_entry(room, index), now);
        return true;
    }
    bool late = index >= seat->gap_from && index < seat->gap_to;
    verdict_add(&check->verdict, late ? VERDICT_REORDERED : VERDICT_DUPLICATED,
                "session %u got publication %" PRIu64 " of room %s %s, after number %" PRIu64,
                session_of(check, seat), index + 1, room->name, late ? "late" : "again",
                seat->index);
    return true;
}

static void report_unexpected(struct check *check, const struct seat *seat, struct span text)
{
    verdict_add(&check->verdict, VERDICT_UNEXPECTED,
                "session %u got in room %s what nobody sent: %.*s", session_of(check, seat),
                check->rooms[seat->room].name, shown(text), text.p);
}

/* The flight that these data say they are, if they are exactly what was sent. */
static bool identify(const struct check *check, const struct seat *seat, struct span data,
                     uint32_t *flight)
{
    uint64_t id;
    char sent[65536];
    if (data.n != check->opt->size || !json_number(data, "flight", &id) ||
        id >= check->flight_count)
        return false;
    const struct flight *f = &check->flights[id];
    if (!f->open || f->seen || f->room != seat->room)
        return false;
    check_data(check, (uint32_t)id, sent);
    *flight = (uint32_t)id;
    return memcmp(sent, data.p, data.n) == 0;
}

/* One publisher's publications must keep the order in which they were sent, if none is repeated. */
static void check_sequence(struct check *check, const struct seat *seat, const struct flight *f)
{
    struct room *room = &check->rooms[seat->room];
    struct source *source = &room->sources[f->source];
    uint32_t expected = source->seen + 1;
    if (f->seq != expected && !room->patchy && !check->opt->insist)
        verdict_add(&check->verdict, f->seq < expected ? VERDICT_REORDERED : VERDICT_LOST,
                    "room %s delivered number %u of publisher %u where %u was due", room->name,
                    f->seq, source->client, expected);
    if (f->seq > source->seen)
        source->seen = f->seq;
}

/* The offset must be the one of the seat's next publication. False: it is not, and that is said. */
static bool check_offset(struct check *check, struct seat *seat, struct span pub, struct span data,
                         uint64_t now)
{
    struct room *room = &check->rooms[seat->room];
    uint64_t offset;
    if (!json_number(pub, "offset", &offset))
        return true;
    if (!room->based) {
        room->based = true;
        room->base = offset - 1 - seat->index;
    }
    uint64_t expected = room->base + seat->index + 1;
    if (offset == expected)
        return true;
    if (offset > expected && offset - expected < REACH) {
        report_gap(check, seat, offset - room->base - 1);
        return true;
    }
    if (out_of_turn(check, seat, data, now))
        return false;
    verdict_add(&check->verdict, VERDICT_REORDERED,
                "session %u got offset %" PRIu64 " in room %s where %" PRIu64 " was due",
                session_of(check, seat), offset, room->name, expected);
    return false;
}

static void first_receipt(struct check *check, struct seat *seat, struct span data,
                          struct span line, uint64_t now)
{
    uint32_t id;
    if (!identify(check, seat, data, &id)) {
        if (!out_of_turn(check, seat, data, now))
            report_unexpected(check, seat, data);
        return;
    }
    struct flight *flight = &check->flights[id];
    flight->seen = true;
    check_sequence(check, seat, flight);
    struct entry *entry = room_record(&check->rooms[seat->room], seat->index, line, data);
    entry->flight = id;
    entry->sent = flight->sent;
    entry->measured = flight->measured;
    if (entry->left == 0) {
        flight->delivered = true;
        flight_step(check, id);
    }
    accept(check, seat, entry, now);
}

void check_publication(struct check *check, struct seat *seat, struct span pub, struct span line,
                       uint64_t now)
{
    struct room *room = &check->rooms[seat->room];
    struct span data;
    if (!json_member(pub, "data", &data)) {
        report_unexpected(check, seat, pub);
        return;
    }
    struct entry *entry = room_entry(room, seat->index);
    if (entry && !span_equal(data, (struct span){entry->line + entry->data_at, entry->data_len})) {
        if (!out_of_turn(check, seat, data, now))
            report_unexpected(check, seat, data);
        return;
    }
    if (!check_offset(check, seat, pub, data, now))
        return;
    entry = room_entry(room, seat->index);
    if (entry)
        accept(check, seat, entry, now);
    else
        first_receipt(check, seat, data, line, now);
}

/* The seat that a push is for, read from the usual beginning of a push; NULL if it is unusual. */
static struct seat *seat_of_push(struct check *check, uint32_t session, struct span line)
{
    static const char head[] = "{\"push\":{\"channel\":\"";
    struct seat *seats = check_seats(check, session);
    if (check->seats_per_session == 1)
        return seats;
    if (!span_starts(line, head))
        return NULL;
    const char *name = line.p + sizeof head - 1;
    size_t left = line.n - (sizeof head - 1);
    for (uint32_t i = 0; i < check->seats_per_session; i++) {
        const struct room *room = &check->rooms[seats[i].room];
        if (room->name_len < left && name[room->name_len] == '"' &&
            memcmp(name, room->name, room->name_len) == 0)
            return &seats[i];
    }
    return NULL;
}

bool check_line(struct check *check, uint32_t session, struct span line, uint64_t now)
{
    if (session >= check->sessions)
        return false;
    struct seat *seat = seat_of_push(check, session, line);
    if (!seat || seat->gone)
        return false;
    struct entry *entry = room_entry(&check->rooms[seat->room], seat->index);
    if (!entry || entry->len != line.n || memcmp(entry->line, line.p, line.n) != 0)
        return false;
    accept(check, seat, entry, now);
    return true;
}

/* ---- subscriptions -------------------------------------------------------------------------- */

static void check_epoch(struct check *check, const struct seat *seat, struct span epoch)
{
    struct room *room = &check->rooms[seat->room];
    if (room->epoch[0] == '\0' && epoch.n < sizeof room->epoch) {
        memcpy(room->epoch, epoch.p, epoch.n);
        room->epoch[epoch.n] = '\0';
    } else if (!span_is(epoch, room->epoch)) {
        verdict_add(&check->verdict, VERDICT_EPOCH,
                    "room %s had epoch %s, session %u was told %.*s", room->name, room->epoch,
                    session_of(check, seat), shown(epoch), epoch.p);
    }
}

static bool is_true(struct span object, const char *key)
{
    struct span value;
    return json_member(object, key, &value) && span_is(value, "true");
}

static void recovered(struct check *check, struct seat *seat, struct span result, uint64_t now)
{
    struct span array, pub;
    const char *at = NULL;
    check->counters.recovered++;
    if (!json_member(result, "publications", &array))
        return;
    while (json_element(array, &at, &pub))
        check_publication(check, seat, pub, pub, now);
}

static void not_recovered(struct check *check, struct seat *seat, uint64_t offset)
{
    struct room *room = &check->rooms[seat->room];
    check->counters.told++;
    if (!check->opt->allow_told)
        verdict_add(&check->verdict, VERDICT_GAP_TOLD,
                    "session %u was told that it missed something in room %s",
                    session_of(check, seat), room->name);
    if (room->based && offset > room->base + seat->index)
        skip_to(check, seat, offset - room->base);
}

void check_joined(struct check *check, struct seat *seat, struct span result, uint64_t now)
{
    struct room *room = &check->rooms[seat->room];
    struct span epoch;
    uint64_t offset = 0;
    bool again = seat->joined;
    seat->joined = true;
    if (!json_text(result, "epoch", &epoch)) {
        if (check->opt->recover)
            verdict_add(&check->verdict, VERDICT_REFUSED,
                        "room %s cannot be recovered: the gateway gives it no position",
                        room->name);
        return;
    }
    check_epoch(check, seat, epoch);
    json_number(result, "offset", &offset);
    if (again) {
        if (is_true(result, "recovered"))
            recovered(check, seat, result, now);
        else
            not_recovered(check, seat, offset);
        return;
    }
    if (!room->based && room->head == 0) {
        room->based = true;
        room->base = offset;
    }
    if (room->based && offset > room->base + seat->index)
        skip_to(check, seat, offset - room->base);
}

void check_leave(struct check *check, uint32_t session)
{
    if (session >= check->sessions)
        return;
    struct seat *seats = check_seats(check, session);
    for (uint32_t i = 0; i < check->seats_per_session; i++) {
        struct seat *seat = &seats[i];
        struct room *room = &check->rooms[seat->room];
        if (seat->gone)
            continue;
        seat->gone = true;
        for (uint64_t n = seat->index; n < room->head; n++) {
            struct entry *entry = room_entry(room, n);
            if (entry)
                count_off(check, seat, entry);
        }
        room_leave(room, seat->index, seat->prompt);
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

static bool seat_is_short(const struct check *check, const struct seat *seat)
{
    return !seat->gone && seat->index < check->rooms[seat->room].head;
}

bool check_settled(struct check *check)
{
    size_t seats = (size_t)check->sessions * check->seats_per_session;
    for (uint32_t i = 0; i < check->flight_count; i++) {
        const struct flight *flight = &check->flights[i];
        if (flight->open && !flight->doubtful && !(check->counters.told && flight->replied))
            return false;
    }
    for (size_t i = 0; i < seats; i++) {
        if (seat_is_short(check, &check->seats[i]))
            return false;
    }
    return true;
}

void check_finish(struct check *check)
{
    size_t seats = (size_t)check->sessions * check->seats_per_session;
    for (size_t i = 0; i < seats; i++) {
        const struct seat *seat = &check->seats[i];
        const struct room *room = &check->rooms[seat->room];
        if (seat_is_short(check, seat))
            verdict_add(&check->verdict, VERDICT_LOST,
                        "session %u never got the last %" PRIu64 " publication(s) of room %s",
                        session_of(check, seat), room->head - seat->index, room->name);
    }
    for (uint32_t i = 0; i < check->flight_count; i++) {
        const struct flight *flight = &check->flights[i];
        if (!flight->open || flight->doubtful)
            continue;
        const struct room *room = &check->rooms[flight->room];
        if (!flight->replied)
            verdict_add(&check->verdict, VERDICT_LOST,
                        "publication %u of client %u in room %s got no reply", flight->seq,
                        room->sources[flight->source].client, room->name);
        else if (!flight->seen && !check->counters.told)
            verdict_add(
                &check->verdict, VERDICT_LOST,
                "publication %u of client %u in room %s was acknowledged, but reached nobody",
                flight->seq, room->sources[flight->source].client, room->name);
    }
}
