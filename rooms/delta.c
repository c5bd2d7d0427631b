/* SPDX-License-Identifier: MIT */
#include "rooms/delta.h"

#include "rooms/fossil.h"

/* Appends `outer`, which encloses the data of m, with the data as a string. */
static void add_with_data(struct span outer, struct span old, struct span data, bool is_delta,
                          struct buf *out)
{
    const char *behind = old.p + old.n;
    buf_add(out, outer.p, (size_t)(old.p - outer.p));
    buf_json(out, data);
    if (is_delta)
        buf_lit(out, ",\"delta\":true");
    buf_add(out, behind, (size_t)(outer.p + outer.n - behind));
}

void delta_push(const struct msg *m, const struct msg *base, struct buf *out)
{
    struct buf delta = {0};
    struct span data = msg_data(m);
    bool shorter = m->delta && base && fossil_delta(msg_data(base), data, &delta);
    struct span text = shorter ? (struct span){delta.p, delta.n} : data;
    add_with_data(msg_text(m), data, text, shorter, out);
    buf_deinit(&delta);
}

void delta_publication(const struct msg *m, struct buf *out)
{
    add_with_data(msg_pub(m), msg_data(m), msg_data(m), false, out);
}
