/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The clock of a server, by the Date of its answer. A license server shows a certificate
 * of its own: any is taken, and nothing else that it says is believed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct http_date {
	bool answered;    /* there was a Date */
	bool tls_failed;  /* it took the connection and no TLS came about */
	int64_t offset_s; /* our clock less the server's */
};

/* One GET of "/", no redirect, no proxy. -1 where no answer came; `tls_failed` is set. */
must_check int http_date_get(const char *host, int port, bool tls, int timeout_s,
			     struct http_date *ret_date, struct error *err);
