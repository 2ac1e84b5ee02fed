/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/license.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"

#define TIME_TEXT_SIZE sizeof("-2147483648-01-01T00:00:00Z")

/* Days from 1970-01-01 in the Gregorian calendar; `month` counts from 1. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t from_march = (month + 9) % 12;
	int64_t y = month <= 2 ? year - 1 : year;

	return y * 365 + y / 4 - y / 100 + y / 400 + (from_march * 153 + 2) / 5 + day -
	       1 - 719468;
}

static bool month_has(uint64_t year, uint64_t month, uint64_t day)
{
	static const uint8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
		return false;
	return month != 2 || leap || day < 29;
}

/* Cuts "7-" off "7-4 16:1": the fields carry no zeros in front. */
static bool read_field(struct span *rest, char separator, uint64_t *ret_value)
{
	struct span head, tail;

	if (!span_split(*rest, separator, &head, &tail) || head.len > 4 ||
	    !span_to_u64(head, ret_value))
		return false;
	*rest = tail;
	return true;
}

/* "2026-7-4 16:1:44 GMT" */
static bool read_date(struct span text, int64_t *ret_time)
{
	uint64_t year, month, day, hour, minute, second;

	if (!read_field(&text, '-', &year) || !read_field(&text, '-', &month) ||
	    !read_field(&text, ' ', &day) || !read_field(&text, ':', &hour) ||
	    !read_field(&text, ':', &minute) || !read_field(&text, ' ', &second))
		return false;
	if (!span_equals(text, "GMT") || year < 1970 || !month_has(year, month, day) ||
	    hour > 23 || minute > 59 || second > 60)
		return false;

	*ret_time = days_of((int64_t)year, (int64_t)month, (int64_t)day) * 86400 +
		    (int64_t)(hour * 3600 + minute * 60 + second);
	return true;
}

/* The words in the brackets: NVIDIA's DCGM, DcgmVgpu.cpp, builds the same ones. */
static void read_expiry(struct span text, struct license_feature *feature)
{
	if (span_equals(text, "Permanent"))
		feature->expiry_kind = LICENSE_EXPIRY_PERMANENT;
	else if (span_equals(text, "N/A"))
		feature->expiry_kind = LICENSE_EXPIRY_NOT_APPLICABLE;
	else if (span_equals(text, "Not Available"))
		feature->expiry_kind = LICENSE_EXPIRY_UNAVAILABLE;
	else if (read_date(text, &feature->expiry))
		feature->expiry_kind = LICENSE_EXPIRY_DATE;
	else
		feature->expiry_kind = LICENSE_EXPIRY_ERROR;
}

void license_read_status(struct span value, struct license_feature *feature)
{
	struct span word, rest;

	value = span_trim(value);
	(void)span_copy(value, feature->status, sizeof(feature->status));
	text_sanitize(feature->status);
	feature->state = LICENSE_UNKNOWN;
	feature->expiry_kind = LICENSE_EXPIRY_NONE;
	feature->expiry = 0;

	if (!span_split(value, ' ', &word, &rest))
		rest = (struct span){ value.at, 0 };
	rest = span_trim(rest);
	if (rest.len > 0 && *rest.at != '(' && !span_equals(value, "Not Applicable"))
		return;

	if (span_equals(word, "Licensed")) {
		feature->state = LICENSE_LICENSED;
		if (span_skip(&rest, "(Expiry:")) {
			if (span_ends(rest, ")"))
				rest.len--;
			read_expiry(span_trim(rest), feature);
		}
	} else if (span_equals(word, "Unlicensed")) {
		feature->state = LICENSE_UNLICENSED;
		if (span_equals(rest, "(Unrestricted)"))
			feature->state = LICENSE_UNLICENSED_UNRESTRICTED;
		else if (span_equals(rest, "(Restricted)"))
			feature->state = LICENSE_UNLICENSED_RESTRICTED;
	} else if (span_equals(value, "N/A") || span_equals(value, "Not Applicable")) {
		feature->state = LICENSE_NOT_APPLICABLE;
	}
}

static bool is_passed_through(const struct license_gpu *gpu)
{
	return strcasecmp(gpu->virtualization, "Pass-Through") == 0;
}

/* The types that license a GPU without a vGPU. */
static bool is_for_passed_through(int feature_type)
{
	return feature_type == 2 || feature_type == 4;
}

bool license_is_needed(const struct gpu_list *gpus, int feature_type, bool offline)
{
	return offline || gpu_has_vgpu(gpus) || is_for_passed_through(feature_type);
}

bool license_needed(const struct license_gpu *gpu, int feature_type)
{
	if (is_passed_through(gpu))
		return is_for_passed_through(feature_type);

	/* A word that we do not know ("Unknown Error") must not pass for "needs none". */
	return strcasecmp(gpu->virtualization, "None") != 0 &&
	       strcasecmp(gpu->virtualization, "N/A") != 0 &&
	       strncasecmp(gpu->virtualization, "Host ", 5) != 0;
}

bool license_has_vgpu(const struct license_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		if (license_needed(&report->gpus[i], 0))
			return true;
	}

	return false;
}

bool license_held(const struct license_gpu *gpu)
{
	for (size_t i = 0; i < gpu->feature_count; i++) {
		const struct license_feature *feature = &gpu->features[i];

		if (feature->state != LICENSE_LICENSED)
			continue;
		/* What the driver reports, "Licensed", of a passed-through GPU without
		 * any. */
		if (is_passed_through(gpu) &&
		    text_ends(feature->product, " Virtual Applications"))
			continue;
		return true;
	}

	return false;
}

static bool is_known_mode(const char *mode)
{
	static const char *const modes[] = { "", "VGPU", "Pass-Through", "None", "N/A" };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcasecmp(mode, modes[i]) == 0)
			return true;
	}
	return strncasecmp(mode, "Host ", 5) == 0;
}

static const char *unknown_words(const struct license_report *report, int feature_type)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct license_gpu *gpu = &report->gpus[i];

		if (!license_needed(gpu, feature_type) || license_held(gpu))
			continue;
		if (!is_known_mode(gpu->virtualization))
			return gpu->virtualization;
		for (size_t f = 0; f < gpu->feature_count; f++) {
			/* "Unknown" is NVML's own word for a state that is still to come.
			 */
			if (gpu->features[f].state == LICENSE_UNKNOWN &&
			    gpu->features[f].status[0] &&
			    strcasecmp(gpu->features[f].status, "Unknown") != 0)
				return gpu->features[f].status;
		}
	}
	return NULL;
}

/* What is no error may be a word that a newer driver has. */
static const char *hint_of(const char *words)
{
	static const char *const broken[] = { "err", "reset", "lost", "fail" };

	if (strcasestr(words, "permission"))
		return "ask as root, or see who may open /dev/nvidia*";
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		if (strcasestr(words, broken[i]))
			return "reset the GPU (nvidia-smi --gpu-reset) or reboot; see "
			       "what the kernel says: dmesg | grep NVRM";
	}
	return "see nvidia-smi -q and dmesg | grep NVRM; a newer driver may have words "
	       "that only a newer vgpu-guest-agent knows";
}

int license_check_words(const struct license_report *report, int feature_type,
			struct error *err)
{
	const char *words = unknown_words(report, feature_type);

	if (!words)
		return 0;
	(void)error_set(err, ERROR_DRIVER, "the driver says of a GPU: %s", words);
	return error_hint(err, "%s", hint_of(words));
}

bool license_all_held(const struct license_report *report, size_t gpus, int feature_type)
{
	if (!report || report->count == 0 || report->count < gpus)
		return false;
	for (size_t i = 0; i < report->count; i++) {
		if (license_needed(&report->gpus[i], feature_type) &&
		    !license_held(&report->gpus[i]))
			return false;
	}

	return true;
}

const char *license_state_name(enum license_state state)
{
	switch (state) {
	case LICENSE_LICENSED:
		return "licensed";
	case LICENSE_UNLICENSED:
		return "unlicensed";
	case LICENSE_UNLICENSED_UNRESTRICTED:
		return "unlicensed_unrestricted";
	case LICENSE_UNLICENSED_RESTRICTED:
		return "unlicensed_restricted";
	case LICENSE_NOT_APPLICABLE:
		return "not_applicable";
	case LICENSE_UNKNOWN:
		break;
	}

	return "unknown";
}

static const char *expiry_name(enum license_expiry kind)
{
	switch (kind) {
	case LICENSE_EXPIRY_DATE:
		return "date";
	case LICENSE_EXPIRY_PERMANENT:
		return "permanent";
	case LICENSE_EXPIRY_NOT_APPLICABLE:
		return "not_applicable";
	case LICENSE_EXPIRY_UNAVAILABLE:
		return "unavailable";
	case LICENSE_EXPIRY_ERROR:
		return "error";
	case LICENSE_EXPIRY_NONE:
		break;
	}

	return NULL;
}

/* RFC 3339; NULL for a time that no calendar holds. */
static const char *time_text(int64_t time, char buffer[TIME_TEXT_SIZE])
{
	struct tm tm;
	time_t seconds = (time_t)time;

	if (!gmtime_r(&seconds, &tm) ||
	    strftime(buffer, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return NULL;
	return buffer;
}

static struct json *feature_json(const struct license_feature *feature)
{
	char buffer[TIME_TEXT_SIZE];
	const char *expiry = feature->expiry_kind == LICENSE_EXPIRY_DATE
				     ? time_text(feature->expiry, buffer)
				     : NULL;

	return json_build("{s:o, s:o, s:s, s:s?, s:s?}", "product",
			  json_words_or_null(feature->product), "status",
			  json_words_or_null(feature->status), "state",
			  license_state_name(feature->state), "expiry", expiry,
			  "expiry_kind", expiry_name(feature->expiry_kind));
}

static struct json *gpu_json(const struct license_gpu *gpu, int feature_type)
{
	cleanup_json struct json *features = json_build("[]");

	if (!features)
		return NULL;
	for (size_t i = 0; i < gpu->feature_count; i++) {
		if (json_append(features, feature_json(&gpu->features[i])) < 0)
			return NULL;
	}

	return json_build(
		"{s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "id", json_words_or_null(gpu->id),
		"uuid", json_words_or_null(gpu->uuid), "name",
		json_words_or_null(gpu->name), "virtualization",
		json_words_or_null(gpu->virtualization), "features", take_ptr(features),
		"needs_license", (int)license_needed(gpu, feature_type), "licensed",
		(int)license_held(gpu));
}

static struct json *reason_json(const struct license_reason *reason)
{
	if (!reason || !reason->code)
		return json_build("n");
	return json_build("{s:s, s:o, s:o}", "code", reason->code, "message",
			  json_words(reason->message), "hint",
			  json_words_or_null(reason->hint));
}

struct json *license_report_json(const struct license_report *report, size_t gpus,
				 int feature_type, const struct license_reason *reason,
				 int64_t now)
{
	cleanup_json struct json *list = json_build("[]");
	char buffer[TIME_TEXT_SIZE];

	if (!list)
		return NULL;
	for (size_t i = 0; report && i < report->count; i++) {
		if (json_append(list, gpu_json(&report->gpus[i], feature_type)) < 0)
			return NULL;
	}

	return json_build("{s:i, s:s?, s:o, s:b, s:o, s:o}", "schema", 1, "timestamp",
			  time_text(now, buffer), "driver_version",
			  json_words_or_null(report ? report->driver_version : ""),
			  "licensed", (int)license_all_held(report, gpus, feature_type),
			  "gpus", take_ptr(list), "reason", reason_json(reason));
}
