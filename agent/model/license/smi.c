/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/smi.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/*
 * The form, R390 to R610 (the column of the colons differs and is never looked at):
 *
 *   Driver Version      : 535.183.06
 *   Attached GPUs       : 1
 *   GPU 00000000:02:00.0
 *       Product Name    : NVIDIA RTXA6000-24Q       depth of the sections
 *       GPU Virtualization Mode                     a heading: no colon
 *           Virtualization Mode : VGPU
 *       vGPU Software Licensed Product
 *           Product Name    : NVIDIA RTX Virtual Workstation
 *           License Status  : Licensed (Expiry: 2026-7-7 16:1:44 GMT)
 *       PCI                                         always behind the license section
 */

enum section {
	SECTION_OTHER,
	SECTION_VIRTUALIZATION,
	SECTION_LICENSE,
	SECTION_PROCESSES, /* its names are the tenants': nothing in it is the driver's */
};

struct reader {
	struct license_report *report;
	struct license_gpu
		*gpu; /* the one whose sections are being read; NULL: none yet */
	size_t base;  /* blanks in front of "GPU 0000..." */
	size_t depth; /* blanks in front of its sections; 0: not seen yet */
	enum section section;
	bool had_license; /* this GPU has a license section */
	bool complete;    /* this GPU's license section cannot grow any more */
	bool broken;      /* a GPU before this one ended too early */
	bool too_many;
	bool has_promise;
	uint64_t promised; /* "Attached GPUs" */
};

/* The first line of each error is the text; nvidia-smi prints them before, after or
 * instead of a report, on either stream. */
static const struct {
	const char *text;
	const char *hint;
} complaints[] = {
	{ "NVIDIA-SMI has failed because",
	  "load the driver's modules (modprobe nvidia) and see what dmesg says of NVRM" },
	{ "Failed to initialize NVML: Driver/library version mismatch",
	  "the loaded modules are of another version than the libraries: reboot" },
	{ "Failed to initialize NVML",
	  "see what dmesg says of NVRM; in a container the devices may be missing" },
	{ "No devices were found",
	  "the driver drives no GPU: see dmesg for lines of NVRM" },
	{ "Unable to determine the device handle for",
	  "a GPU is lost to the driver: see dmesg for lines of NVRM, then reboot" },
};

static size_t indent_of(struct span line)
{
	size_t n = 0;

	while (n < line.len && (line.at[n] == ' ' || line.at[n] == '\t'))
		n++;
	return n;
}

/* Generations of the driver spell a key with other capitals. */
static bool is_key(struct span key, const char *name)
{
	return key.len == strlen(name) && strncasecmp(key.at, name, key.len) == 0;
}

static void copy_value(struct span value, char *ret_text, size_t size)
{
	(void)span_copy(value, ret_text, size);
	text_sanitize(ret_text);
}

/* Cuts `count` or more (up to `most`) hexadecimal digits and what must follow them. */
static bool skip_hex(struct span *rest, size_t least, size_t most, const char *then)
{
	size_t n = 0;

	while (n < rest->len && n < most && isxdigit((unsigned char)rest->at[n]))
		n++;
	if (n < least)
		return false;
	rest->at += n;
	rest->len -= n;
	return span_skip(rest, then);
}

/* "GPU 00000000:02:00.0", but not "GPU Virtualization Mode" or "GPU UUID : ..." */
static bool is_gpu_heading(struct span content, struct span *ret_id)
{
	struct span id = content;

	if (id.len < 4 || strncasecmp(id.at, "GPU ", 4) != 0)
		return false;
	id.at += 4;
	id.len -= 4;
	id = span_trim(id);
	*ret_id = id;
	return skip_hex(&id, 4, 8, ":") && skip_hex(&id, 2, 2, ":") &&
	       skip_hex(&id, 2, 2, ".") && skip_hex(&id, 1, 1, "") && id.len == 0;
}

static void begin_gpu(struct reader *reader, struct span id, size_t indent)
{
	if (reader->gpu && !reader->complete && !reader->had_license)
		reader->broken = true;
	if (reader->report->count == LICENSE_GPUS_MAX) {
		reader->too_many = true;
		return;
	}

	reader->gpu = &reader->report->gpus[reader->report->count++];
	reader->base = indent;
	reader->depth = 0;
	reader->section = SECTION_OTHER;
	reader->had_license = false;
	reader->complete = false;
	copy_value(id, reader->gpu->id, sizeof(reader->gpu->id));
}

static void read_top(struct reader *reader, struct span key, struct span value)
{
	if (is_key(key, "Driver Version") || is_key(key, "KMD Version"))
		copy_value(value, reader->report->driver_version,
			   sizeof(reader->report->driver_version));
	else if (is_key(key, "Attached GPUs"))
		reader->has_promise = span_to_u64(value, &reader->promised);
}

/* A line at the depth of the sections ends the one before it. */
static void read_section(struct reader *reader, struct span key, struct span value,
			 bool has_value)
{
	if (reader->section == SECTION_LICENSE)
		reader->complete = true;
	reader->section = SECTION_OTHER;

	if (is_key(key, "PCI")) {
		reader->complete = true;
	} else if (is_key(key, "Processes") || is_key(key, "Compute Processes")) {
		reader->complete = true;
		reader->section = SECTION_PROCESSES;
	} else if (has_value && is_key(key, "Product Name")) {
		copy_value(value, reader->gpu->name, sizeof(reader->gpu->name));
	} else if (has_value && is_key(key, "GPU UUID")) {
		copy_value(value, reader->gpu->uuid, sizeof(reader->gpu->uuid));
	} else if (is_key(key, "GPU Virtualization Mode")) {
		reader->section = SECTION_VIRTUALIZATION;
	} else if (is_key(key, "vGPU Software Licensed Product") ||
		   is_key(key, "GRID Licensed Product")) {
		reader->section = SECTION_LICENSE;
		reader->had_license = true;
	}
}

/* One to three pairs of product and status; either may be missing. */
static void read_license(struct license_gpu *gpu, struct span key, struct span value)
{
	bool is_product = is_key(key, "Product Name");
	bool is_status = is_key(key, "License Status");
	struct license_feature *last =
		gpu->feature_count > 0 ? &gpu->features[gpu->feature_count - 1] : NULL;

	if (!is_product && !is_status)
		return;
	if (!last || is_product || last->status[0]) {
		if (gpu->feature_count == LICENSE_FEATURES_MAX)
			return;
		last = &gpu->features[gpu->feature_count++];
	}

	if (is_product)
		copy_value(value, last->product, sizeof(last->product));
	else
		license_read_status(value, last);
}

/*
 * One line "Key : Value" of nvidia-smi -q. Its indentation tells whether it is of the
 * whole report, of a GPU or of a section of that; how deep a GPU's lines stand is seen
 * at the first.
 */
static void read_line(struct reader *reader, struct span line)
{
	size_t indent = indent_of(line);
	struct span content = span_trim(line), key, value, id;
	bool has_value;

	if (content.len == 0)
		return;
	if (is_gpu_heading(content, &id) && (!reader->gpu || indent <= reader->base)) {
		begin_gpu(reader, id, indent);
		return;
	}

	has_value = span_split(content, ':', &key, &value);
	key = span_trim(key);
	value = has_value ? span_trim(value) : (struct span){ content.at, 0 };

	if (!reader->gpu) {
		read_top(reader, key, value);
		return;
	}
	/* An error or a warning between the lines belongs to no section. */
	if (indent <= reader->base || reader->section == SECTION_PROCESSES)
		return;
	if (reader->depth == 0)
		reader->depth = indent;

	if (indent <= reader->depth)
		read_section(reader, key, value, has_value);
	else if (reader->section == SECTION_LICENSE && has_value)
		read_license(reader->gpu, key, value);
	else if (reader->section == SECTION_VIRTUALIZATION &&
		 is_key(key, "Virtualization Mode"))
		copy_value(value, reader->gpu->virtualization,
			   sizeof(reader->gpu->virtualization));
}

/* Index of the complaint in `line`, or the table's size. */
static size_t complaint_of(struct span line)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(complaints) && !span_starts(line, complaints[i].text))
		i++;
	return i;
}

static bool find_complaint(struct span report, struct span *ret_line, size_t *ret_index)
{
	while (span_next_line(&report, ret_line)) {
		*ret_line = span_trim(*ret_line);
		*ret_index = complaint_of(*ret_line);
		if (*ret_index < ARRAY_SIZE(complaints))
			return true;
	}

	return false;
}

bool smi_complaint(struct span report, char *ret_text, size_t size)
{
	struct span line;
	size_t index;

	if (!find_complaint(report, &line, &index))
		return false;

	copy_value(line, ret_text, size);
	return true;
}

/* A report that is not whole: nvidia-smi's own words where it printed any. */
static int fail(struct span report, const char *what, struct error *err)
{
	char text[256];
	struct span line;
	size_t index;

	if (!find_complaint(report, &line, &index))
		return error_set(err, ERROR_DRIVER, "%s", what);

	copy_value(line, text, sizeof(text));
	(void)error_set(err, ERROR_DRIVER, "%s", text);
	return error_hint(err, "%s", complaints[index].hint);
}

/* Nothing of a report at all: its first line is what there is to say. */
static int fail_without_gpu(struct span report, struct error *err)
{
	struct span rest = report, line = { report.at, 0 };
	char text[160], what[sizeof(text) + 64];

	while (line.len == 0 && span_next_line(&rest, &line))
		line = span_trim(line);
	copy_value(line, text, sizeof(text));
	if (!text[0])
		return error_set(err, ERROR_DRIVER, "nvidia-smi printed nothing");
	if (strstr(text, "NVSMI LOG"))
		return fail(report, "nvidia-smi's report shows no GPU", err);
	if (!text_format(what, sizeof(what), "nvidia-smi printed no report but: %s",
			 text))
		return error_set(err, ERROR_DRIVER, "nvidia-smi printed no report");
	return fail(report, what, err);
}

int smi_parse(struct span report, struct license_report *ret_report, struct error *err)
{
	cleanup_free struct license_report *result = calloc(1, sizeof(*result));
	struct reader reader = { .report = result };
	struct span rest = report, line;

	if (!result)
		return error_set_errno(err, ENOMEM, "reading nvidia-smi's report");

	while (span_next_line(&rest, &line))
		read_line(&reader, line);

	if (reader.too_many)
		return error_set(err, ERROR_DRIVER,
				 "nvidia-smi's report shows more than %d GPUs",
				 LICENSE_GPUS_MAX);
	if (result->count == 0)
		return fail_without_gpu(report, err);
	if (!reader.complete || reader.broken)
		return fail(report, "nvidia-smi's report stops in the middle of a GPU",
			    err);
	if (reader.has_promise && result->count != reader.promised)
		return fail(report,
			    "nvidia-smi's report shows another number of GPUs than it "
			    "announces",
			    err);

	*ret_report = *result;
	return 0;
}
