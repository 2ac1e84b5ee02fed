/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/match.h"

#include <string.h>
#include <time.h>

#include "base/text.h"
#include "support/cmocka.h"

#define RUN(version) "NVIDIA-Linux-x86_64-" version "-grid.run"
#define DEB(branch, version) "nvidia-linux-grid-" branch "_" version "_amd64.deb"
#define RPM(branch, version) "nvidia-linux-grid-" branch "-" version "-1.x86_64.rpm"
#define KVM(versions) "NVIDIA-GRID-Linux-KVM-" versions ".zip"

/* One vGPU of a host, an empty repository, the default settings. */
struct scene {
	struct gpu_list gpus;
	struct host_driver host;
	struct repository repository;
	struct match_input input;
	struct match match;
	struct error err;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	scene->gpus.count = 1;
	scene->gpus.gpus[0] = (struct gpu){ .address = "0000:06:00.0",
					    .device = 0x1eb8,
					    .subsystem_device = 0x130f,
					    .kind = GPU_VGPU,
					    .record = GPU_RECORD_READ };
	scene->input = (struct match_input){ .gpus = &scene->gpus,
					     .host = &scene->host,
					     .arch = "x86_64",
					     .os_kind = PACKAGE_DEB,
					     .package = "auto",
					     .url = "",
					     .version = "",
					     .installed = "",
					     .repository = &scene->repository };
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	match_done(&scene->match);
	repository_done(&scene->repository);
	free(scene);
	return 0;
}

static void set_host(struct scene *scene, const char *version)
{
	assert_true(text_copy(scene->host.version, sizeof(scene->host.version), version));
	assert_true(text_copy(scene->host.branch, sizeof(scene->host.branch), "r538_27"));
}

static void set_absent_host(struct scene *scene)
{
	scene->host.version[0] = '\0';
	scene->gpus.gpus[0].kind = GPU_PASSTHROUGH;
	scene->gpus.gpus[0].record = GPU_RECORD_ABSENT;
}

/* Names with blanks between; and NVIDIA's catalog or NULL, written with single quotes. */
static void set_files(struct scene *scene, const char *names, const char *catalog)
{
	cleanup_free char *text =
		text_print("{'files':[],'catalog':%s}", catalog ? catalog : "null");
	cleanup_json struct json *json = NULL;
	struct json *files = json_build("[]");
	struct span rest = span_of(names), name;

	assert_non_null(text);
	for (char *c = text; (c = strchr(c, '\''));)
		*c = '"';
	if (json_parse(text, strlen(text), &json, &scene->err) < 0)
		fail_msg("%s: %s", text, scene->err.text);
	while (rest.len > 0) {
		(void)span_split(rest, ' ', &name, &rest);
		assert_int_equal(json_append(files, json_build("{s:s%}", "name", name.at,
							       name.len)),
				 0);
	}
	assert_int_equal(json_set(json, "files", files), 0);

	repository_done(&scene->repository);
	if (repository_from_json(json, &scene->repository, &scene->err) < 0)
		fail_msg("%s", scene->err.text);
}

static int decide(struct scene *scene)
{
	match_done(&scene->match);
	scene->err = ERROR_INIT;
	return match_decide(&scene->input, &scene->match, &scene->err);
}

static void assert_chosen(struct scene *scene, enum match_rule rule, const char *name)
{
	size_t accepted = 0;

	if (decide(scene) < 0)
		fail_msg("%s: %s", name, scene->err.text);
	assert_string_equal(match_rule_name(scene->match.rule), match_rule_name(rule));
	assert_string_equal(scene->match.package.name, name);

	for (size_t i = 0; i < scene->match.count; i++) {
		const struct match_candidate *candidate = &scene->match.candidates[i];

		if (candidate->why[0] == '\0')
			fail_msg("%s without a reason", candidate->name);
		if (!candidate->accepted)
			continue;
		accepted++;
		assert_string_equal(candidate->name, name);
	}
	assert_int_equal(accepted, 1);
}

static void assert_refused(struct scene *scene, enum error_code code, const char *words)
{
	if (decide(scene) == 0)
		fail_msg("%s by %s", scene->match.package.name,
			 match_rule_name(scene->match.rule));
	assert_int_equal(scene->err.code, code);
	if (!strstr(scene->err.text, words))
		fail_msg("%s", scene->err.text);
	assert_string_not_equal(scene->err.hint, "");
	assert_int_equal(scene->match.rule, MATCH_NONE);
	for (size_t i = 0; i < scene->match.count; i++) {
		assert_false(scene->match.candidates[i].accepted);
		assert_string_not_equal(scene->match.candidates[i].why, "");
	}
}

static const char *why_of(const struct scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->match.count; i++) {
		if (strcmp(scene->match.candidates[i].name, name) == 0)
			return scene->match.candidates[i].why;
	}

	fail_msg("%s is no candidate", name);
	return "";
}

static void the_rules_go_in_their_order(void **state)
{
	static const struct {
		const char *host, *files;
		enum match_rule rule;
		const char *chosen;
	} cases[] = {
		/* a bundle of this host wins over higher loose versions of its branch */
		{ "535.161.05",
		  RUN("535.216.01") " " KVM("535.161.05-535.161.07-538.33") " " KVM(
			  "535.161.05-535.161.08-538.46") " " KVM("535.183.04-535.183.06-"
								  "538.78"),
		  MATCH_BUNDLE, KVM("535.161.05-535.161.08-538.46") },
		{ "535.129.03", KVM("535.129.03-537.70") " " RUN("535.129.03"),
		  MATCH_BUNDLE, KVM("535.129.03-537.70") },
		/* two components are another version than three */
		{ "470.63", KVM("470.63.01-470.63.02-471.68") " " RUN("470.63.01"),
		  MATCH_BRANCH, KVM("470.63.01-470.63.02-471.68") },
		/* a host of another hypervisor: its number is no branch of ours */
		{ "553.07", KVM("553.07-550.144.03-553.62") " " RUN("550.163.01"),
		  MATCH_BUNDLE, KVM("553.07-550.144.03-553.62") },
		/* the highest of the branch, the loose file of two, the .run of three */
		{ "535.161.05",
		  RUN("535.104.05") " " RUN("535.54.03") " " RUN("525.147.05") " " RUN(
			  "550.54.14"),
		  MATCH_BRANCH, RUN("535.104.05") },
		{ "535.161.05",
		  KVM("535.54.06-535.54.03-536.25") " " RUN("535.54.03") " " DEB(
			  "535", "535.54.03"),
		  MATCH_BRANCH, RUN("535.54.03") },
		{ "535.161.05",
		  KVM("535.54.06-535.54.03-536.25") " " DEB("535", "535.54.03"),
		  MATCH_BRANCH, KVM("535.54.06-535.54.03-536.25") },
		{ "535.161.05", DEB("535", "535.54.03") " " RPM("535", "535.104.05"),
		  MATCH_BRANCH, DEB("535", "535.54.03") },
		{ "535.161.05", DEB("535", "535.104.05") " " RUN("535.54.03"),
		  MATCH_BRANCH, DEB("535", "535.104.05") },
		/* one branch back; for long-term support also the one before */
		{ "550.54.10", RUN("535.54.03") " " RUN("525.60.13"),
		  MATCH_PREVIOUS_BRANCH, RUN("535.54.03") },
		{ "580.126.08", RUN("570.124.06") " " RUN("535.54.03"),
		  MATCH_PREVIOUS_BRANCH, RUN("570.124.06") },
		{ "580.126.08",
		  RUN("550.54.14") " " RUN("535.54.03") " " RUN("470.82.01"),
		  MATCH_PREVIOUS_BRANCH, RUN("535.54.03") },
		{ "535.54.06", RUN("470.82.01") " " RUN("510.47.03"),
		  MATCH_PREVIOUS_BRANCH, RUN("470.82.01") },
		/* a host that is not in the list takes the only one that is not later */
		{ "553.07", RUN("550.54.14") " " DEB("550", "550.54.14"), MATCH_ONLY,
		  RUN("550.54.14") },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_host(scene, cases[i].host);
		set_files(scene, cases[i].files, NULL);
		assert_chosen(scene, cases[i].rule, cases[i].chosen);
	}
}

static void what_does_not_fit_is_never_chosen(void **state)
{
	static const struct {
		const char *host, *files, *words;
	} cases[] = {
		/* later branches */
		{ "535.161.05", RUN("550.54.14"), "fits the host's 535.161.05" },
		{ "460.16", RUN("470.82.01"), "fits the host's 460.16" },
		{ "553.07", RUN("570.124.06"), "fits the host's 553.07" },
		/* too old */
		{ "550.54.10", RUN("525.60.13"), "fits the host's" },
		{ "570.124.03", RUN("535.54.03"), "fits the host's" },
		{ "470.63", RUN("460.91.03"), "fits the host's" },
		/* not listed, and more than one version */
		{ "553.07", RUN("550.54.14") " " RUN("550.90.07"), "fits the host's" },
		/* other architectures, clouds, hosts, formats */
		{ "535.161.05", "NVIDIA-Linux-aarch64-535.161.08-grid.run", "fits" },
		{ "535.161.05", "NVIDIA-Linux-x86_64-535.161.08-grid-aws.run", "fits" },
		{ "535.161.05", RPM("535", "535.161.08"), "fits the host's" },
		{ "535.161.05", "NVIDIA-Linux-x86_64-535.161.08-vgpu-kvm.run",
		  "holds no Linux guest driver" },
		{ "535.161.05", "", "holds no Linux guest driver" },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_host(scene, cases[i].host);
		set_files(scene, cases[i].files, NULL);
		assert_refused(scene, ERROR_NO_MATCH, cases[i].words);
		assert_true(scene->err.passing); /* it may be published yet */
	}
}

/* Each release's host gets that release's guest, or that of the last release it is in. */
static void every_known_host_gets_its_guest(void **state)
{
	enum { RELEASES = 105 };
	static char hosts[RELEASES][VERSION_MAX], guests[RELEASES][VERSION_MAX];
	static char names[RELEASES * 80];
	struct scene *scene = *state;
	FILE *f = fopen(TEST_DATA_DIR "/releases/linux-kvm.tsv", "re");
	size_t count = 0, matched = 0;
	char release[8], date[16], windows[VERSION_MAX];

	assert_non_null(f);
	while (count < RELEASES && fscanf(f, "%7s %15s %31s %31s %31s", release, date,
					  hosts[count], guests[count], windows) == 5) {
		size_t used = strlen(names);

		if (hosts[count][0] == '-')
			(void)text_copy(hosts[count], VERSION_MAX, guests[count]);
		assert_true(text_format(
			names + used, sizeof(names) - used,
			strcmp(hosts[count], guests[count]) == 0 ? KVM("%s%s-%s") " "
								 : KVM("%s-%s-%s") " ",
			strcmp(hosts[count], guests[count]) == 0 ? "" : hosts[count],
			guests[count], windows));
		count++;
	}
	(void)fclose(f);
	assert_int_equal(count, RELEASES);
	set_files(scene, names, NULL);
	assert_int_equal(scene->repository.count, RELEASES);

	for (size_t i = 0; i < count; i++) {
		const char *expected = guests[i];

		for (size_t j = 0; j < count; j++) {
			if (strcmp(hosts[i], hosts[j]) == 0 &&
			    version_compare(guests[j], expected) > 0)
				expected = guests[j];
		}
		set_host(scene, hosts[i]);
		if (decide(scene) < 0)
			fail_msg("%s: %s", hosts[i], scene->err.text);
		assert_int_equal(scene->match.rule, MATCH_BUNDLE);
		assert_string_equal(scene->match.package.host_version, hosts[i]);
		assert_string_equal(scene->match.package.version, expected);
		matched++;
	}
	assert_int_equal(matched, RELEASES);
}

#define BRANCHES                                                              \
	"{'name':'R538_27','type':'host'},{'name':'R538_27','type':'guest'}," \
	"{'name':'R528_79','type':'guest'}"
#define ENTRY(version, branch, more)                 \
	"{'version':'" version "','branch':'" branch \
	"','type':'guest','os':['Linux']" more "}"
#define CATALOG(drivers) "{'branch':[" BRANCHES "],'driver':[" drivers "]}"
#define DENY ",'deny':{'driver':[{'version':'535.161.05'}]}"

static void the_catalog_allows_and_vetoes(void **state)
{
	static const struct {
		const char *files, *catalog;
		enum match_rule rule;
		const char *chosen;
	} cases[] = {
		/* the host's own branch goes before a higher version of another */
		{ RUN("535.54.03") " " RUN("525.147.05"),
		  CATALOG(ENTRY("525.147.05", "R538_27", "") "," ENTRY("535.54.03",
								       "R528_79", "")),
		  MATCH_CATALOG, RUN("525.147.05") },
		/* ties go to the highest, whatever the order in the file */
		{ RUN("535.54.03") " " RUN("535.104.05"),
		  CATALOG(ENTRY("535.54.03", "R538_27", "") "," ENTRY("535.104.05",
								      "R538_27", "")),
		  MATCH_CATALOG, RUN("535.104.05") },
		/* a branch that no rule of thumb would take */
		{ RUN("470.82.01") " " RUN("510.47.03"),
		  CATALOG(ENTRY("510.47.03", "R528_79", "")), MATCH_CATALOG,
		  RUN("510.47.03") },
		/* the bundle goes first, unless the catalog denies it */
		{ KVM("535.161.05-535.161.07-538.33") " " RUN("535.54.03"),
		  CATALOG(ENTRY("535.54.03", "R538_27", "")), MATCH_BUNDLE,
		  KVM("535.161.05-535.161.07-538.33") },
		{ KVM("535.161.05-535.161.07-538.33") " " RUN("535.54.03"),
		  CATALOG(ENTRY("535.161.07", "R538_27", DENY)), MATCH_BRANCH,
		  RUN("535.54.03") },
		/* the veto holds for the branch and the one before */
		{ RUN("535.161.07") " " RUN("525.147.05"),
		  CATALOG(ENTRY("535.161.07", "R538_27", DENY)), MATCH_PREVIOUS_BRANCH,
		  RUN("525.147.05") },
		{ RUN("525.147.05") " " RUN("525.60.13"),
		  CATALOG(ENTRY("525.147.05", "R528_79", DENY)), MATCH_PREVIOUS_BRANCH,
		  RUN("525.60.13") },
		/* a later branch is never chosen, not even so */
		{ RUN("550.54.14") " " RUN("535.54.03"),
		  CATALOG(ENTRY("550.54.14", "R538_27", "")), MATCH_BRANCH,
		  RUN("535.54.03") },
	};
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_files(scene, cases[i].files, cases[i].catalog);
		assert_chosen(scene, cases[i].rule, cases[i].chosen);
	}
}

static void every_vgpu_has_a_say_in_the_catalog(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	scene->gpus.gpus[1] = scene->gpus.gpus[0];
	scene->gpus.gpus[1].device = 0x2230;
	scene->gpus.count = 2;
	set_files(scene, RUN("535.161.07") " " RUN("535.54.03"),
		  CATALOG(ENTRY("535.161.07", "R538_27",
				",'deny':{'gpu':[{'devid':'0x2230'}]}")));
	assert_chosen(scene, MATCH_BRANCH, RUN("535.54.03"));
	assert_non_null(strstr(why_of(scene, RUN("535.161.07")), "denied for this GPU"));
}

/* In all that a manifest and a catalog may hold it would be hours. */
static void the_catalog_is_asked_once_for_a_version(void **state)
{
	enum { FILES = 300, DRIVERS = 1000 };
	static const char driver[] = "{'version':'535.161.08','branch':'R538_27',"
				     "'type':'guest','os':['Linux']},";
	static const char branches[] = "{'branch':[{'name':'R538_27','type':'host'},"
				       "{'name':'R538_27','type':'guest'}],'driver':[";
	static char catalog[sizeof(branches) + DRIVERS * sizeof(driver)];
	static char names[FILES * 64];
	struct scene *scene = *state;
	char *at = stpcpy(catalog, branches);
	clock_t begin;

	set_host(scene, "535.161.05");
	for (size_t i = 0; i < DRIVERS; i++)
		at = stpcpy(at, driver);
	(void)stpcpy(at - 1, "]}");
	at = names;
	for (size_t i = 0; i < FILES; i++)
		at += sprintf(at, "%zu/" RUN("535.161.08") " ", i);
	at[-1] = '\0';
	set_files(scene, names, catalog);
	begin = clock();

	assert_int_equal(decide(scene), 0);

	assert_int_equal(scene->match.rule, MATCH_CATALOG);
	assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
}

static void a_named_version_is_that_or_nothing(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene,
		  KVM("535.161.05-535.161.07-538.33") " " RUN("535.54.03") " " RUN(
			  "550.54.14") " " RUN("470.63.01"),
		  NULL);

	scene->input.version = "535.54.03";
	assert_chosen(scene, MATCH_VERSION, RUN("535.54.03"));
	scene->input.version = "535.54.04";
	assert_refused(scene, ERROR_NO_MATCH, "no usable driver of version 535.54.04");
	scene->input.version = "470.63";
	assert_refused(scene, ERROR_NO_MATCH, "of version 470.63");
}

static void a_named_version_must_not_contradict_the_host(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, RUN("550.54.14"), NULL);
	scene->input.version = "550.54.14";
	assert_refused(scene, ERROR_NO_MATCH,
		       "of a later branch than the host's 535.161.05");
	assert_string_equal(why_of(scene, RUN("550.54.14")),
			    "it contradicts the host's version");

	scene->input.allow_mismatch = true;
	assert_chosen(scene, MATCH_VERSION, RUN("550.54.14"));
}

static void a_named_version_needs_no_host(void **state)
{
	struct scene *scene = *state;

	scene->gpus.count = 0;
	set_files(scene, RUN("550.54.14") " " RUN("535.54.03"), NULL);
	scene->input.version = "535.54.03";
	assert_chosen(scene, MATCH_VERSION, RUN("535.54.03"));

	scene->input.host_unreadable = true;
	assert_chosen(scene, MATCH_VERSION, RUN("535.54.03"));
}

static void a_url_is_taken_as_it_is(void **state)
{
	static const struct {
		const char *url, *name, *version;
	} cases[] = {
		{ "https://h/x/" RUN("535.54.03") "?sig=a/b#c", RUN("535.54.03"),
		  "535.54.03" },
		{ "file:///tmp/driver.run", "driver.run", "" },
		{ "https://h/NVIDIA-Linux-x86_64-535.1.2-grid-aws.run",
		  "NVIDIA-Linux-x86_64-535.1.2-grid-aws.run", "535.1.2" },
		{ "https://h/nvgpu_bundle.zip", "nvgpu_bundle.zip", "" },
		{ "https://h/NVIDIA-Linux-x86_64-535.54.03.run",
		  "NVIDIA-Linux-x86_64-535.54.03.run", "" },
	};
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, RUN("535.161.07"), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		scene->input.url = cases[i].url;
		assert_chosen(scene, MATCH_URL, cases[i].name);
		assert_string_equal(scene->match.package.version, cases[i].version);
		assert_string_equal(why_of(scene, RUN("535.161.07")),
				    "driver.url names another file");
	}
}

static void a_url_that_cannot_be_right_is_refused(void **state)
{
	static const struct {
		const char *url;
		enum error_code code;
		const char *words;
	} cases[] = {
		{ "https://h/" RUN("550.54.14"), ERROR_NO_MATCH, "later branch" },
		{ "https://h/" KVM("470.63-470.63.01-471.68"), ERROR_NO_MATCH, NULL },
		{ "https://h/NVIDIA-Linux-aarch64-535.54.03-grid.run", ERROR_NO_MATCH,
		  "is for aarch64" },
		{ "https://h/NVIDIA-Linux-x86_64-535.54.03-vgpu-kvm.run", ERROR_NO_MATCH,
		  "a host driver" },
		{ "https://h/", ERROR_USAGE, "names no .zip" },
		{ "https://h/x.tar", ERROR_USAGE, "names no .zip" },
	};
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		scene->input.url = cases[i].url;
		if (!cases[i].words) { /* the long-term-support branch before is fine */
			assert_int_equal(decide(scene), 0);
			continue;
		}
		assert_int_equal(decide(scene), -1);
		assert_int_equal(scene->err.code, cases[i].code);
		if (!strstr(scene->err.text, cases[i].words))
			fail_msg("%s", scene->err.text);
	}
}

static void an_installed_driver_that_fits_stays(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, KVM("535.161.05-535.161.08-538.46"), NULL);
	scene->input.installed = "535.161.07";
	scene->input.installed_fits = true;

	assert_int_equal(decide(scene), 0);
	assert_int_equal(scene->match.rule, MATCH_INSTALLED);
	assert_string_equal(scene->match.package.version, "535.161.07");
	assert_non_null(strstr(scene->match.warning, "535.161.08 is newer"));
	assert_string_equal(why_of(scene, KVM("535.161.05-535.161.08-538.46")),
			    "535.161.07 is installed and stays");
}

static void an_installed_driver_needs_no_repository(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	scene->input.repository = NULL;
	scene->input.installed = "525.147.05";
	scene->input.installed_fits = true;

	assert_int_equal(decide(scene), 0);
	assert_int_equal(scene->match.rule, MATCH_INSTALLED);
	assert_string_equal(scene->match.warning, "");
}

static void upgrade_takes_only_what_is_newer(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, RUN("535.161.07"), NULL);
	scene->input.installed_fits = true;
	scene->input.upgrade = true;

	scene->input.installed = "535.54.03";
	assert_chosen(scene, MATCH_BRANCH, RUN("535.161.07"));
	scene->input.installed = "535.161.07";
	assert_int_equal(decide(scene), 0);
	assert_int_equal(scene->match.rule, MATCH_INSTALLED);
	scene->input.installed = "535.183.06";
	assert_int_equal(decide(scene), 0);
	assert_int_equal(scene->match.rule, MATCH_INSTALLED);

	scene->input.url = "file:///tmp/renamed.run";
	assert_int_equal(decide(scene), 0);
	assert_int_equal(scene->match.rule, MATCH_URL);
}

static void an_installed_driver_that_does_not_fit_is_replaced(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, RUN("535.161.07"), NULL);

	scene->input.installed = "550.54.14";
	scene->input.installed_fits = true;
	assert_chosen(scene, MATCH_BRANCH, RUN("535.161.07"));

	scene->input.installed = "535.161.07";
	scene->input.installed_fits = false;
	assert_chosen(scene, MATCH_BRANCH, RUN("535.161.07"));
}

/* Else every run would install anew what the catalog chose. */
static void what_the_catalog_allows_also_fits_once_installed(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, RUN("510.47.03"), CATALOG(ENTRY("510.47.03", "R528_79", "")));
	scene->input.installed = "510.47.03";
	scene->input.installed_fits = true;

	assert_int_equal(decide(scene), 0);
	assert_int_equal(scene->match.rule, MATCH_INSTALLED);
}

#define URL_OLD "file:///" RUN("535.54.03")
#define URL_SAME "file:///" RUN("535.161.07")
#define URL_LATER "file:///" RUN("550.54.14")

/* Installed is 535.161.07; the repository has 535.54.03 and 535.183.06. */
static void a_wish_is_obeyed_by_who_wishes(void **state)
{
	static const struct {
		const char *url, *version;
		bool commanded, upgrade;
		enum match_rule rule; /* MATCH_NONE: an error */
		const char *chosen, *warning;
	} rows[] = {
		/* the command line: up, down, the same, or an error */
		{ "", "535.54.03", true, false, MATCH_VERSION, "535.54.03", "" },
		{ "", "535.183.06", true, false, MATCH_VERSION, "535.183.06", "" },
		{ "", "535.161.07", true, false, MATCH_INSTALLED, "535.161.07", "" },
		{ "", "535.1.1", true, false, MATCH_NONE, "", "" },
		{ "", "535.1.1", true, true, MATCH_NONE, "", "" },
		{ URL_OLD, "", true, false, MATCH_URL, "535.54.03", "" },
		{ URL_SAME, "", true, false, MATCH_INSTALLED, "535.161.07", "" },
		{ "file:///x.run", "", true, false, MATCH_URL, "", "" },
		{ URL_LATER, "", true, false, MATCH_NONE, "", "" },
		/* the configuration: a warning, and with driver.upgrade up or down */
		{ "", "535.54.03", false, false, MATCH_INSTALLED, "535.161.07",
		  "535.54.03 is asked for, but" },
		{ "", "535.183.06", false, false, MATCH_INSTALLED, "535.161.07",
		  "535.183.06 is asked for, but" },
		{ "", "535.1.1", false, false, MATCH_INSTALLED, "535.161.07",
		  "535.1.1 is asked for, but" },
		{ "", "535.161.07", false, false, MATCH_INSTALLED, "535.161.07", "" },
		{ URL_OLD, "", false, false, MATCH_INSTALLED, "535.161.07",
		  "535.54.03 is asked for, but" },
		{ URL_LATER, "", false, false, MATCH_INSTALLED, "535.161.07",
		  "cannot be had" },
		{ "", "535.54.03", false, true, MATCH_VERSION, "535.54.03", "" },
		{ "", "535.183.06", false, true, MATCH_VERSION, "535.183.06", "" },
		{ "", "535.161.07", false, true, MATCH_INSTALLED, "535.161.07", "" },
		{ URL_OLD, "", false, true, MATCH_URL, "535.54.03", "" },
		{ "", "535.1.1", false, true, MATCH_INSTALLED, "535.161.07",
		  "535.1.1 is asked for and cannot be had" },
	};
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(scene, RUN("535.54.03") " " RUN("535.183.06"), NULL);
	scene->input.installed = "535.161.07";
	scene->input.installed_fits = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int result;

		scene->input.url = rows[i].url;
		scene->input.version = rows[i].version;
		scene->input.commanded = rows[i].commanded;
		scene->input.upgrade = rows[i].upgrade;
		result = decide(scene);
		if (scene->match.rule != rows[i].rule ||
		    (result < 0) != (rows[i].rule == MATCH_NONE) ||
		    strcmp(scene->match.package.version, rows[i].chosen) != 0 ||
		    !strstr(scene->match.warning, rows[i].warning) ||
		    (!rows[i].warning[0] && scene->match.warning[0]))
			fail_msg("row %zu: %s %s, %s, %s", i,
				 match_rule_name(scene->match.rule),
				 scene->match.package.version, scene->match.warning,
				 scene->err.text);
	}
}

/* What is installed is no reason not to ask for what is wished for. */
static void only_a_wish_that_is_obeyed_asks_the_repository(void **state)
{
	static const struct {
		const char *version;
		bool commanded, upgrade, asks;
	} rows[] = {
		{ "535.54.03", true, false, true },
		{ "535.161.07", true, false, false },
		{ "535.54.03", false, false, false },
		{ "535.54.03", false, true, true },
	};
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	scene->input.repository = NULL;
	scene->input.may_ask = true;
	scene->input.installed = "535.161.07";
	scene->input.installed_fits = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scene->input.version = rows[i].version;
		scene->input.commanded = rows[i].commanded;
		scene->input.upgrade = rows[i].upgrade;
		assert_int_equal(decide(scene), 0);
		if (scene->match.ask != rows[i].asks)
			fail_msg("row %zu", i);
	}
}

#define KERNEL "6.1.0-57-cloud-amd64"

/* Versions with blanks between, each tried here as it stands there. */
static void note_builds(struct known_build *builds, size_t *count, const char *versions,
			bool ok)
{
	struct span rest = span_of(versions), version;

	while (rest.len > 0) {
		struct known_build *build = &builds[(*count)++];

		*build = (struct known_build){ .kernel = KERNEL,
					       .wanted = "auto",
					       .ok = ok,
					       .why = "nv-pci.c: error" };
		(void)span_split(rest, ' ', &version, &rest);
		(void)span_copy(version, build->version, sizeof(build->version));
	}
}

static void the_kernel_decides_with_the_host(void **state)
{
	static const struct {
		const char *host, *files, *fails, *works;
		enum match_rule rule;
		const char *chosen;
		bool doomed;
	} rows[] = {
		/* within a rule: known to compile, then not known, then known to fail */
		{ "550.90.05", RUN("550.54.15") " " RUN("550.90.07"), "", "550.54.15",
		  MATCH_BRANCH, RUN("550.54.15"), false },
		{ "550.90.05", RUN("550.54.15") " " RUN("550.90.07"), "550.90.07", "",
		  MATCH_BRANCH, RUN("550.54.15"), false },
		{ "550.90.05", RUN("550.54.14") " " RUN("550.54.15") " " RUN("550.90.07"),
		  "550.90.07", "550.54.14", MATCH_BRANCH, RUN("550.54.14"), false },
		/* what is known to compile does not go before a nearer rule */
		{ "550.90.05", RUN("550.54.15") " " RUN("535.54.03"), "", "535.54.03",
		  MATCH_BRANCH, RUN("550.54.15"), false },
		/* what is known to fail makes way for a rule further down */
		{ "550.90.05",
		  KVM("550.90.05-550.90.07-552.55") " " RUN("550.54.15") " " RUN(
			  "535.54.03"),
		  "550.90.07", "", MATCH_BRANCH, RUN("550.54.15"), false },
		{ "550.90.05",
		  KVM("550.90.05-550.90.07-552.55") " " RUN("550.54.15") " " RUN(
			  "535.54.03"),
		  "550.90.07 550.54.15", "", MATCH_PREVIOUS_BRANCH, RUN("535.54.03"),
		  false },
		/* never a branch that the host does not take */
		{ "550.90.05",
		  RUN("550.54.15") " " RUN("570.124.06") " " RUN("470.82.01"),
		  "550.54.15", "570.124.06 470.82.01", MATCH_BRANCH, RUN("550.54.15"),
		  true },
		/* where nothing else fits it is tried again */
		{ "550.90.05", KVM("550.90.05-550.90.07-552.55") " " RUN("550.54.15"),
		  "550.90.07 550.54.15", "", MATCH_BUNDLE,
		  KVM("550.90.05-550.90.07-552.55"), true },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct known_build builds[8];
		size_t count = 0;

		note_builds(builds, &count, rows[i].fails, false);
		note_builds(builds, &count, rows[i].works, true);
		scene->input.known = (struct known_input){ .kernel_count = 1,
							   .kernels = { KERNEL },
							   .arch = "x86_64",
							   .wanted = "auto",
							   .build_count = count,
							   .builds = builds,
							   .own_successes = true };
		set_host(scene, rows[i].host);
		set_files(scene, rows[i].files, NULL);
		assert_chosen(scene, rows[i].rule, rows[i].chosen);
		if (scene->match.doomed != rows[i].doomed)
			fail_msg("row %zu", i);
		if (rows[i].fails[0])
			assert_non_null(strstr(scene->match.warning, "nv-pci.c: error"));
	}
}

static void what_the_kernel_rules_out_is_said_of_each(void **state)
{
	struct known_build builds[8];
	size_t count = 0;
	struct scene *scene = *state;

	note_builds(builds, &count, "550.144.03 470.82.01", false);
	note_builds(builds, &count, "550.54.14", true);
	scene->input.known = (struct known_input){ .kernel_count = 1,
						   .kernels = { KERNEL },
						   .arch = "x86_64",
						   .wanted = "auto",
						   .build_count = count,
						   .builds = builds,
						   .own_successes = true };
	set_host(scene, "550.90.05");
	set_files(scene,
		  RUN("550.54.14") " " RUN("550.90.07") " " RUN("550.144.03") " " RUN(
			  "470.82.01"),
		  NULL);
	assert_chosen(scene, MATCH_BRANCH, RUN("550.54.14"));

	assert_string_equal(why_of(scene, RUN("550.54.14")),
			    "the highest version of the host's branch, of those known to "
			    "compile here");
	assert_string_equal(why_of(scene, RUN("550.90.07")),
			    "not known to compile for kernel " KERNEL
			    ", as 550.54.14 is");
	assert_string_equal(why_of(scene, RUN("550.144.03")),
			    "tried here, it does not compile for kernel " KERNEL
			    ": nv-pci.c: error");
	/* Of what does not fit the host, the host is the reason. */
	assert_string_equal(why_of(scene, RUN("470.82.01")),
			    "its branch 470 does not fit the host's, 550");
	assert_non_null(strstr(scene->match.warning, "550.144.03 is passed over"));
}

/* Who names a version has his reasons. */
static void a_named_version_is_taken_though_it_is_known_to_fail(void **state)
{
	struct known_build builds[2];
	size_t count = 0;
	struct scene *scene = *state;

	note_builds(builds, &count, "550.54.14", false);
	scene->input.known = (struct known_input){ .kernel_count = 1,
						   .kernels = { KERNEL },
						   .arch = "x86_64",
						   .wanted = "auto",
						   .build_count = count,
						   .builds = builds };
	set_host(scene, "550.90.05");
	set_files(scene, RUN("550.54.14") " " RUN("550.90.07"), NULL);
	scene->input.version = "550.54.14";

	assert_chosen(scene, MATCH_VERSION, RUN("550.54.14"));
	assert_true(scene->match.doomed);
}

/* Only what the host has chosen, and only for what may come out better. */
static void an_installed_driver_that_cannot_come_to_the_kernel_makes_way(void **state)
{
	static const struct {
		const char *files, *fails, *version;
		bool fallback, absent, makes_way;
		const char *warning;
	} rows[] = {
		{ RUN("550.54.15"), "550.90.07", "", true, false, true, "" },
		{ RUN("550.90.07") " " RUN("550.54.15"), "550.90.07", "", true, false,
		  true, "550.90.07 is passed over" },
		{ RUN("550.54.15"), "550.90.07", "", false, false, false,
		  "driver.fallback = true" },
		{ RUN("550.54.15"), "550.90.07 550.54.15", "", true, false, false,
		  "nothing else fits" },
		{ RUN("550.90.07"), "550.90.07", "", true, false, false,
		  "nothing else fits" },
		{ RUN("470.82.01"), "550.90.07", "", true, false, false,
		  "nothing else fits" },
		{ RUN("550.54.15"), "550.90.07", "550.54.15", true, false, false,
		  "550.54.15 is asked for" },
		{ RUN("550.54.15"), "550.90.07", "", true, true, false, "" },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct known_build builds[8];
		size_t count = 0;

		note_builds(builds, &count, rows[i].fails, false);
		scene->input.known = (struct known_input){ .kernel_count = 1,
							   .kernels = { KERNEL },
							   .arch = "x86_64",
							   .wanted = "auto",
							   .build_count = count,
							   .builds = builds };
		scene->input.installed = "550.90.07";
		scene->input.installed_fits = scene->input.installed_doomed = true;
		scene->input.fallback = rows[i].fallback;
		scene->input.version = rows[i].version;
		set_host(scene, "550.90.05");
		if (rows[i].absent)
			set_absent_host(scene);
		set_files(scene, rows[i].files, NULL);
		if (decide(scene) < 0)
			fail_msg("row %zu: %s", i, scene->err.text);
		if ((scene->match.rule == MATCH_BRANCH) != rows[i].makes_way ||
		    scene->match.doomed == rows[i].makes_way ||
		    !strstr(scene->match.warning, rows[i].warning))
			fail_msg("row %zu: %s", i, scene->match.warning);
	}
}

static void an_absent_host_version_takes_the_only_driver(void **state)
{
	struct scene *scene = *state;

	set_absent_host(scene);
	set_files(scene,
		  RUN("535.54.03") " " KVM("535.54.06-535.54.03-536.25") " " RPM(
			  "550", "550.54.14"),
		  NULL);
	assert_chosen(scene, MATCH_ONLY, RUN("535.54.03"));
	assert_non_null(strstr(scene->match.warning, "only version"));

	set_files(scene, RUN("535.54.03") " " RUN("535.54.04"), NULL);
	assert_refused(scene, ERROR_NO_MATCH, "the host's driver version is not known");
	assert_string_equal(why_of(scene, RUN("535.54.03")),
			    "the host's version is not known");
}

static void an_unreadable_host_version_needs_root(void **state)
{
	struct scene *scene = *state;

	scene->gpus.gpus[0].kind = GPU_UNKNOWN;
	scene->gpus.gpus[0].record = GPU_RECORD_UNREAD;
	scene->input.host_unreadable = true;
	set_files(scene, RUN("535.54.03"), NULL);
	assert_refused(scene, ERROR_PERMISSION, "could not be read");
}

static void a_malformed_host_version_is_no_absent_one(void **state)
{
	struct scene *scene = *state;

	scene->gpus.gpus[0].record = GPU_RECORD_MALFORMED;
	(void)text_copy(scene->gpus.gpus[0].note, sizeof(scene->gpus.gpus[0].note),
			"malformed record at byte 5");
	set_files(scene, RUN("535.54.03"), NULL);
	assert_refused(scene, ERROR_NO_MATCH, "0000:06:00.0: malformed record");
}

/* Not even an installed or a named driver fits two hosts, unless the operator insists. */
static void vgpus_that_disagree_stop_the_match(void **state)
{
	struct scene *scene = *state;

	strcpy(scene->gpus.gpus[0].host.version, "535.161.05");
	scene->gpus.gpus[1] = scene->gpus.gpus[0];
	strcpy(scene->gpus.gpus[1].address, "0000:07:00.0");
	strcpy(scene->gpus.gpus[1].host.version, "525.105.14");
	scene->gpus.count = 2;
	set_files(scene, RUN("535.161.07"), NULL);
	scene->input.installed = "535.161.07";
	scene->input.installed_fits = true;
	scene->input.version = "535.161.07";
	assert_refused(scene, ERROR_NO_MATCH,
		       "0000:06:00.0 says 535.161.05, 0000:07:00.0 says 525.105.14");

	scene->input.installed = "";
	scene->input.allow_mismatch = true;
	assert_chosen(scene, MATCH_VERSION, RUN("535.161.07"));
	scene->input.version = "";
	assert_refused(scene, ERROR_NO_MATCH, "disagree");
}

static void without_a_gpu_a_driver_must_be_named(void **state)
{
	struct scene *scene = *state;

	scene->gpus.count = 0;
	set_files(scene, RUN("535.54.03"), NULL);
	assert_refused(scene, ERROR_NO_MATCH, "no driver is named");
}

static void without_a_repository_there_is_no_choice(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	scene->input.repository = NULL;
	for (int may_come = 0; may_come < 2; may_come++) {
		scene->input.repository_may_come = may_come;
		assert_refused(scene, ERROR_NO_MATCH, "there is no repository");
		assert_int_equal(scene->err.passing, may_come);
	}
}

static void the_package_setting_narrows_the_choice(void **state)
{
	static const struct {
		const char *package, *chosen;
	} cases[] = {
		{ "auto", RUN("535.54.03") },
		{ "run", RUN("535.54.03") },
		{ "deb", DEB("535", "535.54.03") },
		{ "rpm", RPM("535", "535.54.03") },
	};
	struct scene *scene = *state;

	set_host(scene, "535.161.05");
	set_files(
		scene,
		RUN("535.54.03") " " DEB("535", "535.54.03") " " RPM("535", "535.54.03"),
		NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		scene->input.package = cases[i].package;
		assert_chosen(scene, MATCH_BRANCH, cases[i].chosen);
	}
	assert_string_equal(why_of(scene, RUN("535.54.03")),
			    "driver.package asks for .rpm");
}

static void every_candidate_has_its_reason(void **state)
{
	static const struct {
		const char *name, *why;
	} cases[] = {
		{ KVM("535.161.05-535.161.08-538.46"),
		  "its host version is this host's" },
		{ KVM("535.161.05-535.161.07-538.33"), "older than 535.161.08" },
		{ KVM("535.183.04-535.183.06-538.78"),
		  "its host version 535.183.04 is not this host's, 535.161.05" },
		{ RUN("535.216.01"), "a bundle made for this host goes first" },
		{ RUN("550.54.14"),
		  "its branch 550 is later than the host's, 535: the vGPU "
		  "would not start" },
		{ RPM("535", "535.161.08"), "this system takes no .rpm" },
		{ "NVIDIA-Linux-aarch64-535.161.08-grid.run", "for aarch64, not x86_64" },
		{ "NVIDIA-Linux-x86_64-535.161.08-grid-azure.run",
		  "a cloud's own variant: only by driver.url" },
		{ "NVIDIA-Linux-x86_64-535.161.05-vgpu-kvm.run", "a host driver" },
	};
	char names[2048] = "";
	struct scene *scene = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcat(names, i ? " " : "");
		strcat(names, cases[i].name);
	}
	set_host(scene, "535.161.05");
	set_files(scene, names, NULL);
	assert_chosen(scene, MATCH_BUNDLE, cases[0].name);

	assert_int_equal(scene->match.count, ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(why_of(scene, cases[i].name), cases[i].why);
}

static void the_branch_rules_name_the_other_branches(void **state)
{
	struct scene *scene = *state;

	set_host(scene, "580.126.08");
	set_files(scene,
		  RUN("570.124.06") " " RUN("535.54.03") " " RUN("510.47.03") " " RUN(
			  "570.133.20"),
		  NULL);
	assert_chosen(scene, MATCH_PREVIOUS_BRANCH, RUN("570.133.20"));
	assert_non_null(strstr(scene->match.warning, "older branch than the host's"));
	assert_string_equal(why_of(scene, RUN("570.124.06")), "older than 570.133.20");
	assert_string_equal(why_of(scene, RUN("510.47.03")),
			    "its branch 510 does not fit the host's, 580");
}

static void a_version_fits_by_its_branch(void **state)
{
	static const struct {
		const char *host, *guest;
		bool fits;
	} cases[] = {
		{ "535.161.05", "535.216.01", true },
		{ "535.161.05", "525.60.13", true },
		{ "535.161.05", "470.82.01", true },
		{ "535.161.05", "510.47.03", false },
		{ "535.161.05", "550.54.14", false },
		{ "550.54.10", "535.54.03", true },
		{ "550.54.10", "470.82.01", false },
		{ "580.126.08", "535.54.03", true },
		{ "580.126.08", "550.54.14", false },
		{ "", "550.54.14", true },
		{ "553.07", "550.144.03", true },
		{ "553.07", "570.124.06", false },
		{ "460.16", "450.80.02", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct host_driver host = { .version = "" };
		struct error err = ERROR_INIT;

		strcpy(host.version, cases[i].host);
		if ((match_fits(&host, cases[i].guest, &err) == 0) != cases[i].fits)
			fail_msg("%s on %s", cases[i].guest, cases[i].host);
		assert_int_equal(err.code, cases[i].fits ? ERROR_NONE : ERROR_NO_MATCH);
	}
}

static void candidates_are_printed_with_null_for_no_version(void **state)
{
	struct scene *scene = *state;
	cleanup_json struct json *json = NULL;
	cleanup_free char *text = NULL;

	set_host(scene, "535.161.05");
	set_files(scene, "x.run", NULL);
	scene->input.url = "file:///" RUN("535.54.03");
	assert_int_equal(decide(scene), 0);
	json = match_candidates_json(&scene->match);
	assert_non_null(json);
	text = json_print(json);

	assert_string_equal(
		text,
		"[{\"name\":\"" RUN(
			"535.54.03") "\",\"version\":\"535.54.03\","
				     "\"accepted\":true,\"why\":\"driver.url names it\"},"
				     "{\"name\":\"x.run\",\"version\":null,\"accepted\":false,"
				     "\"why\":\"not a name that NVIDIA gives to a driver\"}]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_rules_go_in_their_order),
		TEST(what_does_not_fit_is_never_chosen),
		TEST(every_known_host_gets_its_guest),
		TEST(the_catalog_allows_and_vetoes),
		TEST(every_vgpu_has_a_say_in_the_catalog),
		TEST(the_catalog_is_asked_once_for_a_version),
		TEST(a_named_version_is_that_or_nothing),
		TEST(a_named_version_must_not_contradict_the_host),
		TEST(a_named_version_needs_no_host),
		TEST(a_url_is_taken_as_it_is),
		TEST(a_url_that_cannot_be_right_is_refused),
		TEST(an_installed_driver_that_fits_stays),
		TEST(an_installed_driver_needs_no_repository),
		TEST(upgrade_takes_only_what_is_newer),
		TEST(an_installed_driver_that_does_not_fit_is_replaced),
		TEST(what_the_catalog_allows_also_fits_once_installed),
		TEST(a_wish_is_obeyed_by_who_wishes),
		TEST(only_a_wish_that_is_obeyed_asks_the_repository),
		TEST(the_kernel_decides_with_the_host),
		TEST(what_the_kernel_rules_out_is_said_of_each),
		TEST(a_named_version_is_taken_though_it_is_known_to_fail),
		TEST(an_installed_driver_that_cannot_come_to_the_kernel_makes_way),
		TEST(an_absent_host_version_takes_the_only_driver),
		TEST(an_unreadable_host_version_needs_root),
		TEST(a_malformed_host_version_is_no_absent_one),
		TEST(vgpus_that_disagree_stop_the_match),
		TEST(without_a_gpu_a_driver_must_be_named),
		TEST(without_a_repository_there_is_no_choice),
		TEST(the_package_setting_narrows_the_choice),
		TEST(every_candidate_has_its_reason),
		TEST(the_branch_rules_name_the_other_branches),
		TEST(a_version_fits_by_its_branch),
		TEST(candidates_are_printed_with_null_for_no_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
