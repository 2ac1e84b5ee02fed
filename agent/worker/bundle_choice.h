/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which members of a bundle are guest drivers, and which of them is wanted.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "model/member.h"
#include "worker/bundle.h"

/* By its name a guest driver's package, whatever it holds. */
bool bundle_choice_is_driver(const struct bundle_member *member);

/* Appends what model/member.h takes of every one that is. */
must_check int bundle_choice_list(const struct bundle *bundle, struct json *members,
				  struct error *err);

/* The one that model/member.h chooses; `ret_member` tells of it what its name says. */
must_check int bundle_choice_make(const struct bundle *bundle,
				  const struct member_wish *wish,
				  struct member *ret_member,
				  const struct bundle_member **ret_found,
				  struct error *err);
