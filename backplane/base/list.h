/* SPDX-License-Identifier: MIT */
/* list.h: intrusive doubly linked list.
 *
 * A list head is a node that points at itself when empty. A node that is in no
 * list also points at itself, so list_del() on it is harmless and
 * list_linked() tells. Not thread-safe: a list belongs to one thread.
 */
#ifndef MADANG_BASE_LIST_H
#define MADANG_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define list_for_each_safe(pos, tmp, head)                                                         \
    for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head);                               \
         (pos) = (tmp), (tmp) = (pos)->next)

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline bool list_linked(const struct list *n)
{
    return n->next != n;
}

static inline void list_push(struct list *head, struct list *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}

static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* Takes the first node out of the list; NULL if empty. */
static inline struct list *list_shift(struct list *head)
{
    struct list *n = head->next;
    if (n == head)
        return NULL;
    head->next = n->next;
    n->next->prev = head;
    list_init(n);
    return n;
}

/* Moves everything from `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
