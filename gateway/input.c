/* SPDX-License-Identifier: MIT */
#include "gateway/input.h"

#include "gateway/command.h"

#include <assert.h>
#include <stdlib.h>

void input_drop(struct session *s)
{
    if (!s->in)
        return;
    s->hub->input_bytes -= s->in->n;
    list_del(&s->in->link);
    free(s->in->p);
    free(s->in);
    s->in = NULL;
}

static bool has_credit(const struct session *s)
{
    return hub_has_credit(s->hub) && s->in_flight < s->hub->options->credits && session_has_room(s);
}

static void starve(struct session *s)
{
    if (!(s->held & HOLD_CREDIT)) /* else it has starved since a turn before */
        counter_add(&s->hub->counters.starved, 1);
    /* Else it waits for its own answers or output, which nudge it. */
    if (!hub_has_credit(s->hub) && !list_linked(&s->todo))
        list_push(&s->hub->starved, &s->todo);
}

/* One command. Its size is bounded here, that of a message in input_chunk. */
static void one(struct session *s, struct span line)
{
    if (line.n > s->hub->options->command_size)
        session_close(s, CLOSE_TOO_BIG);
    else
        command_run(s, line);
}

/* Carries out the commands of a complete message from *at on; false: stopped for want of a
 * credit. */
static bool run(struct session *s, struct span text, size_t *at)
{
    if (text.n && text.p[text.n - 1] == '\n')
        text.n--; /* one trailing newline is tolerated */
    if (!text.n)
        session_close(s, CLOSE_BAD_REQUEST);
    while (*at <= text.n && !s->closing && !s->failed) {
        if (s->connecting) /* the commands behind connect come after its reply */
            return false;
        if (!has_credit(s)) {
            starve(s);
            return false;
        }
        const char *line = text.p + *at;
        const char *end = memchr(line, '\n', text.n - *at);
        size_t n = end ? (size_t)(end - line) : text.n - *at;
        *at += n + 1;
        one(s, (struct span){line, n});
    }
    return true;
}

bool input_pump(struct session *s)
{
    struct inframe *in = s->in;
    if (!in || !in->complete)
        return true;
    if (!run(s, (struct span){in->p, in->n}, &in->at))
        return false;
    input_drop(s);
    return true;
}

static bool need_input(struct session *s)
{
    if (s->in)
        return true;
    s->in = calloc(1, sizeof(*s->in));
    if (!s->in)
        return false;
    s->in->session = s;
    list_push(&s->hub->inputs, &s->in->link);
    return true;
}

/* Past the hub's bound for input, closes the session with most; true if that is `s`. */
static bool shed(struct hub *h, const struct session *s)
{
    const struct inframe *largest = NULL;
    if (h->input_bytes <= h->options->hub_queue_bytes)
        return false;
    for (struct list *n = h->inputs.next; n != &h->inputs; n = n->next) {
        const struct inframe *in = container_of(n, struct inframe, link);
        if (!largest || in->n > largest->n)
            largest = in;
    }
    if (!largest)
        return false;
    struct session *owner = largest->session;
    session_close(owner, CLOSE_INTERNAL);
    if (owner == s)
        return true;
    input_drop(owner);
    return false;
}

/* False: no memory, or more than the hub may keep for all. */
static bool keep(struct session *s, struct span chunk, size_t frame_left)
{
    if (!need_input(s))
        return false;
    struct inframe *in = s->in;
    size_t need = in->n + chunk.n + 1; /* one more for the newline of `continue_with` */
    if (need > in->cap) {
        size_t cap = need + frame_left;
        if (cap < in->cap * 2)
            cap = in->cap * 2;
        char *p = realloc(in->p, cap);
        if (!p)
            return false;
        in->p = p;
        in->cap = cap;
    }
    assert(in->p);
    if (chunk.n)
        memcpy(in->p + in->n, chunk.p, chunk.n);
    in->n += chunk.n;
    const char *end = chunk.n ? memrchr(chunk.p, '\n', chunk.n) : NULL;
    if (end)
        in->line = in->n - (size_t)(chunk.p + chunk.n - end) + 1;
    s->hub->input_bytes += chunk.n;
    return !shed(s->hub, s);
}

/* A message that comes although the one before still waits simply is more of the same lines. */
static void continue_with(struct inframe *in)
{
    if (in->p[in->n - 1] != '\n') {
        in->p[in->n++] = '\n';
        in->line = in->n;
        in->session->hub->input_bytes++;
    }
    in->complete = false;
}

bool input_chunk(struct session *s, struct span chunk, bool first, bool final, size_t frame_left)
{
    size_t have = s->in ? s->in->n : 0;
    /* The library has no bound of its own: frame_left may be anything up to 2^63. */
    if (frame_left > s->hub->options->frame_size ||
        have + chunk.n + frame_left > s->hub->options->frame_size) {
        session_close(s, CLOSE_TOO_BIG);
        return true;
    }
    bool whole = first && final && !s->in;
    size_t at = 0;
    if (whole && run(s, chunk, &at))
        return true;
    /* It is not complete, or its rest must wait: in a copy, the library only lends. */
    if (s->in && s->in->complete)
        continue_with(s->in);
    if (!keep(s, chunk, frame_left)) {
        session_close(s, CLOSE_INTERNAL);
        return true;
    }
    if (s->in->n - s->in->line > s->hub->options->command_size) { /* without waiting for its end */
        session_close(s, CLOSE_TOO_BIG);
        return true;
    }
    s->in->complete = final;
    if (!whole)
        return input_pump(s);
    s->in->at = at;
    return false;
}
