/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text that leaves the system, without what looks like a secret: a second net, for what
 * others write into logs and files. Our own texts hold none.
 */

#include "base/span.h"

/*
 * Tokens, private keys and other long keys, user name and query of URLs, netrc's logins,
 * what follows "password=", "Bearer" and the like become "[redacted]"; a JSON text stays
 * one. Bytes that are no text become '?'. NULL: no memory. The caller frees it.
 */
char *redact_text(struct span text);
