/* SPDX-License-Identifier: MIT */
#include "backplane/driver.h"

#include "backplane/base/words.h"

#include <assert.h>
#include <stdlib.h>

void stream_read_deinit(struct stream_read *r)
{
    for (size_t i = 0; i < r->count; i++)
        msg_unref(r->pubs[i]);
    free(r->pubs);
    r->pubs = NULL;
    r->count = 0;
}

struct followed *followed_add(struct list *found, struct span name)
{
    struct followed *line = calloc(1, sizeof(*line) + name.n);
    if (!line)
        return NULL;
    line->name_len = name.n;
    if (name.n)
        memcpy(line->name, name.p, name.n);
    list_push(found, &line->link);
    return line;
}

void follow_clear(struct follow *f)
{
    f->error = OK;
    f->changed = f->more = f->partial = false;
    list_init(&f->found);
}

void follow_deinit(struct follow *f)
{
    for (struct list *n; (n = list_shift(&f->found));)
        free(container_of(n, struct followed, link));
}

void operation_fail(struct operation *o, enum err e)
{
    struct stream_read *r = container_of(o, struct stream_read, operation);
    struct commit *c = container_of(o, struct commit, operation);
    struct follow *f = container_of(o, struct follow, operation);
    switch (o->kind) {
    case OPERATION_COMMIT:
        c->error = e;
        c->repeated = c->marked = false;
        c->at = (struct position){0};
        break;
    case OPERATION_READ:
        stream_read_deinit(r);
        r->error = e;
        break;
    case OPERATION_REMOVE: container_of(o, struct stream_removal, operation)->error = e; break;
    case OPERATION_REDACT: container_of(o, struct stream_redaction, operation)->error = e; break;
    case OPERATION_FOLLOW:
        follow_deinit(f);
        follow_clear(f);
        f->error = e;
        break;
    }
}

void share_add(struct share *s, struct span word)
{
    assert(s->count < SHARE_WORDS_MAX);
    s->words[s->count++] = word;
}

void share_add_u64(struct share *s, char text[U64_TEXT_MAX], uint64_t v)
{
    share_add(s, (struct span){text, u64_text(text, v)});
}

uint64_t share_number(const struct share *s, size_t i)
{
    uint64_t v;
    return i < s->answers && number_read(s->answer[i], &v) ? v : 0;
}

void driver_tell(const struct driver *d, struct operation *o)
{
    const struct driver_events *events = d->config.events;
    void *owner = d->config.owner;
    switch (o->kind) {
    case OPERATION_COMMIT:
        events->committed(owner, container_of(o, struct commit, operation));
        break;
    case OPERATION_READ:
        events->read_done(owner, container_of(o, struct stream_read, operation));
        break;
    case OPERATION_REMOVE:
        events->removed(owner, container_of(o, struct stream_removal, operation));
        break;
    case OPERATION_REDACT:
        events->redacted(owner, container_of(o, struct stream_redaction, operation));
        break;
    case OPERATION_FOLLOW:
        events->followed(owner, container_of(o, struct follow, operation));
        break;
    }
}
