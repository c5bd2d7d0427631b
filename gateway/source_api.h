/* SPDX-License-Identifier: MIT */
/* source_api.h: jobs from the server API of a gateway (queue_take and the like; docs/API.md). */
#ifndef MADANG_GATEWAY_SOURCE_API_H
#define MADANG_GATEWAY_SOURCE_API_H

#include "gateway/job_source.h"

struct loop;

struct source_api_config {
    struct loop *loop;
    const char *url; /* of the gateway: "http://host:port" */
    const char
        *unix_path;      /* the gateway's socket, instead of a connection to that host; "": none */
    const char *key;     /* "": none is shown */
    const char *ca_file; /* "": the system's certificates */
    const char *owner;   /* who takes the jobs; for people to read */
};

/* Texts are copied, but for ca_file. NULL: no memory. */
struct job_source *source_api_new(const struct source_api_config *c);

#endif
