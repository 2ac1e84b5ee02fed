/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Kept as the document that it is: branch and driver descriptors, each with "allow" and
 * "deny" lists of branches, CPUs, GPUs and drivers. A missing list allows all, denies
 * none.
 */
struct catalog {
	struct json *document;
};

int catalog_from_json(const struct json *json, struct catalog **ret_catalog,
		      struct error *err)
{
	cleanup_free char *text = json_print(json);
	cleanup_catalog struct catalog *catalog = calloc(1, sizeof(*catalog));

	if (!text || !catalog)
		return error_set_errno(err, ENOMEM, "reading the driver catalog");
	if (json_kind(json) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INTEGRITY,
				 "the driver catalog is no mapping");
	if (json_parse(text, strlen(text), &catalog->document, err) < 0)
		return error_prefix(err, "reading the driver catalog");

	*ret_catalog = take_ptr(catalog);
	return 0;
}

void catalog_free(struct catalog *catalog)
{
	if (catalog)
		json_free(catalog->document);
	free(catalog);
}

static const char *text_of(const struct json *descriptor, const char *key)
{
	const char *text = json_get_string(descriptor, key);

	return text ? text : "";
}

/* A list, or one value that stands where a list may. */
static size_t list_count(const struct json *list)
{
	if (json_kind(list) == JSON_KIND_ARRAY)
		return json_count(list);
	return json_kind(list) == JSON_KIND_NULL ? 0 : 1;
}

static const struct json *list_at(const struct json *list, size_t index)
{
	return json_kind(list) == JSON_KIND_ARRAY ? json_at(list, index) : list;
}

static bool list_names(const struct json *list, const char *name)
{
	for (size_t i = 0; i < list_count(list); i++) {
		if (strcasecmp(json_as_string(list_at(list, i)), name) == 0)
			return true;
	}

	return false;
}

/* NVIDIA's tool knows one CPU by one name. */
static bool list_names_cpu(const struct json *list)
{
	return list_names(list, "x86");
}

static bool id_is(const struct json *entry, const char *key, uint16_t id)
{
	const char *text = text_of(entry, key);

	return id != 0 && text[0] && strtoul(text, NULL, 16) == id;
}

/* As in NVIDIA's tool either id is enough: an entry with only devid means any subsystem.
 */
static bool list_names_gpu(const struct json *list, const struct catalog_host *host)
{
	for (size_t i = 0; i < list_count(list); i++) {
		const struct json *entry = list_at(list, i);

		if (id_is(entry, "devid", host->device) ||
		    id_is(entry, "ssid", host->subsystem_device))
			return true;
	}

	return false;
}

/* {version, hypervisor[], os[]}: the two lists narrow the entry where they are there. */
static bool list_names_driver(const struct json *list, const char *version,
			      const char *hypervisor, const char *os)
{
	for (size_t i = 0; i < list_count(list); i++) {
		const struct json *entry = list_at(list, i);
		const struct json *hypervisors = json_get(entry, "hypervisor");
		const struct json *systems = json_get(entry, "os");

		if (strcmp(text_of(entry, "version"), version) != 0)
			continue;
		if (hypervisor[0] && list_count(hypervisors) > 0 &&
		    !list_names(hypervisors, hypervisor))
			continue;
		if (os[0] && list_count(systems) > 0 && !list_names(systems, os))
			continue;
		return true;
	}

	return false;
}

/* Judges GPU, CPU and the like of the host by the lists allow and deny. */
static enum catalog_verdict judge_hardware(const struct json *descriptor,
					   const struct catalog_host *host)
{
	const struct json *allow = json_get(descriptor, "allow");
	const struct json *deny = json_get(descriptor, "deny");
	const struct json *gpus = json_get(allow, "gpu");
	const struct json *cpus = json_get(allow, "cpu");

	if (list_names_cpu(json_get(deny, "cpu")) ||
	    list_names_gpu(json_get(deny, "gpu"), host))
		return CATALOG_DENIED;
	if (list_count(cpus) > 0 && !list_names_cpu(cpus))
		return CATALOG_UNKNOWN;
	if (host->device != 0 && list_count(gpus) > 0 && !list_names_gpu(gpus, host))
		return CATALOG_UNKNOWN;
	return CATALOG_ALLOWED;
}

/* The first branch descriptor of that type and name that is for this hardware. */
static const struct json *find_branch(const struct catalog *catalog, const char *type,
				      const char *name, const struct catalog_host *host)
{
	const struct json *branches = json_get(catalog->document, "branch");

	for (size_t i = 0; i < json_count(branches); i++) {
		const struct json *branch = json_at(branches, i);

		if (strcasecmp(text_of(branch, "type"), type) == 0 &&
		    strcasecmp(text_of(branch, "name"), name) == 0 &&
		    (!host || judge_hardware(branch, host) == CATALOG_ALLOWED))
			return branch;
	}

	return NULL;
}

/* What descriptor `of` says of a branch named `name`. */
static enum catalog_verdict judge_branch(const struct json *of, const char *name)
{
	const struct json *allowed = json_get(json_get(of, "allow"), "branch");
	const struct json *denied = json_get(json_get(of, "deny"), "branch");

	if (list_names(denied, name))
		return CATALOG_DENIED;
	if (list_count(allowed) > 0 && !list_names(allowed, name))
		return CATALOG_UNKNOWN;
	return CATALOG_ALLOWED;
}

/* What descriptor `of` says of a driver of that version. */
static enum catalog_verdict judge_driver(const struct json *of, const char *version,
					 const char *hypervisor, const char *os)
{
	const struct json *allowed = json_get(json_get(of, "allow"), "driver");
	const struct json *denied = json_get(json_get(of, "deny"), "driver");

	if (list_names_driver(denied, version, hypervisor, os))
		return CATALOG_DENIED;
	if (list_count(allowed) > 0 &&
	    !list_names_driver(allowed, version, hypervisor, os))
		return CATALOG_UNKNOWN;
	return CATALOG_ALLOWED;
}

/* The host's own entry; most catalogs need none. */
static const struct json *find_host_driver(const struct catalog *catalog,
					   const struct catalog_host *host)
{
	const struct json *drivers = json_get(catalog->document, "driver");

	for (size_t i = 0; i < json_count(drivers); i++) {
		const struct json *driver = json_at(drivers, i);

		if (strcasecmp(text_of(driver, "type"), "host") == 0 &&
		    strcasecmp(text_of(driver, "branch"), host->driver->branch) == 0 &&
		    strcmp(text_of(driver, "version"), host->driver->version) == 0)
			return driver;
	}

	return NULL;
}

/* One thing that is asked of the catalog, and how an answer is told. */
struct opinion {
	enum catalog_verdict verdict;
	const char *denied, *missing;
};

static enum catalog_verdict judge_guest(const struct catalog *catalog,
					const struct catalog_host *host,
					const struct json *guest, const char **ret_why)
{
	const char *branch = text_of(guest, "branch"),
		   *host_branch = host->driver->branch;
	const struct json *of_guest = find_branch(catalog, "guest", branch, NULL);
	const struct json *of_host = find_branch(catalog, "host", host_branch, host);
	const struct json *host_driver = find_host_driver(catalog, host);
	const struct opinion opinions[] = {
		{ judge_hardware(guest, host), "denied for this GPU or CPU",
		  "not meant for this GPU or CPU" },
		{ judge_hardware(of_guest, host),
		  "its branch is denied for this GPU or CPU",
		  "its branch is not meant for this GPU or CPU" },
		{ judge_branch(of_guest, host_branch), "denied for the host's branch",
		  "its branch is not allowed on the host's" },
		{ judge_branch(of_host, branch), "denied by the host's branch",
		  "not allowed by the host's branch" },
		{ judge_driver(guest, host->driver->version, host->hypervisor, ""),
		  "denied on the host's version", "not allowed on the host's version" },
		{ judge_driver(host_driver, text_of(guest, "version"), "", "Linux"),
		  "denied by the host's version", "not allowed by the host's version" },
		{ of_guest ? CATALOG_ALLOWED : CATALOG_UNKNOWN, "",
		  "its branch is not in the catalog" },
		{ of_host ? CATALOG_ALLOWED : CATALOG_UNKNOWN, "",
		  "the host's branch is not in the catalog" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(opinions); i++) {
		*ret_why = opinions[i].denied;
		if (opinions[i].verdict == CATALOG_DENIED)
			return CATALOG_DENIED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(opinions); i++) {
		*ret_why = opinions[i].missing;
		if (opinions[i].verdict == CATALOG_UNKNOWN)
			return CATALOG_UNKNOWN;
	}

	if (strcasecmp(branch, host_branch) == 0) {
		*ret_why = "allowed, and of the host's own branch";
		return CATALOG_SAME_BRANCH;
	}
	*ret_why = "allowed on the host's branch";
	return CATALOG_ALLOWED;
}

/* The more an entry says for the version the further in front; any denial beats silence.
 */
static int weight(enum catalog_verdict verdict)
{
	static const int weights[] = {
		[CATALOG_UNKNOWN] = 0,
		[CATALOG_DENIED] = 1,
		[CATALOG_ALLOWED] = 2,
		[CATALOG_SAME_BRANCH] = 3,
	};

	return weights[verdict];
}

enum catalog_verdict catalog_judge(const struct catalog *catalog,
				   const struct catalog_host *host,
				   const char *guest_version, const char **ret_why)
{
	const struct json *drivers = json_get(catalog->document, "driver");
	enum catalog_verdict best = CATALOG_UNKNOWN;

	*ret_why = "not in the catalog";
	for (size_t i = 0; i < json_count(drivers); i++) {
		const struct json *driver = json_at(drivers, i);
		enum catalog_verdict verdict;
		const char *why;

		if (strcmp(text_of(driver, "version"), guest_version) != 0 ||
		    strcasecmp(text_of(driver, "type"), "guest") != 0 ||
		    !list_names(json_get(driver, "os"), "Linux"))
			continue;

		verdict = judge_guest(catalog, host, driver, &why);
		if (weight(verdict) >= weight(best)) {
			best = verdict;
			*ret_why = why;
		}
	}

	return best;
}
