/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/driver/catalog_table.h"

/* One for each kind of GPU that a guest can have at once. */
#define VIEWS_MAX GPU_MAX

/* What a guest's branch says of a host. */
struct said {
	bool known; /* it has been asked */
	enum catalog_verdict hardware, branch;
};

/*
 * What the catalog says of one host and GPU, looked up once: a repository has thousands
 * of versions, each of which is asked about.
 */
struct view {
	struct host_driver driver;
	uint16_t device, subsystem_device;
	char name[64]; /* of the host's branch; "": neither host nor catalog tells */
	const struct json *branch;                              /* the host's, or NULL */
	struct catalog_table branches_allowed, branches_denied; /* by it */
	struct catalog_table drivers_allowed, drivers_denied;   /* by the host's driver */
	struct said *said;                                      /* by each guest branch */
};

/*
 * Kept as the document that it is: branch and driver descriptors, each with "allow" and
 * "deny" lists of branches, CPUs, GPUs and drivers. A missing list allows all, denies
 * none. Every list may have thousands of entries, so none is walked for each of another.
 */
struct catalog {
	struct json *document;
	struct catalog_table guests;   /* drivers of Linux guests, by version */
	struct catalog_table branches; /* of guests, by name */
	struct views {
		size_t count, next;
		struct view views[VIEWS_MAX];
	} * views;
};

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

static int index_document(struct catalog *catalog)
{
	const struct json *drivers = json_get(catalog->document, "driver");
	const struct json *branches = json_get(catalog->document, "branch");

	if (catalog_table_open(&catalog->guests, json_count(drivers)) < 0 ||
	    catalog_table_open(&catalog->branches, json_count(branches)) < 0)
		return -1;
	for (size_t i = 0; i < json_count(drivers); i++) {
		const struct json *driver = json_at(drivers, i);

		if (strcasecmp(json_get_words(driver, "type"), "guest") == 0 &&
		    list_names(json_get(driver, "os"), "Linux"))
			catalog_table_add(&catalog->guests,
					  json_get_words(driver, "version"), driver);
	}
	for (size_t i = 0; i < json_count(branches); i++) {
		const struct json *branch = json_at(branches, i);

		if (strcasecmp(json_get_words(branch, "type"), "guest") == 0)
			catalog_table_add(&catalog->branches,
					  json_get_words(branch, "name"), branch);
	}
	catalog_table_sort(&catalog->guests);
	catalog_table_sort(&catalog->branches);
	return 0;
}

int catalog_from_json(const struct json *json, struct catalog **ret_catalog,
		      struct error *err)
{
	cleanup_catalog struct catalog *catalog = calloc(1, sizeof(*catalog));

	if (json_kind(json) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INTEGRITY,
				 "the driver catalog is no mapping");
	if (catalog) {
		catalog->document = json_build("O", json);
		catalog->views = calloc(1, sizeof(*catalog->views));
	}
	if (!catalog || !catalog->document || !catalog->views ||
	    index_document(catalog) < 0)
		return error_set_errno(err, ENOMEM, "reading the driver catalog");

	*ret_catalog = take_ptr(catalog);
	return 0;
}

static void view_done(struct view *view)
{
	catalog_table_done(&view->branches_allowed);
	catalog_table_done(&view->branches_denied);
	catalog_table_done(&view->drivers_allowed);
	catalog_table_done(&view->drivers_denied);
	free(view->said);
	*view = (struct view){ .branch = NULL };
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	for (size_t i = 0; catalog->views && i < catalog->views->count; i++)
		view_done(&catalog->views->views[i]);
	free(catalog->views);
	catalog_table_done(&catalog->guests);
	catalog_table_done(&catalog->branches);
	json_free(catalog->document);
	free(catalog);
}

/* NVIDIA's tool knows one CPU by one name. */
static bool list_names_cpu(const struct json *list)
{
	return list_names(list, "x86");
}

static bool id_is(const struct json *entry, const char *key, uint16_t id)
{
	const char *text = json_get_words(entry, key);

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
static bool names_driver(const struct json *entry, const char *version,
			 const char *hypervisor, const char *os)
{
	const struct json *hypervisors = json_get(entry, "hypervisor");
	const struct json *systems = json_get(entry, "os");

	return strcmp(json_get_words(entry, "version"), version) == 0 &&
	       (!hypervisor[0] || list_count(hypervisors) == 0 ||
		list_names(hypervisors, hypervisor)) &&
	       (!os[0] || list_count(systems) == 0 || list_names(systems, os));
}

static bool list_names_driver(const struct json *list, const char *version,
			      const char *hypervisor, const char *os)
{
	for (size_t i = 0; i < list_count(list); i++) {
		if (names_driver(list_at(list, i), version, hypervisor, os))
			return true;
	}

	return false;
}

static bool table_names_driver(const struct catalog_table *table, const char *version,
			       const char *os)
{
	for (size_t i = catalog_table_find(table, version);
	     catalog_table_is(table, i, version); i++) {
		if (names_driver(table->entries[i].item, version, "", os))
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

/* The host's branch: the first descriptor of its name that is for this hardware. */
static const struct json *find_host_branch(const struct catalog *catalog,
					   const struct catalog_host *host,
					   const char *name)
{
	const struct json *branches = json_get(catalog->document, "branch");

	for (size_t i = 0; i < json_count(branches); i++) {
		const struct json *branch = json_at(branches, i);

		if (strcasecmp(json_get_words(branch, "type"), "host") == 0 &&
		    strcasecmp(json_get_words(branch, "name"), name) == 0 &&
		    judge_hardware(branch, host) == CATALOG_ALLOWED)
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

		if (strcasecmp(json_get_words(driver, "type"), "host") == 0 &&
		    (!host->driver->branch[0] ||
		     strcasecmp(json_get_words(driver, "branch"), host->driver->branch) ==
			     0) &&
		    strcmp(json_get_words(driver, "version"), host->driver->version) == 0)
			return driver;
	}

	return NULL;
}

/* A list of a descriptor as a table; `key` of each entry, NULL: the entries are texts. */
static int tabulate(const struct json *of, const char *side, const char *kind,
		    const char *key, struct catalog_table *table)
{
	const struct json *list = json_get(json_get(of, side), kind);
	size_t count = list_count(list);

	if (catalog_table_open(table, count) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct json *item = list_at(list, i);

		catalog_table_add(table,
				  key ? json_get_words(item, key) : json_as_string(item),
				  item);
	}
	catalog_table_sort(table);
	return 0;
}

static int fill_view(struct view *view, const struct catalog *catalog,
		     const struct catalog_host *host)
{
	const struct json *driver = find_host_driver(catalog, host);

	view->driver = *host->driver;
	view->device = host->device;
	view->subsystem_device = host->subsystem_device;
	if (!text_copy(view->name, sizeof(view->name),
		       host->driver->branch[0] ? host->driver->branch
					       : json_get_words(driver, "branch")))
		view->name[0] = '\0';
	view->branch = find_host_branch(catalog, host, view->name);
	view->said = calloc(catalog->branches.count + 1, sizeof(*view->said));
	if (!view->said ||
	    tabulate(view->branch, "allow", "branch", NULL, &view->branches_allowed) <
		    0 ||
	    tabulate(view->branch, "deny", "branch", NULL, &view->branches_denied) < 0 ||
	    tabulate(driver, "allow", "driver", "version", &view->drivers_allowed) < 0)
		return -1;
	return tabulate(driver, "deny", "driver", "version", &view->drivers_denied);
}

static bool is_of(const struct view *view, const struct catalog_host *host)
{
	return view->device == host->device &&
	       view->subsystem_device == host->subsystem_device &&
	       strcmp(view->driver.version, host->driver->version) == 0 &&
	       strcmp(view->driver.branch, host->driver->branch) == 0;
}

/* Made where it is not there yet. NULL: memory is out. */
static struct view *find_view(const struct catalog *catalog,
			      const struct catalog_host *host)
{
	struct views *views = catalog->views;
	struct view view = { .branch = NULL };
	size_t place;

	for (size_t i = 0; i < views->count; i++) {
		if (is_of(&views->views[i], host))
			return &views->views[i];
	}
	if (fill_view(&view, catalog, host) < 0) {
		view_done(&view);
		return NULL;
	}
	place = views->count < VIEWS_MAX ? views->count++ : views->next++ % VIEWS_MAX;
	view_done(&views->views[place]);
	views->views[place] = view;
	return &views->views[place];
}

/* One thing that is asked of the catalog, and how an answer is told. */
struct opinion {
	enum catalog_verdict verdict;
	const char *denied, *missing;
};

/* What a guest's branch says of the host: asked once, many drivers are of one branch. */
static struct said judge_guest_branch(const struct catalog *catalog,
				      const struct view *view,
				      const struct catalog_host *host, size_t branch)
{
	const struct catalog_table *branches = &catalog->branches;
	const struct json *of = NULL;

	if (branch == branches->count)
		return (struct said){ true, CATALOG_ALLOWED, CATALOG_ALLOWED };
	if (!view->said[branch].known) {
		of = branches->entries[branch].item;
		view->said[branch] = (struct said){ true, judge_hardware(of, host),
						    judge_branch(of, view->name) };
	}
	return view->said[branch];
}

static bool table_has(const struct catalog_table *table, const char *key)
{
	return catalog_table_find(table, key) < table->count;
}

/* What the host's branch says of a guest's. */
static enum catalog_verdict judge_by_host(const struct view *view, const char *branch)
{
	if (table_has(&view->branches_denied, branch))
		return CATALOG_DENIED;
	if (view->branches_allowed.count > 0 &&
	    !table_has(&view->branches_allowed, branch))
		return CATALOG_UNKNOWN;
	return CATALOG_ALLOWED;
}

/* What the host's driver says of a guest's version: the same for each entry of it. */
static enum catalog_verdict judge_by_host_driver(const struct view *view,
						 const char *version)
{
	if (table_names_driver(&view->drivers_denied, version, "Linux"))
		return CATALOG_DENIED;
	if (view->drivers_allowed.count > 0 &&
	    !table_names_driver(&view->drivers_allowed, version, "Linux"))
		return CATALOG_UNKNOWN;
	return CATALOG_ALLOWED;
}

/* `by_driver`: what the host's driver says of the version. */
static enum catalog_verdict
judge_guest(const struct catalog *catalog, const struct view *view,
	    const struct catalog_host *host, const struct json *guest,
	    enum catalog_verdict by_driver, const char **ret_why)
{
	const char *branch = json_get_words(guest, "branch");
	size_t of_guest = catalog_table_find(&catalog->branches, branch);
	const struct said of_branch = judge_guest_branch(catalog, view, host, of_guest);
	const struct opinion opinions[] = {
		{ judge_hardware(guest, host), "denied for this GPU or CPU",
		  "not meant for this GPU or CPU" },
		{ of_branch.hardware, "its branch is denied for this GPU or CPU",
		  "its branch is not meant for this GPU or CPU" },
		{ of_branch.branch, "denied for the host's branch",
		  "its branch is not allowed on the host's" },
		{ judge_by_host(view, branch), "denied by the host's branch",
		  "not allowed by the host's branch" },
		{ judge_driver(guest, host->driver->version, host->hypervisor, ""),
		  "denied on the host's version", "not allowed on the host's version" },
		{ by_driver, "denied by the host's version",
		  "not allowed by the host's version" },
		{ of_guest < catalog->branches.count ? CATALOG_ALLOWED : CATALOG_UNKNOWN,
		  "", "its branch is not in the catalog" },
		{ view->branch ? CATALOG_ALLOWED : CATALOG_UNKNOWN, "",
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

	if (strcasecmp(branch, view->name) == 0) {
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
	const struct catalog_table *guests = &catalog->guests;
	const struct view *view = find_view(catalog, host);
	enum catalog_verdict best = CATALOG_UNKNOWN, by_driver;

	/* A denial that could not be read must not be overlooked. */
	*ret_why = "there is no memory to read the catalog";
	if (!view)
		return CATALOG_DENIED;

	*ret_why = "not in the catalog";
	by_driver = judge_by_host_driver(view, guest_version);
	for (size_t i = catalog_table_find(guests, guest_version);
	     catalog_table_is(guests, i, guest_version); i++) {
		const struct json *driver = guests->entries[i].item;
		enum catalog_verdict verdict;
		const char *why;

		if (strcmp(json_get_words(driver, "version"), guest_version) != 0)
			continue;
		verdict = judge_guest(catalog, view, host, driver, by_driver, &why);
		if (weight(verdict) >= weight(best)) {
			best = verdict;
			*ret_why = why;
		}
	}

	return best;
}
