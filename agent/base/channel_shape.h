/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the answer to each job looks like. The worker reads foreign bytes and may have
 * been taken over by them: an answer that is none to what was asked is a defect, before
 * anybody reads a value of it.
 */

#include "base/error.h"
#include "base/json.h"

/*
 * Whether `result` has the keys of an answer to `job`, all of them and no other, each of
 * its kind: numbers not below zero, a SHA-256 in lower case. What stands deeper is judged
 * by who reads it. ERROR_INTERNAL says which key is wrong.
 */
must_check int channel_shape_check(const char *job, const struct json *result,
				   struct error *err);
