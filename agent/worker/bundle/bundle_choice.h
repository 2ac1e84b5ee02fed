/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which members of a bundle are guest drivers, and which of them is wanted.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/member.h"
#include "worker/bundle/bundle.h"

/* Whether the member's name is that of a guest driver's package; its content is not read.
 */
bool bundle_choice_is_driver(const struct bundle_member *member);

/* Appends an object for model/driver/member.h for each member that is a guest driver. */
must_check int bundle_choice_list(const struct bundle *bundle, struct json *members,
				  struct error *err);

/*
 * Chooses by model/driver/member.h. `ret_member` is what the name of the chosen member
 * says, `ret_found` where its bytes lie in the bundle.
 */
must_check int bundle_choice_make(const struct bundle *bundle,
				  const struct member_wish *wish,
				  struct member *ret_member,
				  const struct bundle_member **ret_found,
				  struct error *err);
