/* SPDX-License-Identifier: MIT */
/* metrics.h: what the gateway counts, in the Prometheus text format, version 0.0.4.
 *
 * Every metric is described in docs/METRICS.md. Any thread may call this: it reads only what is
 * constant, counters, and what the kernel says about the process.
 */
#ifndef MADANG_GATEWAY_METRICS_H
#define MADANG_GATEWAY_METRICS_H

#include "backplane/base/buf.h"
#include "gateway/gateway.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_write(const struct gateway *g, struct buf *out);

#endif
